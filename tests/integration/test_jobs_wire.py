"""What comes in over the wire is wrong, hostile or forged: the other end is told, and goes on."""

import asyncio
import contextlib
import json
import random
from xml.etree import ElementTree as ET

import pytest

from chatting import calling, serving, soon
from chatting.frames import JABOT, JSON, by_hand
from jabot import BadArguments, JabotError, Node, TooManyJobs, UnknownJob, UnknownTask
from servers import Server

ID = "0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00"
SEED = 20261124


class Echo:
    """A node that everybody may use."""

    def __init__(self, **options: object) -> None:
        self.node = Node(allow={"*": "*"}, drain_limit=0.1, **options)
        self.go = asyncio.Event()
        self.node.task(self.echo)
        self.node.task(self.hold)

    async def echo(self, number: int) -> int:
        return number

    async def hold(self) -> str:
        await self.go.wait()
        return "held"


async def test_what_a_task_does_not_take(xmpp: Server) -> None:
    echo = Echo(jobs_per_caller=3)
    async with (
        serving(echo.node, xmpp, for_people=False) as bot,
        calling(xmpp, str(bot.jid), xmpp.fresh_user("app")) as app,
    ):
        for error, text, args, kwargs in (
            (UnknownTask, r"^there is no task ecko here; did you mean echo\?$", ("ecko",), {}),
            (BadArguments, r"^number: 'x' is not a whole number$", ("echo", "x"), {}),
            (BadArguments, r"^too many arguments: 2 has no place$", ("echo", 1, 2), {}),
            (BadArguments, r"^number: missing$", ("echo",), {}),
            (BadArguments, r"^number: given twice$", ("echo", 1), {"number": 1}),
            (BadArguments, r"^there is no parameter named weight$", ("echo", 1), {"weight": 1}),
        ):
            with pytest.raises(error, match=text):
                await app.submit(*args, **kwargs)
        held = [await app.submit("hold") for _ in range(3)]
        with pytest.raises(TooManyJobs):
            await app.submit("echo", 1, to=bot.full)
        echo.go.set()
        assert await asyncio.gather(*held) == 3 * ["held"]
        assert await (await app.submit("echo", 1)) == 1


async def test_batches_that_cannot_be_read(xmpp: Server) -> None:
    echo = Echo()
    async with serving(echo.node, xmpp, for_people=False) as bot, by_hand(xmpp) as hand:
        frames = ET.Element(f"{{{JABOT}}}frames")
        assert await hand.send_payload(bot.full, frames) == "bad-request"
        ET.SubElement(frames, f"{{{JSON}}}json").text = "[]"
        assert await hand.send_payload(bot.full, frames) == ""
        ET.SubElement(frames, f"{{{JSON}}}json").text = "[]"
        assert await hand.send_payload(bot.full, frames) == "bad-request"
        frames = ET.Element(f"{{{JABOT}}}frames")
        ET.SubElement(frames, f"{{{JABOT}}}deflate").text = "no base64!"
        assert await hand.send_payload(bot.full, frames) == "bad-request"
        for wrong in ("", "{}", "7", "[", "nonsense", '[["submit"', "[]" * 2, "[" * 5000):
            assert await hand.send(bot.full, wrong) == "bad-request", wrong
        bomb = json.dumps([["echo", "x" * 10_000_000]])
        assert await hand.send(bot.full, bomb, deflate=True) == "bad-request"
        assert await hand.send(bot.full, "[" + " " * 70_000 + "]") == "bad-request"
        assert await hand.send(bot.full, [["query", ID]] * 257) == "bad-request"
        # Frames that are no frames are passed over; the others of their batch count.
        batch = [
            [],
            7,
            None,
            ["new_in_version_2", ID],
            ["submit"],
            ["submit", 7, "echo"],
            ["submit", ID, 7, [1]],
            ["submit", ID[:-1] + "1", "echo", {"no": "array"}],
            ["cancel", []],
            ["succeeded", ID, 1, 7],
            ["part", 1, 5, 2, ID, "x"],
            [
                "submit",
                ID[:-1] + "2",
                "echo",
                [5],
                {},
                1,
                None,
                {},
                None,
                "",
                None,
                "from version 2",
            ],
        ]
        assert await hand.send(bot.full, batch) == ""
        assert await hand.hear("succeeded", ID[:-1] + "2") == ["succeeded", ID[:-1] + "2", 1, 5]
        assert (await hand.hear("rejected", ID))[3] == "protocol"
        assert (await hand.hear("rejected", ID[:-1] + "1"))[3] == "protocol"
        assert await hand.send(bot.full, batch[-1:], deflate=True) == ""
        assert await hand.hear("succeeded", ID[:-1] + "2") == ["succeeded", ID[:-1] + "2", 1, 5]


