"""What a node that works for a queue says to it, and what it does for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from slixmpp import JID

from chatting import LIMIT, Bench, Person, calling, serving, soon
from chatting.frames import Hand, by_hand
from chatting.nodes import Served
from jabot import Context, NobodyThere, Node
from jabot.queue_node import QueueNode
from servers import Account, Server

ID = "0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00"
OTHER = "0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e01"
ANN = "ann@example.org/web"


class Place:
    """A node with two slots, and a queue that is played by hand."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.queue = server.fresh_user("jobs")
        self.caller: Account = server.fresh_user("app")
        self.go = asyncio.Event()
        self.began: list[Context] = []
        self.node = Node(
            queue=self.queue.jid,
            allow={self.caller.jid: "*"},
            concurrency=2,
            drain_limit=0.2,
            labels={"gpu": "a100"},
        )
        self.node.task(self.hold)
        self.node.task(self.family)
        self.node.task(name="limited", retries=2, rate="10/s", priority=3)(self.fail)

    async def hold(self, *, ctx: Context) -> str:
        self.began.append(ctx)
        ctx.progress(1, 2)
        await self.go.wait()
        return "held"

    def family(self, *, ctx: Context) -> list[Any]:
        return [str(ctx.caller), str(ctx.via), ctx.attempt, ctx.parents]

    async def fail(self) -> None:
        raise ValueError("no")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Served]:
        account = self.server.fresh_user("bot")
        async with serving(self.node, self.server, account, for_people=False) as served:
            yield served

    def play(self, resource: str = "one") -> Any:
        return by_hand(self.server, self.queue, resource)


@pytest.fixture
def place(xmpp: Server) -> Place:
    return Place(xmpp)


def show(queue: Hand, worker: Served, lease: str = "15") -> None:
    queue.show_as_node(str(worker.full), queue="1", lease=lease)


def submit(task: str, job: str = ID, attempt: int = 1, caller: str = ANN, **more: Any) -> list[Any]:
    return ["submit", job, task, [], {}, attempt, None, {}, None, caller, more.get("parents")]


async def test_a_worker_says_what_it_can_do_and_does_it(place: Place) -> None:
    async with place.play() as queue, place.working() as worker:
        show(queue, worker)
        _, held, slots, tasks, labels, version = await queue.hear("hello")
        assert (held, slots, labels) == ([], 2, {"gpu": "a100"})
        assert tasks["hold"] == {}
        assert tasks["limited"]["priority"] == 3
        assert tasks["limited"]["retry"]["attempts"] == 3
        assert tasks["limited"]["lane"] == {"name": "*", "rate": 10.0}
        assert version
        to = worker.full
        assert await queue.send(to, [submit("family", attempt=3, parents=[7, "x"])]) == ""
        told = await queue.hear("succeeded", ID)
        assert told[2:] == [3, [ANN, place.queue.jid, 3, [7, "x"]]]
        await queue.send(to, [submit("limited", OTHER)])
        assert (await queue.hear("failed", OTHER))[2:4] == [1, "ValueError"]  # and no second run
        await queue.send(to, [["describe", None]])
        assert set((await queue.hear("description"))[3]) == {"hold", "family", "limited"}


async def test_it_says_that_it_still_has_what_it_has(place: Place) -> None:
    async with place.play() as queue, place.working() as worker:
        show(queue, worker, lease="0.6")
        await queue.hear("hello")
        await queue.hear("heartbeat", [])
        await queue.send(worker.full, [submit("hold", attempt=2)])
        assert (await queue.hear("progress", ID))[2] == 2
        await queue.hear("heartbeat", [[ID, 2]])
        await queue.send(worker.full, [["cancel", ID, 2, "enough"]])
        assert await queue.hear("cancelled", ID) == ["cancelled", ID, 2, "enough"]
        await queue.hear("heartbeat", [])


