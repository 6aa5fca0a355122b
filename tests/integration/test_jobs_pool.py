"""A program gives jobs to a pool: who is there, who gets a job, what happens when nobody does."""

import asyncio
from collections import Counter

import pytest

from chatting import LIMIT, calling, serving, soon
from jabot import Context, JobTimeout, NobodyThere, Node, NotAllowed, Retry, TaskFailed, UnknownTask
from processor import Busy
from servers import Server


async def test_jobs_are_spread_and_nodes_are_told(xmpp: Server) -> None:
    nodes = [
        Node(labels={"gpu": gpu, "rack": "7"}, concurrency=4, drain_limit=0.1)
        for gpu in ("a100", "h100 é=")
    ]
    go, ran = asyncio.Event(), Counter[str]()

    for node in nodes:

        @node.task
        async def hold(*, ctx: Context) -> str:
            """Wait for the word."""
            await go.wait()
            return ""

    @nodes[1].task
    async def only_here(reps: int = 30, how: str = "slow") -> list[int]:
        return [reps]

    account = xmpp.fresh_user("bot")
    async with (
        serving(nodes[0], xmpp, account, for_people=False) as first,
        serving(nodes[1], xmpp, account, for_people=False) as second,
        calling(xmpp, first) as app,
    ):
        jobs = await asyncio.gather(*(app.submit("hold") for _ in range(8)))
        ran.update(job.peer for job in jobs)
        assert ran == {str(first.full): 4, str(second.full): 4}

        by_label = await app.submit("hold", where={"gpu": "a100", "rack": ("6", "7")})
        assert by_label.peer == str(first.full)
        for _ in range(3):
            assert (await app.submit("only_here")).peer == str(second.full)
        with pytest.raises(NobodyThere, match=r"2 nodes at \S+, and none of them has gpu=v100$"):
            await app.submit("hold", where={"gpu": "v100"})

        peers = await app.nodes()
        assert [peer.jid for peer in peers] == sorted([str(first.full), str(second.full)])
        told = {peer.jid: peer for peer in peers}
        assert told[str(first.full)].labels == {"gpu": "a100", "rack": "7"}
        assert told[str(second.full)].labels == {"gpu": "h100 é=", "rack": "7"}
        assert told[str(first.full)].tasks == {"hold"}
        assert told[str(second.full)].tasks == {"hold", "only_here"}
        assert {peer.slots for peer in peers} == {4}
        assert (await app.nodes(second.full))[0].jid == str(second.full)

        found = await app.describe(second.full)
        assert found.keys() == {"hold", "only_here"}
        assert found["hold"].doc == "Wait for the word."
        found = await app.describe(task="only_here")  # the one that has it is asked
        assert found["only_here"].args["properties"] == {
            "reps": {"type": "integer", "default": 30},
            "how": {"type": "string", "default": "slow"},
        }
        assert found["only_here"].result == {"type": "array", "items": {"type": "integer"}}
        assert await app.describe(task="only_here") is found  # it is kept by its version
        with pytest.raises(UnknownTask, match="has no task lift"):
            await app.describe(task="lift")
        go.set()
        await asyncio.gather(*jobs, by_label)


async def test_the_load_that_a_node_tells(xmpp: Server) -> None:
    """By other callers as well: each new job goes to the one that is less busy."""
    nodes, go = (
        [Node(concurrency=2, drain_limit=0.1), Node(concurrency=2, drain_limit=0.1)],
        asyncio.Event(),
    )
    for node in nodes:

        @node.task
        async def hold() -> None:
            await go.wait()

    account = xmpp.fresh_user("bot")
    async with (
        serving(nodes[0], xmpp, account, for_people=False) as busy,
        serving(nodes[1], xmpp, account, for_people=False) as free,
        calling(xmpp, busy) as other,
        calling(xmpp, busy) as app,
    ):
        jobs = [await other.submit("hold", to=busy.full) for _ in range(4)]
        async with asyncio.timeout(LIMIT):  # told at once, and then once a second
            while [peer.load for peer in await app.nodes(busy.full)] != [2.0]:
                await asyncio.sleep(0.05)
        async with asyncio.timeout(LIMIT):
            while len(await app.nodes(busy.jid)) < 2:
                await asyncio.sleep(0.05)
        mine = [await app.submit("hold") for _ in range(3)]
        assert [job.peer for job in mine] == 3 * [str(free.full)]
        go.set()
        await asyncio.gather(*jobs, *mine)


async def test_nobody_is_there(xmpp: Server) -> None:
    """All at once, as each of them takes the two seconds that a node has to answer."""
    account, absent = xmpp.fresh_user("app"), xmpp.fresh_user("bot")
    async with calling(xmpp, absent.jid, account) as app:
        nobody = f"^nobody at {absent.jid} answers: is it online, and does it allow {account.jid}"
        errors = await asyncio.gather(
            app.submit("lift"),
            app.submit("lift", retries=3),
            app.submit("lift", to=f"nobody@{xmpp.domain}"),
            app.describe(),
            app.job("0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00"),
            _list(app.map("lift", [1, 2])),
            app.nodes(),
            return_exceptions=True,
        )
        assert errors.pop() == []
        for error in errors:
            with pytest.raises(NobodyThere, match="answers: is it online"):
                raise error  # type: ignore[misc]
        with pytest.raises(NobodyThere, match=nobody):
            raise errors[0]  # type: ignore[misc]
        with pytest.raises(JobTimeout, match=r"has no outcome after 0\.1 s"):
            await app.submit("lift", wait=True, timeout=0.1)
        assert len(app._calls) == 0


