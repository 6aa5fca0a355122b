"""People who say too much, and nodes that have too much to do."""

import asyncio
import statistics
from collections.abc import Callable
from pathlib import Path

from chatting import LIMIT, Person, node_program, serving, signed_in
from jabot import Node
from processor import Busy
from servers import Server


async def test_a_thousand_lines_in_a_second_are_bounded(xmpp: Server) -> None:
    node = Node(allow={"*": "*"}, drain_limit=0.1)
    never = asyncio.Event()

    @node.task
    async def hold() -> None:
        await never.wait()

    loop = asyncio.get_running_loop()
    async with serving(node, xmpp) as bot, signed_in(xmpp) as ann, signed_in(xmpp) as bob:
        await bob.ask(bot.jid, "status", "^0 of 8 running")
        began, busy = loop.time(), Busy(xmpp.pid)
        for _ in range(1000):
            ann.say(bot.jid, "hold")
        answer = await bob.ask(bot.jid, "status", "running")  # while they come in
        assert answer.at - began - busy.waited < 10
        await ann.hear("^Too fast: I take 50 lines at once and 10 a second after that")
        # In the end each line was either taken, or was counted among the dropped ones.
        async with asyncio.timeout(LIMIT):
            while _taken(ann) + _dropped(ann) < 1000:
                ann.say(bot.jid, "status")  # dropped as well, unless she has paused long enough
                await asyncio.sleep(0.15)
        elapsed = loop.time() - began
        assert 50 <= _taken(ann) <= 50 + 10 * elapsed + 1
        # It is said when lines begin to be dropped, not for each of them.
        assert len([body for body in ann.bodies if body.startswith("Too fast")]) <= 10 * elapsed + 1


def _taken(person: Person) -> int:
    return len([body for body in person.bodies if body.startswith("Scheduled")])


def _dropped(person: Person) -> int:
    return sum(int(body.split()[2]) for body in person.bodies if body.startswith("I dropped "))


async def test_unfinished_jobs_of_one_person_are_bounded(xmpp: Server) -> None:
    node = Node(allow={"*": "*"}, drain_limit=0.1)
    never = asyncio.Event()

    @node.task
    async def hold() -> None:
        await never.wait()

    async with serving(node, xmpp) as bot, signed_in(xmpp) as ann, signed_in(xmpp) as bob:
        assert node._serving is not None
        node._serving.runner.max_per_caller = 3
        for _ in range(3):
            await ann.ask(bot.jid, "hold", "^Scheduled")
        await ann.ask(bot.jid, "hold", "^3 of your jobs are unfinished; wait for some of them.$")
        await bob.ask(bot.jid, "hold", "^Scheduled")


HEAVY = """
    import sys
    from jabot import Node

    node = Node(allow={"*@localhost": "*"}, concurrency=11, drain_limit=0.1)
    end = False

    @node.task
    def lift(*, seconds: float = 60) -> int:
        n = 0
        while not end:
            n = (n * 31 + 7) % 1000003
        return n

    @node.task
    async def switch(seconds: float) -> None:
        sys.setswitchinterval(seconds)

    @node.on_stop
    async def let_go():
        global end
        end = True
"""
MOST = 0.1  # seconds: what was promised


async def test_ten_heavy_jobs_leave_the_node_answering(
    xmpp: Server, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Half of twenty answers come within the limit; on a machine that is too busy for that, in half
    of the time that they take with Python's own switch interval. Alone there, it is a tenth.
    """
    account = xmpp.fresh_user("bot")
    async with node_program(HEAVY, tmp_path, xmpp, account), signed_in(xmpp) as ann:
        for _ in range(10):
            await ann.ask(account.jid, "lift", "^Scheduled")
        times = await _times_to_answer(ann, account.jid, 20)
        median = statistics.median(times)
        figures = f"median {1000 * median:.1f} ms, max {1000 * max(times):.1f} ms"
        record_property("under load", figures)
        print(f"{xmpp.kind}: {figures}")
        if median >= MOST:
            await ann.ask(account.jid, "switch 0.005", "^switch .* is done")
            own = statistics.median(await _times_to_answer(ann, account.jid, 10))
            assert median < own / 2


async def _times_to_answer(person: Person, jid: str, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    times = []
    for _ in range(count):
        asked = loop.time()
        answer = await person.ask(jid, "status", "^10 of 11 running")
        times.append(answer.at - asked)
        await asyncio.sleep(0.1)  # as fast as a node lets people talk
    return times
