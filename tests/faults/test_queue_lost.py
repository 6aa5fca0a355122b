"""Workers and queues that are killed or frozen while a queue's jobs run."""

# ruff: noqa: SIM117 - what is entered later is told apart from what stands from the beginning

import asyncio
import collections
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatting import LIMIT, Program, calling, node_program, soon, until
from chatting.programs import account_environment, program
from jabot import WorkerLost
from servers import Account, Server
from servers.postgres import Postgres

WORKER = """
    import asyncio, json, os, time
    from pathlib import Path
    from jabot import Context, Node

    node = Node(concurrency=4, queue="QUEUE")

    def note(what, ctx):
        line = {"what": what, "job": ctx.job_id, "attempt": ctx.attempt, "pid": os.getpid()}
        with Path("runs").open("a") as runs:
            runs.write(json.dumps({**line, "at": time.time()}) + "\\n")

    @node.task
    async def hold(*, ctx: Context) -> int:
        note("begin", ctx)
        while not Path("let go").exists():
            await asyncio.sleep(0.01)
        note("end", ctx)
        return os.getpid()

    @node.task
    async def poison(*, ctx: Context) -> None:
        note("begin", ctx)
        os._exit(9)

    @node.task
    async def echo(number: int, *, ctx: Context) -> int:
        note("begin", ctx)
        return number
"""


@dataclass
class Yard:
    """A queue and workers as processes."""

    server: Server
    folder: Path
    account: Account
    caller: Account
    store: str = "sqlite:///jobs.db"

    @asynccontextmanager
    async def queue(self, *options: str, name: str = "queue") -> AsyncIterator[Program]:
        command = [sys.executable, "-m", "jabot", "queue", "--store", self.store]
        environment = account_environment(self.server, self.account)
        async with program(
            [*command, "--allow", self.caller.jid, *options], self.folder, environment, name
        ) as running:
            await running.logged("online as")
            yield running

    @asynccontextmanager
    async def worker(self, name: str, *, alone: bool = False) -> AsyncIterator[Program]:
        source = WORKER.replace("QUEUE", self.account.jid)
        async with node_program(
            source, self.folder, self.server, self.account, name=name
        ) as running:
            if not alone:
                await running.logged("working for")
            yield running

    def notes(self, what: str = "begin") -> list[dict[str, object]]:
        """What the workers wrote."""
        path = self.folder / "runs"
        lines = path.read_text().splitlines() if path.exists() else []
        return [note for note in map(json.loads, lines) if note["what"] == what]

    def let_go(self) -> None:
        (self.folder / "let go").touch()


@pytest.fixture
def yard(xmpp: Server, tmp_path: Path) -> Yard:
    return Yard(xmpp, tmp_path, xmpp.fresh_user("jobs"), xmpp.fresh_user("app"))


async def test_a_killed_workers_job_begins_elsewhere(yard: Yard) -> None:
    async with yard.queue(), yard.worker("one") as one, yard.worker("two") as two:
        async with calling(yard.server, yard.account.jid, yard.caller) as app:
            job = await app.submit("hold")
            await until(yard.notes)
            victim, heir = (one, two) if yard.notes()[0]["pid"] == one.pid else (two, one)
            victim.send(signal.SIGKILL)
            killed = time.time()
            await until(lambda: len(yard.notes()) == 2)
            again = yard.notes()[1]
            assert (again["pid"], again["attempt"]) == (heir.pid, 2)
            assert again["at"] - killed < LIMIT / 2  # how soon it is: docs/guarantees.md
            yard.let_go()
            assert await soon(job) == heir.pid


async def test_a_job_that_kills_its_workers_is_given_up(yard: Yard) -> None:
    async with yard.queue("--losses", "2", "--grace", "200ms"):
        async with calling(yard.server, yard.account.jid, yard.caller) as app:
            async with yard.worker("one"), yard.worker("two"), yard.worker("three"):
                job = await app.submit("poison")
                with pytest.raises(WorkerLost, match="vanished"):
                    await soon(job)
                assert len(yard.notes()) == 2