async def test_a_stranger_by_hand(xmpp: Server) -> None:
    """One who may do nothing learns nothing, whatever he sends; neither from a caller."""
    node = Node()
    submit = [["submit", ID, "echo", [1]]]
    async with (
        serving(node, xmpp, for_people=False) as bot,
        calling(xmpp, bot) as app,
        by_hand(xmpp) as eve,
    ):
        for to in (bot.full, app.jid):
            for frames in (submit, [["query", ID]], [["describe", None]], "nonsense"):
                assert await eve.send(to, frames) == "forbidden"
        eve.show_as_node(str(app.jid))
        assert await eve.send(app.jid, [["hello", [], 8]]) == "forbidden"
        assert eve.frames == []


async def test_somebody_elses_job(xmpp: Server) -> None:
    """It is not seen, not cancelled and not answered for; and an id can be there twice."""
    echo = Echo()
    async with (
        serving(echo.node, xmpp, for_people=False) as bot,
        calling(xmpp, str(bot.jid), xmpp.fresh_user("app")) as app,
        calling(xmpp, str(bot.jid), xmpp.fresh_user("mallory")) as mallory,
        by_hand(xmpp) as eve,
    ):
        job = await app.submit("hold")
        with pytest.raises(UnknownJob):
            await mallory.job(job.id)
        assert await eve.send(bot.full, [["query", job.id], ["cancel", job.id, 0]]) == ""
        assert await eve.hear("state", job.id) == ["state", job.id, 0, "unknown"]
        await eve.hear("cancelled", job.id)
        assert await eve.send(bot.full, [["submit", job.id, "echo", [7], {}, 2]]) == ""

        # A node that the caller knows, of another account, which has not got that job.
        asking = asyncio.create_task(app.nodes(eve.person.account.jid))
        while not asking.done():
            eve.show_as_node(str(app.jid))
            await asyncio.sleep(0.02)
        assert [peer.jid for peer in await asking] == [eve.full]
        forged = [
            ["accepted", job.id, 1],
            ["progress", job.id, 1, 99, 1, 1, "forged"],
            ["state", job.id, 1, "unknown"],
            ["rejected", job.id, 1, "not_allowed", "forged"],
            ["failed", job.id, 9, "Forged", ""],
            ["cancelled", job.id, 1],
            ["succeeded", job.id, 2, "forged"],
            ["description", None, "", {}],
            ["hello", [], 8],
        ]
        assert await eve.send(app.jid, forged) == ""
        assert (job.status, job.peer, job.step) == ("unknown", str(bot.full), None)
        echo.go.set()
        assert await soon(_of(job)) == "held"


async def _of(job: object) -> object:
    return await job  # type: ignore[misc]


async def test_a_worker_that_answers_nonsense(xmpp: Server) -> None:
    """The caller's job ends with an error that says so, or goes on; the caller goes on."""
    async with by_hand(xmpp) as worker:
        account = worker.person.account
        async with calling(xmpp, account.jid, xmpp.fresh_user("app")) as app:

            async def submit() -> object:
                return await (await app.submit("lift", to=worker.full))

            for answer, error in (
                (["failed", None, 1, 5], "unreadable frame"),
                (["succeeded", None, 1, [[[]]] * 7], "^$"),
                (["rejected", None, 1, "because"], "unknown code because"),
                (["rejected", None, 0, "not_allowed", "no"], "^no$"),
                (["cancelled", None, 1, "tired"], "was cancelled: tired"),
            ):
                job = asyncio.create_task(submit())
                job_id = (await worker.hear("submit"))[1]
                await worker.send(app.jid, [[answer[0], job_id, *answer[2:]], [], ["failed"]])
                if error == "^$":
                    assert await job == [[[]]] * 7
                else:
                    with pytest.raises(JabotError, match=error):
                        await job


