"""Several nodes of one queue, on one database: whatever one of them does, the others tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from chatting import LIMIT, calling, serving
from jabot import Client, Context, Job, Node
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
    worker = Node(queue=pair.account.jid)
    worker.task(pair.hold)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            node = QueueNode(store=store, allow={pair.caller.jid: "*"})
            await stack.enter_async_context(serving(node, xmpp, pair.account, for_people=False))
            pair.addresses.append(str(node.jid))
        await stack.enter_async_context(serving(worker, xmpp, pair.account, for_people=False))
        yield pair


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
        outcomes = await asyncio.wait_for(asyncio.gather(job, same), LIMIT)
        assert outcomes == ["held", "held"]