async def test_a_frozen_worker_cannot_end_what_was_given_to_another(yard: Yard) -> None:
    async with yard.queue("--lease", "1s", "--grace", "200ms"), yard.worker("one") as one:
        async with calling(yard.server, yard.account.jid, yard.caller) as app:
            job = await app.submit("hold")
            await until(yard.notes)
            one.send(signal.SIGSTOP)
            async with yard.worker("two") as two:
                await until(lambda: len(yard.notes()) == 2)
                one.send(signal.SIGCONT)
                yard.let_go()
                assert await soon(job) == two.pid
                same = await app.job(job.id)
                assert await soon(same) == two.pid


async def test_a_queue_that_stood_still_takes_no_job_from_its_worker(yard: Yard) -> None:
    """Its workers stood still as well, so that it finds no word of them when it goes on."""
    async with (
        yard.queue("--lease", "4s") as queue,
        yard.worker("one") as one,
        yard.worker("two") as two,
        calling(yard.server, yard.account.jid, yard.caller) as app,
    ):
        jobs = [await app.submit("hold") for _ in range(6)]
        await until(lambda: len(yard.notes()) == len(jobs))
        for program in (queue, one, two):
            program.send(signal.SIGSTOP)
        await asyncio.sleep(4.5)  # what it is about: more than a lease
        queue.send(signal.SIGCONT)
        await queue.logged("stood still")
        for program in (one, two):
            program.send(signal.SIGCONT)
        yard.let_go()
        for job in jobs:
            await soon(job)
        assert len(yard.notes()) == len(jobs)
        assert "gave no sign" not in queue.log


async def test_a_killed_queue_loses_nothing(yard: Yard) -> None:
    async with (
        yard.worker("one", alone=True),
        calling(yard.server, yard.account.jid, yard.caller) as app,
    ):
        async with yard.queue(name="first") as first:
            running = await app.submit("hold")
            await until(yard.notes)
            jobs = [await app.submit("echo", number) for number in range(50)]
            first.send(signal.SIGKILL)
            await first.ended()
        yard.let_go()  # its worker ends it while there is no queue
        await until(lambda: yard.notes("end"))
        async with yard.queue(name="second"):
            results = [await soon(job) for job in jobs]
            assert results == list(range(50))
            assert isinstance(await soon(running), int)
    begun = collections.Counter(note["job"] for note in yard.notes())
    assert begun[running.id] == 1  # it went on in its worker, and was not given away again
    assert set(begun) == {job.id for job in [running, *jobs]}


async def test_a_worker_that_is_asked_to_leave_hands_back_what_it_has_not_begun(
    yard: Yard,
) -> None:
    async with yard.queue(), calling(yard.server, yard.account.jid, yard.caller) as app:
        async with yard.worker("one") as one:
            jobs = [await app.submit("hold") for _ in range(6)]
            await until(lambda: len(yard.notes()) == 4)
            one.send(signal.SIGTERM)
            async with yard.worker("two") as two:
                await until(lambda: len(yard.notes()) == 6)
                yard.let_go()
                pids = [await soon(job) for job in jobs]
                assert collections.Counter(pids) == {one.pid: 4, two.pid: 2}
    assert {note["attempt"] for note in yard.notes()} == {1}


async def test_one_of_two_queues_is_killed(yard: Yard, postgres: Postgres) -> None:
    """They share an account and a store; the other one goes on with what the killed one had."""
    yard.store = postgres.fresh_database()
    async with (
        yard.queue(name="first") as first,
        yard.queue(name="second") as second,
        yard.worker("one") as one,
        yard.worker("two"),
        calling(yard.server, yard.account.jid, yard.caller) as app,
    ):
        held = [await app.submit("hold") for _ in range(6)]
        await until(lambda: len(yard.notes()) == 6)
        mine = await one.logged(r"working for (\S+)")
        victim = first if mine in first.log else second
        jobs = [await app.submit("echo", number) for number in range(50)]
        victim.send(signal.SIGKILL)
        await victim.ended()
        jobs += [await app.submit("echo", number) for number in range(50, 60)]
        yard.let_go()
        results = [await soon(job) for job in jobs]
        assert results == list(range(60))
        for job in held:
            await soon(job)
        same = await app.job(held[0].id)
        assert await soon(same) == await held[0]
    begun = collections.Counter(note["job"] for note in yard.notes())
    assert {begun[job.id] for job in held} == {1}
