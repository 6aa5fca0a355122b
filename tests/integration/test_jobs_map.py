"""Many jobs at once, and jobs that are asked for again by their ids."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import jabot.sync
from chatting import calling, jabot_account, serving, signed_in, until
from jabot import (
    BadArguments,
    ConnectionFailed,
    Context,
    JabotError,
    JobCancelled,
    NobodyThere,
    Node,
    Retry,
    Step,
    TaskFailed,
    UnknownJob,
)
from servers import Server


async def test_map_is_ordered_and_bounded(xmpp: Server) -> None:
    node, running, most = Node(concurrency=50), 0, 0
    turns = [asyncio.Event() for _ in range(40)]

    @node.task
    async def square(number: int, plus: int = 0) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if number < len(turns):
            await turns[number].wait()
        running -= 1
        return number * number + plus

    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for number in range(len(turns)):
            read += 1
            yield number

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        results = app.map(square, numbers(), itertools.count(), in_flight=7)
        assert read == 0  # nothing is begun before it is iterated
        waiting = asyncio.create_task(anext(results))
        await until(lambda: running >= 7)
        assert read == 8  # one more than is under way: the one that waits for room
        for number in range(6, 0, -1):  # the last one first
            turns[number].set()
        turns[0].set()
        assert await waiting == 0
        assert [await anext(results) for _ in range(6)] == [n * n + n for n in range(1, 7)]
        for turn in turns:
            turn.set()
        assert [value async for value in results] == [n * n + n for n in range(7, len(turns))]
        assert most <= 7
        assert [r async for r in app.map("square", range(100, 103))] == [10000, 10201, 10404]
        assert [r async for r in app.map("square", [])] == []


async def test_an_error_in_a_map_cancels_the_rest(xmpp: Server) -> None:
    node, cancelled = Node(concurrency=50), []

    @node.task
    async def halve(number: int) -> int:
        if number == 3:
            raise ValueError("odd")
        if number > 3:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(number)
        return number // 2

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        results = []
        with pytest.raises(TaskFailed, match="ValueError: odd"):
            async for result in app.map("halve", itertools.count(), in_flight=10):
                results.append(result)
        assert results == [0, 0, 1]
        await until(lambda: not bot.node._live.runner.running)
        assert sorted(cancelled) == list(range(4, 4 + len(cancelled)))
        assert len(cancelled) >= 6

        # So does leaving it.
        cancelled.clear()
        results = app.map("halve", [0, 5, 6])
        assert await anext(results) == 0
        await results.aclose()
        await until(lambda: len(app._calls) == 0)
        assert sorted(cancelled) in ([5, 6], [])  # those that had begun


async def test_a_map_that_goes_on_after_an_error(xmpp: Server) -> None:
    node = Node(concurrency=50)

    @node.task
    async def halve(number: int) -> int:
        if number % 2:
            raise ValueError("odd")
        return number // 2

    # A wrong type is refused over there, and what is no JSON never leaves.
    items: list[Any] = [0, 1, 2, "x", object(), 4]
    wanted = [0, TaskFailed, 1, BadArguments, BadArguments, 2]

    def kinds(outcomes: list[Any]) -> list[Any]:
        return [type(o) if isinstance(o, JabotError) else o for o in outcomes]

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        for in_flight in (1, 2, 100):
            results = app.map("halve", items, in_flight=in_flight, return_exceptions=True)
            assert kinds([outcome async for outcome in results]) == wanted
        # Without a connection there is nothing to go on with.
        endless = app.map("halve", itertools.count(), in_flight=3, return_exceptions=True)
        assert await anext(endless) == 0
        await app.__aexit__(None, None, None)
        with pytest.raises(ConnectionFailed):
            async for _ in endless:
                pass

        def blocking(client: jabot.sync.Client) -> list[Any]:
            with client as app:
                return list(app.map("halve", items, in_flight=2, return_exceptions=True))

        client = jabot.sync.connect(account=jabot_account(xmpp, bot.account), to=bot.jid)
        assert kinds(await asyncio.to_thread(blocking, client)) == wanted


async def test_as_they_end(xmpp: Server) -> None:
    node, turns = Node(), [asyncio.Event() for _ in range(5)]

    @node.task
    async def wait(number: int) -> int:
        await turns[number].wait()
        if number == 2:
            raise ValueError
        return number

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        jobs = [await app.submit("wait", number) for number in range(5)]
        order = [3, 0, 2, 4, 1]
        ended = []
        turns[order[0]].set()
        async for job in app.as_completed(jobs):
            ended.append(jobs.index(job))
            if len(ended) < 5:
                turns[order[len(ended)]].set()
        assert ended == order
        assert [job.status for job in jobs] == ["succeeded"] * 2 + ["failed"] + ["succeeded"] * 2
        assert [jobs.index(job) async for job in app.as_completed(jobs)] == [0, 1, 2, 3, 4]


async def test_a_job_is_asked_for_by_another_program(xmpp: Server) -> None:
    node, go, stopped = Node(), asyncio.Event(), asyncio.Event()

    @node.task
    async def lift(reps: int, *, ctx: Context) -> str:
        ctx.progress(1, reps)
        try:
            await go.wait()
        finally:
            stopped.set()
        return f"Lifted {reps}"

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as second:
        async with calling(xmpp, bot) as first:
            job = await first.submit("lift", 30)
            again, twice = await asyncio.gather(second.job(job.id), second.job(job.id))
            assert again is twice
            assert again is await second.job(job.id)
            assert await anext(aiter(again.progress)) == Step(1, 30)
            assert (again.id, again.peer, again.attempt) == (job.id, str(bot.full), 1)
            alone = await first.submit("lift", 31)
        # The one that gave it away is gone; the job is not.
        third = await second.job(alone.id, to=bot.full)
        go.set()
        assert await again == "Lifted 30"
        assert await third == "Lifted 31"
        for job_id, result in ((job.id, "Lifted 30"), (alone.id, "Lifted 31")):
            assert await (await second.job(job_id)) == result  # and it is kept
        with pytest.raises(UnknownJob, match="nobody who was asked knows job 0192"):
            await second.job("0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00")
        with pytest.raises(NobodyThere):
            await second.job(job.id, to=f"{bot.jid}/nowhere")

        # Who has taken it up may stop it, too.
        go.clear()
        stopped.clear()
        job = await second.submit("lift", 1)
        async with calling(xmpp, bot) as first:
            taken = await first.job(job.id)
            taken.cancel("no")
            for handle in (taken, job):
                with pytest.raises(JobCancelled, match=r"was cancelled: no$"):
                    await handle
        assert stopped.is_set()


async def test_a_node_gives_jobs_to_another_one_and_to_its_own_pool(xmpp: Server) -> None:
    account, pool = xmpp.fresh_user("bot"), xmpp.fresh_user("worker")
    foreman, worker = Node(concurrency=3), Node(allow={account.jid: "*"})

    @worker.task
    async def square(number: int, *, ctx: Context) -> tuple[int, str]:
        ctx.progress(number)
        return number * number, str(ctx.caller)

    @foreman.task
    async def squares(most: int) -> int:
        total = 0
        async for value, _ in foreman.map("square", range(most), to=pool.jid):
            total += value
        return total

    @foreman.task
    async def who(number: int) -> list[Any]:
        job = await foreman.submit(square, number, to=pool.jid)
        steps = [step async for step in job.progress]
        return [*(await job), [step.done for step in steps]]

    @foreman.task
    async def around() -> int:
        """Its own pool is itself alone."""
        job = await foreman.submit("squares", 5, to=account.jid)
        assert [peer.jid for peer in await foreman.nodes(account.jid)] == [job.peer]
        assert "around" in await foreman.describe(account.jid)
        return await job

    async with (
        serving(foreman, xmpp, account, for_people=False) as bot,
        serving(worker, xmpp, pool, for_people=False),
        calling(xmpp, bot) as app,
    ):
        assert await (await app.submit("squares", 10)) == 285
        assert await (await app.submit("who", 3)) == [9, str(bot.full), [3]]
        assert await (await app.submit("around")) == 30
        job = await foreman.submit("squares", 3, to=bot.full)  # from outside of a task
        assert await job == 5


async def test_the_same_job_from_a_program_and_from_a_person(xmpp: Server) -> None:
    node, go = Node(allow={"*": "*"}, concurrency=1), asyncio.Event()

    @node.task
    async def hold(*, ctx: Context) -> str:
        await go.wait()
        return str(ctx.caller.bare)

    ann_account = xmpp.fresh_user("ann")
    async with (
        serving(node, xmpp) as bot,
        signed_in(xmpp, ann_account) as ann,
        calling(xmpp, bot) as app,
    ):
        job = await app.submit("hold")
        await ann.ask(bot.jid, "hold", "^Scheduled")
        await ann.ask(bot.jid, "status", "1 of 1 running")
        go.set()
        assert await job == bot.account.jid
        await ann.hear(f"is done: {ann_account.jid}$")


async def test_progress_of_a_job_that_moves_begins_anew(xmpp: Server) -> None:
    node, ran = Node(), []

    @node.task
    async def lift(*, ctx: Context) -> int:
        ran.append(ctx.attempt)
        ctx.progress(10 if ctx.attempt == 1 else 1, 10)
        if ctx.attempt == 1:
            raise OSError
        return ctx.attempt

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        job = await app.submit("lift", to=bot.full, retries=Retry(attempts=2, backoff=0.01))
        done = [step.done async for step in job.progress]
        assert done[-1] == 1
        assert job.attempt == 2
        assert await job == 2
