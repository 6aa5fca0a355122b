"""Workers that are killed, stopped or asked to leave while they have jobs."""

import asyncio
import collections
import signal
from collections.abc import Awaitable
from pathlib import Path

from chatting import LIMIT, Program, calling, node_program, soon, until
from jabot import Client, Job, NobodyThere, Peer, Retry, TaskFailed, WorkerLost
from jabot.protocol import limits
from processor import Busy
from servers import Server

WORKER = """
    import asyncio, os
    from pathlib import Path
    from jabot import Context, Node

    node = Node(allow={"*": "*"}, concurrency=4, labels={"pid": str(os.getpid())})

    def note(ctx):
        with Path("runs").open("a") as runs:
            runs.write(f"{ctx.job_id}\\n")

    @node.task
    async def hold(*, ctx: Context) -> int:
        note(ctx)
        while not Path("let go").exists():
            await asyncio.sleep(0.01)
        return os.getpid()

    @node.task
    async def echo(number: int) -> int:
        return number
"""
AT_ONCE = Retry(attempts=3, backoff=0)


def runs(folder: Path) -> collections.Counter[str]:
    """How often each job was begun, on all workers."""
    path = folder / "runs"
    return collections.Counter(path.read_text().split() if path.exists() else [])


async def peer_of(app: Client, worker: Program) -> Peer:
    """The worker as callers see it."""
    found = [peer for peer in await app.nodes() if peer.labels["pid"] == str(worker.pid)]
    assert found
    return found[0]


async def outcome(job: Awaitable[object]) -> object:
    """What it came to: a result or an error."""
    try:
        return await soon(_of(job))
    except TimeoutError:
        raise AssertionError(f"{job!r} hangs") from None
    except Exception as error:
        return error


async def _of(job: Awaitable[object]) -> object:
    return await job


async def test_a_worker_that_is_killed(xmpp: Server, tmp_path: Path) -> None:
    """Within a second, but for what other programs take of the machine."""
    account, loop, took = xmpp.fresh_user("bot"), asyncio.get_running_loop(), []
    async with (
        node_program(WORKER, tmp_path, xmpp, account, name="one") as one,
        node_program(WORKER, tmp_path, xmpp, account, name="two") as two,
        calling(xmpp, account.jid, account) as app,
    ):
        first, second = (await peer_of(app, one)).jid, (await peer_of(app, two)).jid
        # Four run there, and the others wait for their turn. Some may be done elsewhere.
        lost = [await app.submit("hold", to=first) for _ in range(5)]
        moved = [await app.submit("hold", retries=AT_ONCE) for _ in range(8)]
        theirs = [job for job in moved if job.peer == first]
        assert theirs
        await until(lambda: len(runs(tmp_path)) == 8)
        one.send(signal.SIGKILL)
        began, busy = loop.time(), Busy(two.pid, xmpp.pid)
        for job in lost:
            error = await outcome(job)
            assert isinstance(error, WorkerLost)
            assert str(error) == f"{first} vanished with hold {job.id}"
        await until(lambda: all(job.peer == second for job in moved))
        took.append(loop.time() - began - busy.waited)
        assert all(job.attempt == 2 for job in theirs)

        (tmp_path / "let go").touch()
        assert {await outcome(job) for job in moved} == {two.pid}
        counted = runs(tmp_path)
        assert {counted[job.id] for job in lost} <= {0, 1}
        assert {counted[job.id] for job in moved} <= {1, 2}
        (tmp_path / "let go").unlink()

        job = await app.submit("hold", to=second)
        many = [await app.submit("hold") for _ in range(100)]
        two.send(signal.SIGKILL)
        began, busy = loop.time(), Busy(xmpp.pid)
        for each in (job, *many):
            assert isinstance(await outcome(each), WorkerLost)
        took.append(loop.time() - began - busy.waited)
        assert runs(tmp_path).most_common(1)[0][1] <= 2
        assert isinstance(await outcome(app.submit("echo", 1)), NobodyThere)
    assert max(took) < 1, took


async def test_a_job_with_retries_moves_at_once_when_its_worker_is_killed(
    xmpp: Server, tmp_path: Path
) -> None:
    """The first loss is no reason to wait for the backoff: this one would outlast the test."""
    account = xmpp.fresh_user("bot")
    async with (
        node_program(WORKER, tmp_path, xmpp, account, name="one") as one,
        node_program(WORKER, tmp_path, xmpp, account, name="two") as two,
        calling(xmpp, account.jid, account) as app,
    ):
        first, second = (await peer_of(app, one)).jid, (await peer_of(app, two)).jid
        job = await app.submit(
            "hold", retries=Retry(attempts=3, backoff=10 * LIMIT, most=10 * LIMIT)
        )
        await until(lambda: runs(tmp_path)[job.id] == 1)
        victim, heir = (one, two) if job.peer == first else (two, one)
        other = second if victim is one else first
        victim.send(signal.SIGKILL)
        await until(lambda: runs(tmp_path)[job.id] == 2)
        await until(lambda: job.peer == other)
        assert job.attempt == 2
        (tmp_path / "let go").touch()
        assert await outcome(job) == heir.pid


