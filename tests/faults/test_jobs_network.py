"""The connection of a caller, or of everybody, breaks while jobs are under way."""

import asyncio
import collections
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatting import LIMIT, QUICK, Served, calling, serving, soon
from jabot import Client, Context, JabotError, Job, Node, Retry, Step
from jabot.calls import begin
from jabot.calls.options import options
from jabot.xmpp import Timing
from network import Proxy
from servers import Server

ALERT = Timing(quiet=0.3, ping=0.3, backoff=QUICK.backoff)
"""Finds out soon that a line is dead."""


class Work:
    """A node whose jobs are counted, and wait for the test."""

    def __init__(self) -> None:
        self.node = Node(concurrency=100)
        self.go = asyncio.Event()
        self.runs: collections.Counter[str] = collections.Counter()
        self.begun = asyncio.Event()
        self.node.task(self.hold)
        self.node.task(self.step)

    async def hold(self, number: int, *, ctx: Context) -> int:
        self.runs[ctx.job_id] += 1
        self.begun.set()
        await self.go.wait()
        ctx.progress(number)
        return number

    async def step(self, number: int, *, ctx: Context) -> int:
        self.runs[ctx.job_id] += 1
        await asyncio.sleep(0.002 * (number % 5))
        return number


@asynccontextmanager
async def behind_a_proxy(
    xmpp: Server, work: Work, timing: Timing = QUICK
) -> AsyncIterator[tuple[Served, Client, Proxy]]:
    with Proxy(xmpp.port) as proxy:
        async with (
            serving(work.node, xmpp, for_people=False) as bot,
            calling(xmpp, bot, address=proxy.address, timing=timing) as app,
        ):
            yield bot, app, proxy


async def result(job: Job[int]) -> int:
    return await soon(_of(job))


async def _of(job: Job[int]) -> int:
    return await job


async def test_the_caller_is_cut_off_and_comes_again(xmpp: Server) -> None:
    work = Work()
    async with behind_a_proxy(xmpp, work) as (bot, app, proxy):
        # Still running when it is back.
        before = [await app.submit("hold", n) for n in range(20)]
        proxy.cut()
        again = await app.submit("hold", 20)  # waits for the connection
        work.go.set()
        assert [await result(job) for job in (*before, again)] == list(range(21))
        assert all(job.step == Step(n) for n, job in enumerate((*before, again)))
        # Over before it is back: what nobody took is told again.
        work.go.clear()
        away = [await app.submit("hold", n) for n in range(20)]
        proxy.refuse()
        proxy.cut()
        while app._calls._is_online.is_set():
            await asyncio.sleep(0.005)
        work.go.set()
        while work.node._live.runner.running:
            await asyncio.sleep(0.005)
        assert not any(job.status != "unknown" for job in away)
        proxy.allow()
        assert [await result(job) for job in away] == list(range(20))
        # In the midst of it.
        jobs, chosen = [], options(bot.jid)
        for number in range(300):
            jobs.append(await begin(app, "step", (number,), {}, chosen))
            if number % 100 == 50:
                proxy.cut()
        assert [await result(job) for job in jobs] == list(range(300))
        assert set(work.runs.values()) == {1}


async def test_the_line_of_the_caller_is_dead_for_a_while(xmpp: Server) -> None:
    work = Work()
    async with behind_a_proxy(xmpp, work, ALERT) as (_, app, proxy):
        jobs = [await app.submit("hold", n) for n in range(20)]
        proxy.freeze()
        late = [asyncio.create_task(app.submit("hold", n)) for n in range(20, 30)]
        work.go.set()
        while app._calls._is_online.is_set():  # it finds out by itself
            await asyncio.sleep(0.01)
        assert not any(job.status != "unknown" for job in jobs)
        proxy.thaw()
        assert [await result(job) for job in jobs] == list(range(20))
        for number, task in enumerate(late, start=20):
            assert await result(await soon(task)) == number
        assert set(work.runs.values()) == {1}


async def test_the_connection_of_the_worker_is_cut(xmpp: Server) -> None:
    """The worker lives, and is back within the half second that its callers give it."""
    work = Work()
    with Proxy(xmpp.port) as proxy:
        async with (
            serving(work.node, xmpp, address=proxy.address, for_people=False) as bot,
            calling(xmpp, bot) as app,
        ):
            jobs = [await app.submit("hold", n, retries=Retry(backoff=0)) for n in range(20)]
            proxy.cut()
            work.go.set()
            assert [await result(job) for job in jobs] == list(range(20))
            # With retries a job may run twice: here when the worker was away for longer.
            assert set(work.runs.values()) <= {1, 2}


async def test_the_server_is_restarted_under_load(own_xmpp: Server) -> None:
    """Every handle ends in a result or a named error, and nothing ran twice without retries."""
    works = [Work(), Work()]
    account = own_xmpp.fresh_user("bot")
    numbers, stop = itertools.count(), asyncio.Event()
    done: list[int] = []
    errors: list[BaseException] = []
    safe: list[Job[int]] = []

    async def producer(app: Client, retries: int | Retry) -> None:
        while not stop.is_set():
            number = next(numbers)
            try:
                job = await app.submit("step", number, retries=retries)
                if not retries:
                    safe.append(job)
                assert await job == number
                done.append(number)
            except JabotError as error:
                errors.append(error)

    async def until_done(count: int) -> None:
        async with asyncio.timeout(2 * LIMIT):
            while len(done) < count:
                await asyncio.sleep(0.01)

    async with (
        serving(works[0].node, own_xmpp, account, for_people=False) as bot,
        serving(works[1].node, own_xmpp, account, for_people=False),
        calling(own_xmpp, bot) as app,
    ):
        assert len(await app.nodes()) == 2
        held = [await app.submit("hold", n) for n in range(20)]
        producers = [
            asyncio.create_task(producer(app, retries))
            for retries in [0, Retry(attempts=5, backoff=0)] * 10
        ]
        await until_done(200)
        own_xmpp.kill()
        while app._calls._is_online.is_set():
            await asyncio.sleep(0.005)
        own_xmpp.start()  # not in a thread: the server ends with the thread that started it
        await until_done(len(done) + 200)
        stop.set()
        await soon(asyncio.gather(*producers), 2 * LIMIT)  # none hangs
        for work in works:
            work.go.set()
        # The workers lived all the while, and so did their jobs.
        assert [await result(job) for job in held] == list(range(20))
        assert len(app._calls) == 0
    runs = works[0].runs + works[1].runs
    assert {runs[job.id] for job in safe} <= {0, 1}
    assert all(runs[job.id] == 1 for job in safe if job.status == "succeeded")
    assert {runs[job.id] for job in held} == {1}
    print(f"{own_xmpp.kind}: {len(done)} done, {len(errors)} errors: {set(map(type, errors))}")
