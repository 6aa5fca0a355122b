"""Typing states (XEP-0085) and progress as corrections of one message (XEP-0308)."""

import asyncio

import pytest

from chatting import CHAT_STATES, CORRECT, LIMIT, Heard, serving, signed_in
from jabot import Context, Node
from processor import Busy
from servers import Server


class Counter:
    """A node whose one task shows each step that it is told to."""

    def __init__(self) -> None:
        self.node = Node(allow={"*": "*"}, drain_limit=LIMIT)
        self.steps: asyncio.Queue[int] = asyncio.Queue()
        self.taken = 0

        @self.node.task
        async def count(total: int, *, ctx: Context) -> str:
            """Until `total` was put into the queue."""
            while self.taken < total:
                self.taken = await self.steps.get()
                ctx.progress(self.taken, total, "reps")
            return "counted"


@pytest.mark.also_prosody
async def test_progress_is_one_message_that_is_corrected(xmpp: Server) -> None:
    counter = Counter()
    async with serving(counter.node, xmpp) as bot, signed_in(xmpp) as ann:
        ann.say(bot.jid, "count 30")
        scheduled = await ann.hear("^Scheduled count")
        await ann.until(lambda: (bot.full, "composing") in ann.typing, "typing")
        shown: list[Heard] = []
        busy, waited = Busy(xmpp.pid), []
        for step, percent in ((3, 10), (6, 20), (9, 30)):
            counter.steps.put_nowait(step)
            shown.append(await ann.hear(rf": {step} of 30 \({percent}%\), reps$"))
            waited.append(busy.waited)
        counter.steps.put_nowait(30)
        done = await ann.hear("is done: counted$")
        first, *corrections = shown
        assert first.replaces is None
        assert [text.replaces for text in corrections] == [first.id, first.id]
        assert len({text.id for text in (*shown, scheduled, done)}) == len(shown) + 2
        assert {text.sender for text in shown} == {bot.full}
        assert all(text.state == "composing" for text in shown)
        assert done.replaces is None
        assert done.state == "active"
        # Two seconds, less what the first one waited for the machine.
        assert shown[-1].at - shown[0].at > 1.5 - waited[0]


async def test_of_many_steps_in_a_second_one_is_shown(xmpp: Server) -> None:
    counter = Counter()
    async with serving(counter.node, xmpp) as bot, signed_in(xmpp) as ann:
        ann.say(bot.jid, "count 1000")
        await ann.until(lambda: (bot.full, "composing") in ann.typing, "typing")
        for step in range(1, 1000):
            counter.steps.put_nowait(step)
        # What is shown is how far it is by then, not how far it was.
        await ann.hear(": 999 of 1000")
        counter.steps.put_nowait(1000)
        await ann.hear("is done: counted$")
        assert len([body for body in ann.bodies if " of 1000" in body]) <= 2


@pytest.mark.parametrize(
    ("features", "corrected", "typing"),
    [((), False, False), ((CORRECT,), True, False), ((CHAT_STATES,), False, True)],
    ids=["nothing", "corrections", "typing"],
)
async def test_a_program_gets_what_it_can_show(
    xmpp: Server, features: tuple[str, ...], corrected: bool, typing: bool
) -> None:
    counter = Counter()
    async with serving(counter.node, xmpp) as bot, signed_in(xmpp, features=features) as ann:
        ann.say(bot.jid, "count 30")
        await ann.hear("^Scheduled count")
        counter.steps.put_nowait(10)
        if corrected:
            await ann.hear(": 10 of 30")
        if typing:
            await ann.until(lambda: (bot.full, "composing") in ann.typing, "typing")
        if not features:
            # It is asked what it can, and only then. Two seconds of steps would all show by now.
            await _steps_for(counter, 2.0)
        counter.steps.put_nowait(30)
        done = await ann.hear("is done: counted$")
        assert bool(ann.typing) == typing
        assert (done.state == "active") == typing
        assert any(" of 30" in body for body in ann.bodies) == corrected
        assert all(text.state is None for text in ann.texts) == (not typing)


async def test_a_job_that_is_done_at_once_needs_no_typing(xmpp: Server) -> None:
    counter = Counter()
    counter.steps.put_nowait(1)
    async with serving(counter.node, xmpp) as bot, signed_in(xmpp) as ann:
        await ann.ask(bot.jid, "count 1", "is done: counted$")
        await ann.ask(bot.jid, "status", "running")
        assert ann.typing == []
        assert [text for text in ann.texts if text.state or text.replaces] == []


async def test_two_programs_of_one_person_are_told_each_their_own(xmpp: Server) -> None:
    account = xmpp.fresh_user("ann")
    counter = Counter()
    async with (
        serving(counter.node, xmpp) as bot,
        signed_in(xmpp, account, resource="desk") as desk,
        signed_in(xmpp, account, features=(), resource="phone") as phone,
    ):
        desk.say(bot.jid, "count 30")
        await desk.hear("^Scheduled count")
        counter.steps.put_nowait(10)
        await desk.hear(": 10 of 30")
        await phone.ask(bot.full, "jobs", "^count .*: running.*10 of 30")
        counter.steps.put_nowait(30)
        await desk.hear("is done: counted$")
        await phone.ask(bot.full, "jobs", "^No jobs.$")
        assert not [body for body in phone.bodies if "is done" in body]


async def _steps_for(counter: Counter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        counter.steps.put_nowait(min(29, counter.taken + 1))
        await asyncio.sleep(0.1)
