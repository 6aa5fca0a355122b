"""What every node answers: the commands it is born with, and words that it can't use."""

import asyncio
import re
from enum import Enum

import pytest

from chatting import LIMIT, Person, serving, signed_in
from jabot import Node
from servers import Server


class Bar(Enum):
    LONG = "long"
    CURLED = "curled"


class Rack:
    """A node with something of everything in its signatures, and jobs that last as long as told."""

    def __init__(self, person: str, **rights: object) -> None:
        self.let_go = asyncio.Event()
        self.node = Node(
            allow={person: "*", "guest@partner.example": ["lift"]}, drain_limit=LIMIT, **rights
        )

        @self.node.task
        async def lift(
            reps: int,
            *notes: str,
            bar: Bar = Bar.LONG,
            slow: bool = False,
            kilos: tuple[float, ...] = (),
        ) -> str:
            """Lift something heavy.

            For as long as it takes.
            """
            return f"{reps} {bar.value} {slow} {kilos} {notes}"

        @self.node.task
        async def hold() -> None:
            await self.let_go.wait()


@pytest.mark.also_prosody
async def test_a_node_tells_what_it_can(xmpp: Server, ann: Person) -> None:
    async with serving(Rack(ann.boundjid.bare).node, xmpp) as bot:
        usage = "lift REPS [NOTES...] [bar=long] [slow=no] [kilos=]"
        listing = (await ann.ask(bot.jid, "help")).body.splitlines()
        assert listing[0] == "You can ask me for:"
        assert re.fullmatch(r"  lift .* - Lift something heavy\.", listing[1]), usage
        assert listing[2:] == [
            "  hold",
            "and: help TASK, jobs, cancel ID, status, can JID TASK",
        ]
        explained = (await ann.ask(bot.jid, "help lift")).body
        assert "Lift something heavy.\n\nFor as long as it takes." in explained
        assert "  reps: " in explained
        assert "  bar: " in explained
        await ann.ask(bot.jid, "HELP hlod", "^Dunno how to hlod. Did you mean hold\\?$")


async def test_words_become_typed_arguments(xmpp: Server, ann: Person) -> None:
    lines = {
        "lift 3": "3 long False () ()",
        "Lift 3 'two words' more": "3 long False () ('two words', 'more')",
        "lift reps=3 bar=curled": "3 curled False () ()",
        "lift --reps 3 --bar=curled --slow": "3 curled True () ()",
        "lift --no-slow 3 kilos=1.5,20": "3 long False (1.5, 20.0) ()",
        "lift 3 kilos='[1, 2]' -- --slow bar=x": "3 long False (1.0, 2.0) ('--slow', 'bar=x')",
        "lift “3” slow=yes": "3 long True () ()",
    }
    async with serving(Rack(ann.boundjid.bare).node, xmpp) as bot:
        for line, result in lines.items():
            ann.say(bot.jid, line)
            text = await ann.hear("^lift .* is done: ")
            assert text.body.partition(" is done: ")[2] == result, line


async def test_a_wrong_argument_is_refused_before_anything_runs(xmpp: Server, ann: Person) -> None:
    lines = {
        "lift": "reps",
        "lift three": "reps",
        "lift 3 bar=straight": "bar",
        "lift 3 slow=perhaps": "slow",
        "lift 3 kilos=many": "kilos",
        "lift 3 kilos=[1,": "kilos",
        "lift 3 --weight 9": "weight",
        "lift 3 reps=4": "reps",
        "lift 3 --bar": "bar",
        "lift 'three": "quote",
        "hold 1": "too many",
    }
    async with serving(Rack(ann.boundjid.bare).node, xmpp) as bot:
        for line, culprit in lines.items():
            text = (await ann.ask(bot.jid, line)).body
            reason, _, usage = text.partition("\nUsage: ")
            assert culprit in reason, line
            assert reason.endswith((".", "?")), line
            assert usage.startswith(line.split()[0]), line
        await ann.ask(bot.jid, "jobs", "^No jobs.$")
        assert not [body for body in ann.bodies if body.startswith("Scheduled")]