async def test_a_worker_that_leaves_hands_its_jobs_back(xmpp: Server, tmp_path: Path) -> None:
    """What runs there ends there; what waits is done by another one, without any retries."""
    account = xmpp.fresh_user("bot")
    async with (
        node_program(WORKER, tmp_path, xmpp, account, name="one") as one,
        node_program(WORKER, tmp_path, xmpp, account, name="two") as two,
        calling(xmpp, account.jid, account) as app,
    ):
        assert len(await app.nodes()) == 2
        jobs = [await app.submit("hold") for _ in range(20)]
        pinned = [await app.submit("hold", to=(await peer_of(app, one)).jid) for _ in range(2)]
        await until(lambda: len(runs(tmp_path)) == 8)
        one.send(signal.SIGTERM)
        pinned_errors = [await outcome(job) for job in pinned]
        assert all("I am stopping" in str(error) for error in pinned_errors)
        (tmp_path / "let go").touch()
        done = collections.Counter([await outcome(job) for job in jobs])
        assert done == {one.pid: 4, two.pid: 16}
        assert await one.ended() == 0
        counted = runs(tmp_path)
        assert {counted[job.id] for job in jobs} == {1}
        assert not {job.id for job in pinned} & counted.keys()


async def test_a_worker_that_hangs_and_then_dies(xmpp: Server, tmp_path: Path) -> None:
    """Its window is full, its pile is deep, and many more wait to be let in."""
    account = xmpp.fresh_user("bot")
    async with (
        node_program(WORKER, tmp_path, xmpp, account) as bot,
        calling(xmpp, account.jid, account) as app,
    ):
        slow = (await peer_of(app, bot)).jid

        async def done(number: int) -> object:
            return await (await app.submit("echo", number, to=slow))

        held = await app.submit("hold", to=slow)
        bot.send(signal.SIGSTOP)
        flood = [asyncio.create_task(outcome(done(n))) for n in range(5000)]
        await until(lambda: app._calls._link.is_full(slow))
        assert not any(task.done() for task in flood)
        bot.send(signal.SIGKILL)
        ends = await soon(asyncio.gather(*flood), 2 * LIMIT)
        # A busy server may have brought the worker none of them, and says so of each.
        counted = collections.Counter(type(end) for end in [*ends, await outcome(held)])
        assert counted.keys() == {WorkerLost, NobodyThere}
        # Those that were let in after its end were sent in vain, however late the server says so.
        assert counted[WorkerLost] <= limits.WINDOW * limits.BATCH_FRAMES + 1
        assert len(app._calls) == 0


async def test_a_flood_to_one_worker_delays_another_by_little(xmpp: Server, tmp_path: Path) -> None:
    """The same client gives both their jobs; one of them answers nothing until later."""
    account = xmpp.fresh_user("bot")
    async with (
        node_program(WORKER, tmp_path, xmpp, account, name="one") as one,
        node_program(WORKER, tmp_path, xmpp, account, name="two") as two,
        calling(xmpp, account.jid, account) as app,
    ):
        slow, quick = (await peer_of(app, one)).jid, (await peer_of(app, two)).jid
        one.send(signal.SIGSTOP)
        flood = [asyncio.create_task(outcome(app.submit("echo", n, to=slow))) for n in range(4000)]
        for number in range(20):
            job = await soon(app.submit("echo", number, to=quick))
            assert await job == number
        # To the pool as well: the load there is known.
        assert await (await app.submit("echo", 7)) == 7
        assert not any(task.done() for task in flood)
        one.send(signal.SIGCONT)
        jobs = await soon(asyncio.gather(*flood), 2 * LIMIT)
        assert all(isinstance(job, Job) for job in jobs), jobs[:3]
        assert [await job for job in jobs] == list(range(4000))  # type: ignore[misc]


async def test_a_job_whose_process_dies(xmpp: Server, tmp_path: Path) -> None:
    source = """
    import os, signal
    from jabot import Node

    node = Node()

    @node.task(process=True)
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)
    """
    account = xmpp.fresh_user("bot")
    async with (
        node_program(source, tmp_path, xmpp, account),
        calling(xmpp, account.jid, account) as app,
    ):
        error = await outcome(await app.submit("die"))
        assert isinstance(error, TaskFailed)
        assert "died (signal SIGKILL)" in str(error)
