"""Several nodes of one queue, on one database: whatever one of them does, the others tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from chatting import LIMIT, calling, serving, soon
from jabot import Client, Context, Job, JobCancelled, Node
from jabot.queue_node import QueueNode
from servers import Account, Server
from servers.postgres import Postgres


@dataclass
class Pair:
    """Two nodes of a queue, and a worker that is with one of them."""

    server: Server
    account: Account
    caller: Account
    addresses: list[str] = field(default_factory=list)
    nodes: list[QueueNode] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold(self, *, ctx: Context) -> str:
        ctx.progress(1, 2)
        await self.go.wait()
        return "held"

    def calling(self, address: str) -> Client:
        return calling(self.server, address, self.caller)


@pytest.fixture
async def pair(xmpp: Server, postgres: Postgres) -> AsyncIterator[Pair]:
    pair = Pair(xmpp, xmpp.fresh_user("jobs"), xmpp.fresh_user("app"))
    store = postgres.fresh_database()
    worker = Node(queue=pair.account.jid, labels={"gpu": "a100"})
    worker.task(pair.hold)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            node = QueueNode(store=store, allow={pair.caller.jid: "*"})
            await stack.enter_async_context(serving(node, xmpp, pair.account, for_people=False))
            pair.addresses.append(str(node.jid))
            pair.nodes.append(node)
        await stack.enter_async_context(serving(worker, xmpp, pair.account, for_people=False))
        yield pair
        pair.go.set()


async def first_step(job: Job) -> tuple[float, float | None]:
    async with asyncio.timeout(LIMIT):
        async for step in job.progress:
            return step.done, step.total
    raise AssertionError("it ended without progress")


@pytest.mark.parametrize("submitted_to", [0, 1])
async def test_who_asks_the_other_node_hears_as_much(pair: Pair, submitted_to: int) -> None:
    here, there = pair.addresses[submitted_to], pair.addresses[1 - submitted_to]
    async with pair.calling(here) as app, pair.calling(there) as other:
        job = await app.submit("hold")
        assert await first_step(job) == (1, 2)
        same = await other.job(job.id)
        pair.go.set()
        outcomes = await soon(asyncio.gather(job, same))
        assert outcomes == ["held", "held"]


def manager(pair: Pair, at: int) -> Client:
    """The queue's own account, which manages it, at one of its nodes."""
    return calling(pair.server, pair.addresses[at], pair.account)


async def ask(app: Client, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """What one of the queue's own tasks answers."""
    async with asyncio.timeout(LIMIT):
        return await (await app.submit(f"queue.{name}", *args, **kwargs))


async def test_each_node_tells_of_the_workers_of_all(pair: Pair) -> None:
    async with pair.calling(pair.addresses[0]) as app, manager(pair, 0) as a, manager(pair, 1) as b:
        job = await app.submit("hold")
        await first_step(job)
        waiting = await app.submit("nothing")
        for boss in (a, b):
            stats = await ask(boss, "stats")
            (worker,) = stats["workers"]
            assert worker["node"] in pair.addresses
            assert [run["id"] for run in worker["runs"]] == [job.id]
            assert stats["silent"] == []
            shown = await ask(boss, "job", waiting.id)
            assert shown["why"] == "no worker that is online offers nothing"
        pair.go.set()


@pytest.mark.parametrize("at", [0, 1])
async def test_a_job_is_cancelled_from_any_node(pair: Pair, at: int) -> None:
    async with pair.calling(pair.addresses[0]) as app, manager(pair, at) as boss:
        job = await app.submit("hold")
        await first_step(job)
        await ask(boss, "cancel", job.id, "enough")
        with pytest.raises(JobCancelled, match="enough"):
            await soon(job)


async def test_a_cancel_of_which_no_word_comes_is_heard_of_all_the_same(pair: Pair) -> None:
    for node in pair.nodes:  # what a broken connection does
        store = node._serving.store
        told = store.tell
        store.tell = lambda news, told=told: news.kind == "cancelling" or told(news)
    async with pair.calling(pair.addresses[0]) as app:
        job = await app.submit("hold")
        await first_step(job)
        async with manager(pair, 0) as boss:
            (worker,) = (await ask(boss, "stats"))["workers"]
        async with manager(pair, 1 - pair.addresses.index(worker["node"])) as boss:
            await ask(boss, "cancel", job.id)
        with pytest.raises(JobCancelled):
            await soon(job)


@pytest.mark.parametrize("at", [0, 1])
async def test_a_task_is_paused_and_resumed_from_any_node(pair: Pair, at: int) -> None:
    pair.go.set()
    async with pair.calling(pair.addresses[0]) as app, manager(pair, at) as boss:
        await soon(await app.submit("hold"))  # the queue knows the task
        await ask(boss, "pause", "hold")
        jobs = [await app.submit("hold"), await app.submit("hold", where={"gpu": "a100"})]
        assert (await ask(boss, "job", jobs[0].id))["why"] == "hold is paused"
        await ask(boss, "resume", "hold")
        for job in jobs:
            assert await soon(job) == "held"


async def test_a_job_is_run_again_from_any_node(pair: Pair) -> None:
    async with pair.calling(pair.addresses[0]) as app, manager(pair, 1) as boss:
        job = await app.submit("hold")
        await first_step(job)
        job.cancel()
        with pytest.raises(JobCancelled):
            await soon(job)
        pair.go.set()
        await ask(boss, "retry", job.id)
        assert await soon(await app.job(job.id)) == "held"


async def test_a_schedule_fires_once_whichever_node_has_it(pair: Pair) -> None:
    pair.go.set()
    async with manager(pair, 0) as a, manager(pair, 1) as b:
        added = await ask(a, "schedule", "each second", "hold", every=1)
        first = added["upcoming"][0]
        async with asyncio.timeout(LIMIT):
            while len(jobs := await ask(b, "jobs", task="hold")) < 3:
                await asyncio.sleep(0.2)
        line = await ask(b, "pause_schedule", "each second")
        assert line["paused"]
        times = sorted(job["created"] for job in jobs)
        for number, moment in enumerate(times):
            assert number <= moment - first < number + 1
        await ask(a, "remove_schedule", "each second")
        assert await ask(b, "schedules") == []