async def test_what_is_not_known_is_said_so_with_a_guess(xmpp: Server, ann: Person) -> None:
    lines = {
        "dance": "Dunno how to dance",
        "lfit 3": "Dunno how to lfit. Did you mean lift?",
        "statsu": "Dunno how to statsu. Did you mean status?",
        "jobs now": "jobs stands alone.",
        "status please": "status stands alone.",
        "cancel": "say: cancel ID (jobs shows the ids).",
        "can": "say: can JID TASK.",
        "can not@an@address lift": "not@an@address is not an address.",
        "x" * 200: f"Dunno how to {'x' * 60}... (200 characters in all)",
    }
    async with serving(Rack(ann.boundjid.bare).node, xmpp) as bot:
        for line, answer in lines.items():
            assert (await ann.ask(bot.jid, line)).body == answer


async def test_jobs_are_listed_and_cancelled(xmpp: Server, ann: Person) -> None:
    async with serving(Rack(ann.boundjid.bare).node, xmpp) as bot:
        await ann.ask(bot.jid, "jobs", "^No jobs.$")
        first = _job((await ann.ask(bot.jid, "hold")).body)
        await ann.ask(bot.jid, "status", r"^1 of 8 running\. Up for \d+ s, jabot \d")
        second = _job((await ann.ask(bot.jid, "hold")).body)
        listing = (await ann.ask(bot.jid, "jobs", "running for")).body.splitlines()
        assert [line.partition(":")[0] for line in listing] == [f"hold {first}", f"hold {second}"]
        await ann.ask(bot.jid, "cancel hold", f"^Which one.*{first}.*{second}")
        await ann.ask(bot.jid, "cancel ffff0", "^There is no job ffff0.$")
        await ann.ask(bot.jid, f"cancel {first.upper()}", f"^Cancelling hold {first}.$")
        await ann.hear(f"^hold {first} was cancelled.$")
        await ann.ask(bot.jid, "cancel hold", f"^Cancelling hold {second}.$")
        await ann.hear(f"^hold {second} was cancelled.$")
        await ann.ask(bot.jid, "jobs", "^No jobs.$")


async def test_only_a_manager_sees_and_stops_the_jobs_of_others(xmpp: Server, ann: Person) -> None:
    async with signed_in(xmpp) as boss, signed_in(xmpp) as bob:
        rack = Rack("*", manage=[boss.boundjid.bare])
        async with serving(rack.node, xmpp) as bot:
            job = _job((await ann.ask(bot.jid, "hold")).body)
            await bob.ask(bot.jid, "jobs", "^No jobs.$")
            await bob.ask(bot.jid, f"cancel {job}", f"^There is no job {job}.$")
            await bob.ask(bot.jid, "exit", "^You may not stop me: .*not among those who manage")
            await bob.ask(bot.jid, f"can {ann.boundjid.bare} lift", "^Only those who manage me")
            await boss.ask(bot.jid, "jobs", f"^hold {job}: running.*, for {ann.boundjid.bare}$")
            await boss.ask(bot.jid, f"cancel {job}", f"^Cancelling hold {job}.$")
            await ann.hear(f"^hold {job} was cancelled: by {boss.boundjid.bare}.$")
            await boss.ask(bot.jid, "exit", "^Leaving.$")
            await bot.left()


async def test_rights_are_explained(xmpp: Server, ann: Person) -> None:
    me = ann.boundjid.bare
    async with serving(Rack(me, manage=[me]).node, xmpp) as bot:
        lines = {
            f"can {me} lift": f"Yes: the rule for {me} allows it.",
            f"can {me} exit": f"Yes: manage names {me}.",
            "can guest@partner.example lift": "Yes: the rule for guest@partner.example allows it.",
            "can guest@partner.example hold": (
                "No: the rule for guest@partner.example does not name hold."
            ),
            "can guest@partner.example exit": (
                "No: guest@partner.example is not among those who manage the node."
            ),
            "can mallory@evil.example lift": "No: no rule names mallory@evil.example.",
            f"can {bot.jid} hold": f"Yes: {bot.jid} is the node's own account.",
        }
        for line, answer in lines.items():
            assert (await ann.ask(bot.jid, line)).body == answer


def _job(scheduled: str) -> str:
    found = re.fullmatch(r"Scheduled \w+, job (\w{4})\.", scheduled)
    assert found, scheduled
    return found[1]
