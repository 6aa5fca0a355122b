"""Nodes of a queue that are killed while people wait for their jobs: each end is told."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import Raw

from chatting import LIMIT, Person, Program, calling, serving, signed_in
from chatting.programs import account_environment, program
from jabot import Context, Node
from jabot.queue.store import open_store
from jabot.queue.store.verbs import Filter, Finish, List
from servers import Account, Server
from servers.postgres import Postgres


@dataclass
class Hall:
    """A queue as processes, Ann, and a worker that waits until it may go on."""

    server: Server
    folder: Path
    account: Account
    ann: Person
    store: str = "sqlite:///jobs.db"
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def queue(self, name: str) -> AsyncIterator[Program]:
        command = [sys.executable, "-m", "jabot", "-v", "queue", "--store", self.store]
        environment = account_environment(self.server, self.account)
        allowed = ["--allow", self.ann.account.jid]
        async with program([*command, *allowed], self.folder, environment, name) as running:
            await running.logged(" is ready")
            yield running

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async def hold(number: int = 0, *, ctx: Context) -> str:
            ctx.progress(1, 2)
            await self.go.wait()
            return f"held {number}"

        node = Node(queue=self.account.jid)
        node.task(hold)
        async with serving(node, self.server, self.account, for_people=False):
            async with (
                asyncio.timeout(LIMIT),
                calling(self.server, self.account.jid, self.account) as app,
            ):
                while "hold" not in await app.describe(self.account.jid):
                    await asyncio.sleep(0.02)
            yield

    async def ask(self, number: int) -> tuple[str, str]:
        """Have a job taken: its short id, and which node of the queue answered."""
        heard = await self.ann.ask(self.account.jid, f"hold {number}", "^Scheduled hold")
        return heard.body[-5:-1], str(heard.sender)

    async def told(self, job: str, number: int) -> str:
        """Who tells the end of a job."""
        heard = await self.ann.hear(f"^hold {job} is done: held {number}$")
        return str(heard.sender)

    def times_told(self, job: str) -> int:
        return sum(f"hold {job} is done" in body for body in self.ann.bodies)


@pytest.fixture
async def hall(xmpp: Server, tmp_path: Path) -> AsyncIterator[Hall]:
    async with signed_in(xmpp) as ann:
        yield Hall(xmpp, tmp_path, xmpp.fresh_user("jobs"), ann)


async def kill(running: Program) -> None:
    running.send(signal.SIGKILL)
    await running.ended()


async def test_a_queue_that_was_killed_tells_when_it_is_back(hall: Hall) -> None:
    async with hall.queue("first") as first, hall.working():
        job, _ = await hall.ask(1)
        await hall.ann.hear("1 of 2")
        await kill(first)
        hall.go.set()  # the job ends while there is no queue
        async with hall.queue("second"):
            await hall.told(job, 1)
            later, _ = await hall.ask(2)
            await hall.told(later, 2)
    assert hall.times_told(job) == 1


async def test_a_queue_is_killed_after_the_end_and_before_it_is_told(hall: Hall) -> None:
    async with hall.queue("first") as first, hall.working():
        job, _ = await hall.ask(1)
        await hall.ann.hear("1 of 2")
        await kill(first)
        store = open_store(f"sqlite:///{hall.folder}/jobs.db")
        await store.open()
        ((record,),) = await store.apply([List(Filter())])
        result = Raw(b'"held 1"')
        ending = Finish(record.id, record.attempt, "succeed", record.started, result=result)
        (finished,) = await store.apply([ending])
        assert finished.stands
        await store.close()
        async with hall.queue("second"):
            await hall.told(job, 1)
    assert hall.times_told(job) == 1


async def test_two_nodes_of_a_queue_answer_a_line_once_and_tell_an_end_once(
    hall: Hall, postgres: Postgres
) -> None:
    hall.store = postgres.fresh_database()
    async with hall.queue("first"), hall.queue("second"), hall.working():
        jobs = [await hall.ask(number) for number in range(3)]
        assert len({node for _, node in jobs}) == 1
        await hall.ann.hear("1 of 2")
        hall.go.set()
        for number, (job, node) in enumerate(jobs):
            assert await hall.told(job, number) == node
        last, _ = await hall.ask(9)  # what would come twice had the time to
        await hall.told(last, 9)
        assert {hall.times_told(job) for job, _ in jobs} == {1}
        assert sum(body.startswith("Scheduled") for body in hall.ann.bodies) == 4


async def test_the_other_node_tells_what_a_killed_one_owes(hall: Hall, postgres: Postgres) -> None:
    hall.store = postgres.fresh_database()
    async with hall.queue("first") as first, hall.queue("second") as second, hall.working():
        job, node = await hall.ask(1)
        await hall.ann.hear("1 of 2")
        victim = first if f"online as {node}" in first.log else second
        await kill(victim)
        hall.go.set()
        assert await hall.told(job, 1) != node
        assert (await hall.ann.ask(hall.account.jid, "jobs", "^No jobs")).body == "No jobs."
    assert hall.times_told(job) == 1
