"""`jabot top` over real servers: what it shows of nodes and queues, to whom, and what it stops."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from chatting import LIMIT, QUICK, Bench, calling, serving, soon
from jabot import Client, JobCancelled, Node, NodeJob, NotAllowed, UnknownJob
from jabot.cli.top.feed import Feed
from jabot.cli.top.fleet import Fleet
from jabot.cli.top.screen import Top
from network import Proxy
from servers import Account, Server


class Watcher:
    """Somebody in front of the screen."""

    def __init__(self, app: Client, top: Top, pilot: object) -> None:
        self.app = app
        self.top = top
        self.pilot = pilot

    @property
    def text(self) -> str:
        return "\n".join(s.text.rstrip() for s in self.top.screen._compositor.render_strips())

    async def sees(self, *texts: str, but: str = "") -> None:
        """Wait until all of it is on the screen."""

        def look() -> bool:
            shown = self.text
            return all(text in shown for text in texts) and not (but and but in shown)

        await self.until(look, f"{texts} and not {but!r}")

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + LIMIT
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"no {what}:\n{self.text}"
            await asyncio.sleep(0.02)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


@asynccontextmanager
async def watching(
    xmpp: Server, account: Account, *addresses: str, **options: object
) -> AsyncIterator[Watcher]:
    async with calling(xmpp, None, account, **options) as app:
        fleet = Fleet(addresses, time.monotonic, time.time)
        with Feed(app, addresses, fleet) as feed:
            top = Top(feed)
            async with top.run_test(size=(120, 40)) as pilot:
                yield Watcher(app, top, pilot)


async def test_a_manager_sees_all_and_stops_a_job(xmpp: Server) -> None:
    bot, ann, boss, eve = (xmpp.fresh_user(name) for name in ("bot", "ann", "boss", "eve"))
    node = Node(allow={ann.jid: "*"}, manage=[boss.jid], concurrency=4, labels={"gpu": "a100"})

    @node.task
    async def hold() -> None:
        await asyncio.Event().wait()

    @node.task
    async def fall() -> None:
        raise ValueError("too heavy")

    async with (
        serving(node, xmpp, bot, for_people=False),
        calling(xmpp, bot.jid, ann) as app,
        watching(xmpp, boss, bot.jid) as manager,
        watching(xmpp, ann, bot.jid) as caller,
        watching(xmpp, eve, bot.jid) as stranger,
    ):
        await manager.sees("0 of 4", "1 node, 0 of 4 slots taken", " 0.0 ", but="  -  ")
        job = await app.submit("hold")
        await app.submit("fall")
        for who in (manager, caller):
            await who.sees("1 of 4", "fall failed: ValueError: too heavy")
        await stranger.sees(f"{bot.jid} does not allow {eve.jid} anything", "allow=")
        for secret in ("fall", "of 4", str(node.jid).partition("/")[2], "a100"):
            assert secret not in stranger.text

        await manager.press("enter")
        await manager.sees(f"hold  {' ' * 4}", ann.jid, "running", "labels gpu=a100")
        await manager.press("c")
        await manager.sees(f"Stop hold {job.id[-8:]} of {ann.jid}?")
        await manager.press("y")
        with pytest.raises(JobCancelled, match=f"by {boss.jid}"):
            await soon(job)
        await manager.sees("is told to stop", "no jobs")

        # The same from a program: whoever has no right learns nothing, and stops nothing.
        job = await app.submit("hold")
        for name, arguments in (("node.jobs", {}), ("node.cancel", {"id": job.id})):
            with pytest.raises(NotAllowed):
                await (await stranger.app.submit(name, to=bot.jid, arguments=arguments))
        with pytest.raises(UnknownJob):
            await (await app.submit("node.cancel", id="0199"))
        stopped = await (await app.submit("node.cancel", id=job.id))
        assert stopped["stopping"]
        with pytest.raises(JobCancelled):
            await soon(job)
        assert set(NodeJob.__struct_fields__) == set(stopped)
        node.stop()
        await caller.sees("has left: jabot down")
        assert "does not allow" in stranger.text


async def test_a_queue_and_its_workers(xmpp: Server, bench: Bench) -> None:
    async def hold() -> None:
        await asyncio.Event().wait()

    async with (
        bench.queue(),
        bench.working(hold, concurrency=2, drain_limit=0.1),
        bench.calling() as app,
        watching(xmpp, bench.caller, bench.account.jid) as caller,
    ):
        jobs = [await app.submit("hold") for _ in range(5)]
        await caller.sees("queue", "2 of 2", "2 of 2 slots taken, 3 waiting")
        await caller.press("enter")
        await caller.sees(
            jobs[0].id[-8:], "running", bench.worker.jid.partition("-")[0], "available"
        )
        await caller.press("c", "y")
        with pytest.raises(JobCancelled):
            await soon(jobs[0])
        await caller.sees("is told to stop", but=jobs[0].id[-8:] + "  hold")
        await caller.press("escape")
        await caller.sees("2 of 2 slots taken, 2 waiting")


async def test_a_lost_connection_and_a_node_that_left_meanwhile(xmpp: Server) -> None:
    bot, ann = xmpp.fresh_user("bot"), xmpp.fresh_user("ann")
    nodes = [Node(allow={ann.jid: "*"}) for _ in range(2)]
    with Proxy(xmpp.port) as proxy:
        async with (
            serving(nodes[0], xmpp, bot, for_people=False) as stays,
            serving(nodes[1], xmpp, bot, for_people=False) as leaves,
            watching(xmpp, ann, bot.jid, address=proxy.address, timing=QUICK) as caller,
        ):
            names = [each.full.resource[-9:] for each in (stays, leaves)]
            await caller.sees("2 nodes", *names)
            proxy.refuse()
            proxy.cut()
            await caller.sees("No connection for", "trying again", *names)
            nodes[1].stop()
            await leaves.left()
            proxy.allow()
            await caller.sees("1 node,", "the connection is back", "has not come back")
            await caller.sees(names[0], but=f"{names[1]}   ")