TEMPLATES = [
    ["submit", ID, "echo", [30], {"how": "fast"}, 1, 60.0, {"traceparent": "00"}],
    ["submit", ID, "echo", [1]],
    ["cancel", ID, 1, "its time is over"],
    ["query", ID, 1],
    ["describe", None],
    ["accepted", ID, 1],
    ["rejected", ID, 1, "bad_arguments", "no"],
    ["progress", ID, 1, 7, 7, 30, None],
    ["succeeded", ID, 1, "Lifted 30"],
    ["failed", ID, 1, "ValueError", "too heavy", "Traceback", "task"],
    ["state", ID, 1, "running"],
    ["heartbeat", [[ID, 1]]],
    ["hello", [[ID, 1]], 8],
    ["description", "lift", "5d1c", {"lift": {"doc": "", "args": {}, "result": {}}}],
    ["part", 4711, 0, 2, ID, "7cEBAQAAAICQ"],
]
STRANGE = [None, True, -1, 0, 2**53, 2**70, 1e308, "", "x" * 300, "\u0000", "\ufffe", [], {}, [[]]]


def mutated(rng: random.Random) -> tuple[str, bool]:
    """The text of a batch that was right once, and whether it is to be deflated."""
    frames = [json.loads(json.dumps(rng.choice(TEMPLATES))) for _ in range(rng.randint(1, 4))]
    for frame in frames:
        if rng.random() < 0.3 and len(frame) > 1 and frame[1] == ID:
            frame[1] = f"job-{rng.randrange(50)}"
        for _ in range(rng.choice((0, 0, 1, 2))):
            where = rng.randrange(len(frame)) if frame else 0
            change = rng.choice(("swap", "drop", "add", "nest"))
            if change == "swap" and frame:
                frame[where] = rng.choice(STRANGE)
            elif change == "drop":
                del frame[where:]
            elif change == "add":
                frame.insert(where, rng.choice(STRANGE))
            elif frame:
                for _ in range(rng.choice((1, 150))):
                    frame[where] = [frame[where]]
    text = json.dumps(frames)
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        where = rng.randrange(len(text))
        text = text[:where] + rng.choice('[]{},":0\\ué') + text[where + rng.randrange(2) :]
    return text, rng.random() < 0.4


async def test_mutated_batches(xmpp: Server) -> None:
    """Each is answered, and both a node and a caller that know who sends them go on."""
    rng, echo = random.Random(SEED), Echo()
    async with (
        by_hand(xmpp) as hand,
        serving(echo.node, xmpp, for_people=False) as bot,
        calling(xmpp, hand.person.account.jid, xmpp.fresh_user("app")) as app,
        calling(xmpp, bot) as honest,
    ):
        lost = asyncio.create_task(app.submit("lift", to=hand.full))
        job_id = (await hand.hear("submit"))[1]
        hand.show_as_node(str(app.jid))  # else it is a stranger as soon as that job has ended
        told = []

        async def flood(count: int) -> None:
            for _ in range(count):
                text, deflate = mutated(rng)
                if rng.random() < 0.3:
                    text = text.replace(ID, job_id)
                told.append(await hand.send(bot.full, text, deflate=deflate))
                told.append(await hand.send(app.jid, text, deflate=deflate))

        for _ in range(5):
            await asyncio.gather(*(flood(10) for _ in range(4)))
            assert await (await honest.submit("echo", 1)) == 1
        assert set(told) == {"", "bad-request"}, f"seed {SEED}"
        assert 0.3 < told.count("") / len(told) < 0.99
        assert len(echo.node._live.calls) == 0

        if not lost.done():
            await hand.send(app.jid, [["cancelled", job_id, 1]])
        with contextlib.suppress(JabotError):  # it ended in whichever way a mutation said
            await soon(_of(await lost))
        fresh = asyncio.create_task(app.submit("lift", to=hand.full))
        job_id = (await hand.hear("submit"))[1]
        assert await hand.send(app.jid, [["succeeded", job_id, 1, "still here"]]) == ""
        assert await (await fresh) == "still here"


async def test_a_cancel_before_its_submit(xmpp: Server) -> None:
    echo = Echo()
    async with serving(echo.node, xmpp, for_people=False) as bot, by_hand(xmpp) as hand:
        assert await hand.send(bot.full, [["cancel", ID, 1, "never mind"]]) == ""
        assert await hand.hear("cancelled", ID) == ["cancelled", ID, 1, "never mind"]
        assert await hand.send(bot.full, [["submit", ID, "echo", [1]]]) == ""
        assert (await hand.hear("cancelled", ID))[:3] == ["cancelled", ID, 1]
        assert echo.node._live.runner.running == 0