async def _list(items: object) -> list[object]:
    return [item async for item in items]  # type: ignore[attr-defined]


async def test_a_job_waits_for_a_node_that_comes_later(xmpp: Server) -> None:
    node, account = Node(labels={"gpu": "a100"}), xmpp.fresh_user("bot")

    @node.task
    async def lift(reps: int) -> str:
        return f"Lifted {reps}"

    async with calling(xmpp, account.jid, account) as app:
        waiting = [
            asyncio.create_task(app.submit("lift", n, wait=True, where=where))
            for n, where in enumerate((None, {"gpu": "a100"}, {"gpu": "h100"}))
        ]
        while len(app._calls) < 3:
            await asyncio.sleep(0)
        async with serving(node, xmpp, account, for_people=False):
            for n in (0, 1):
                job = await soon(waiting[n])
                assert await job == f"Lifted {n}"
            assert not waiting[2].done()
            waiting[2].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[2]


async def test_a_stranger_is_told_so(xmpp: Server) -> None:
    node, stranger, friend = Node(allow={}), xmpp.fresh_user("eve"), xmpp.fresh_user("app")
    some = Node(allow={friend.jid: ["wave"]})
    for each in (node, some):

        @each.task
        async def lift() -> None:
            raise AssertionError("never")

        @each.task
        async def wave() -> str:
            return "o/"

    async with (
        serving(node, xmpp, for_people=False) as bot,
        serving(some, xmpp, for_people=False) as other,
        calling(xmpp, str(bot.jid), stranger) as eve,
        calling(xmpp, str(other.jid), friend) as app,
    ):
        loop = asyncio.get_running_loop()
        began, busy = loop.time(), Busy(xmpp.pid)
        for attempt in (
            eve.submit("lift"),
            eve.submit("lift", to=bot.full),  # past the greeting: the node itself refuses
            eve.submit("lift", wait=True),
            eve.describe(),
            eve.nodes(),
            eve.job("0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00"),
        ):
            with pytest.raises(NotAllowed, match=r"does not allow|refuses"):
                await attempt
        assert loop.time() - began - busy.waited < 2 or xmpp.kind != "embedded"

        # A single task.
        assert (await app.nodes())[0].tasks == {"wave"}
        assert (await app.describe()).keys() == {"wave"}
        with pytest.raises(NotAllowed, match=f"the rule for {friend.jid} does not name lift"):
            await app.submit("lift")
        with pytest.raises(UnknownTask, match="or does not allow you to run it"):
            await app.describe(task="lift")
        assert await (await app.submit("wave")) == "o/"


async def test_a_retry_goes_to_another_node(xmpp: Server) -> None:
    nodes, ran = [Node(), Node()], []
    for number, node in enumerate(nodes):

        @node.task
        async def lift(good: int, *, ctx: Context, me: int = number) -> str:
            ran.append((me, ctx.attempt))
            if len(ran) < good:
                raise OSError("too heavy")
            return f"Lifted by {me}"

    account = xmpp.fresh_user("bot")
    quick = Retry(attempts=3, backoff=0.01)
    async with (
        serving(nodes[0], xmpp, account, for_people=False) as first,
        serving(nodes[1], xmpp, account, for_people=False),
        calling(xmpp, first) as app,
    ):
        job = await app.submit("lift", 2, retries=quick)
        assert await job == f"Lifted by {ran[1][0]}"
        assert [attempt for _, attempt in ran] == [1, 2]
        assert {me for me, _ in ran} == {0, 1}
        assert job.attempt == 2

        ran.clear()
        job = await app.submit("lift", 99, retries=quick)
        with pytest.raises(TaskFailed, match="OSError: too heavy"):
            await job
        assert [attempt for _, attempt in ran] == [1, 2, 3]
        assert ran[0][0] != ran[1][0] != ran[2][0]

        ran.clear()
        job = await app.submit("lift", 99)
        with pytest.raises(TaskFailed):
            await job
        job = await app.submit("lift", 99, retries=Retry(attempts=3, backoff=0, on=ValueError))
        with pytest.raises(TaskFailed):
            await job
        assert len(ran) == 2


async def test_a_retry_where_there_is_one_node_only(xmpp: Server) -> None:
    node, ran = Node(), []

    @node.task
    async def lift(*, ctx: Context) -> int:
        ran.append(ctx.attempt)
        if ctx.attempt == 1:
            raise OSError("too heavy")
        return ctx.attempt

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        once_more = Retry(attempts=2, backoff=0)
        jobs = [await app.submit("lift", to=to, retries=once_more) for to in (bot.jid, bot.full)]
        assert await asyncio.gather(*jobs) == [2, 2]  # a second later: there may be another node
        assert sorted(ran) == [1, 1, 2, 2]