async def test_another_node_of_the_queue_gets_what_the_first_one_cannot(place: Place) -> None:
    async with AsyncExitStack() as first, place.play("two") as two, place.working() as worker:
        one = await first.enter_async_context(place.play("one"))
        show(one, worker)
        await one.hear("hello")
        show(two, worker)
        await one.send(worker.full, [submit("hold")])
        # The queue's other node may give nothing meanwhile, and nobody else may speak for others.
        await two.send(worker.full, [submit("family", OTHER)])
        assert (await two.hear("rejected", OTHER))[3] == "draining"
        async with by_hand(place.server, place.caller) as app:
            await app.send(worker.full, [submit("family", OTHER)])
            assert (await app.hear("rejected", OTHER))[3] == "not_allowed"
        await first.aclose()
        assert (await two.hear("hello"))[1] == [[ID, 1]]
        place.go.set()
        assert await two.hear("succeeded", ID) == ["succeeded", ID, 1, "held"]


async def test_a_worker_with_the_account_of_its_queue_refuses_nobody(xmpp: Server) -> None:
    """While the queue is away: whom it allows what, the worker does not know."""
    account, caller = xmpp.fresh_user("jobs"), xmpp.fresh_user("app")
    node = Node(queue=account.jid)
    async with (
        serving(node, xmpp, account, for_people=False),
        calling(xmpp, account.jid, caller) as app,
    ):
        with pytest.raises(NobodyThere):
            await app.submit("echo", 1)


async def test_a_queue_says_who_may_see_it_and_a_worker_with_its_account_does_not(
    xmpp: Server, ann: Person, tmp_path: Path
) -> None:
    account = xmpp.fresh_user("jobs")
    queue = QueueNode(store=f"sqlite:///{tmp_path}/jobs.db", allow={ann.boundjid.bare: "*"})
    async with serving(Node(queue=account.jid), xmpp, account, for_people=False):
        ann.send_presence_subscription(JID(account.jid))
        await ann.round_trip()
        async with serving(queue, xmpp, account, for_people=False):
            await ann.see(JID(account.jid), type="subscribed")
    assert [seen.type for seen in ann.presences if seen.type == "unsubscribed"] == []


async def test_a_queue_that_comes_later_and_comes_again(place: Place) -> None:
    async with place.working() as worker:
        async with place.play("one") as queue:
            show(queue, worker)
            await queue.hear("hello")
            await queue.send(worker.full, [submit("hold")])
            await queue.hear("progress", ID)
        place.go.set()  # it ends while nobody is there
        async with place.play("again") as queue:
            show(queue, worker)
            assert (await queue.hear("hello"))[1] == [[ID, 1]]
            assert await queue.hear("succeeded", ID) == ["succeeded", ID, 1, "held"]


async def test_slots_are_shared_with_direct_jobs(place: Place) -> None:
    async with (
        place.play() as queue,
        place.working() as worker,
        calling(place.server, str(worker.full), place.caller) as app,
    ):
        show(queue, worker)
        assert (await queue.hear("hello"))[2] == 2
        job = await app.submit("hold")
        assert (await queue.hear("hello"))[2] == 1
        assert await soon(_direct(place)) is None
        place.go.set()
        assert await job == "held"
        assert (await queue.hear("hello"))[2] == 2


async def _direct(place: Place) -> object:
    while not place.began:
        await asyncio.sleep(0.01)
    return place.began[0].via


async def test_a_worker_that_takes_few_jobs_of_each_caller_fills_its_slots(bench: Bench) -> None:
    """The next job comes before the queue has answered the outcome of the last one."""

    async def echo(value: int) -> int:
        return value

    worker = bench.working(echo, concurrency=2, jobs_per_caller=2)
    async with bench.queue(), worker, bench.calling() as app:
        jobs = [await app.submit("echo", number) for number in range(20)]
        async with asyncio.timeout(LIMIT):
            assert [await job for job in jobs] == list(range(20))


async def test_a_worker_that_stops_hands_everything_back(place: Place) -> None:
    async with place.play() as queue, place.working() as worker:
        show(queue, worker)
        await queue.hear("hello")
        jobs = [f"{ID[:-1]}{n}" for n in range(3)]
        await queue.send(worker.full, [submit("hold", job) for job in jobs])
        await queue.hear("progress", jobs[1])
        place.node.stop()
        hello = await queue.hear("hello")
        assert (hello[2], sorted(hello[1])) == (0, [[job, 1] for job in jobs])
        assert (await queue.hear("rejected", jobs[2]))[3] == "draining"
        for job in jobs[:2]:  # it has run for too long: that is no cancel of the job
            failed = await queue.hear("failed", job)
            assert (failed[3], failed[6]) == ("WorkerLost", "lost")
        await worker.left()
