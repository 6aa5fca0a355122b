"""How a job is stopped: it is cancelled, or its runner is drained."""

import asyncio
import contextlib
import threading

import pytest

from jabot import Context
from jabot.errors import Draining, JobCancelled
from jabot.protocol.states import JobState
from jabot.runner import Runner
from jabot.tasks import Task
from unit.clock import turns
from unit.running import Gate, doubled, submit

# --- cancelling ---------------------------------------------------------------------------------


async def test_a_waiting_job_is_cancelled_without_ever_running():
    changes = []
    runner = Runner(concurrency=1, on_change=lambda: changes.append(runner.waiting))
    gate = Gate()
    first, second = submit(runner, gate.task(1)), submit(runner, gate.task(2))
    runner.cancel(second)
    assert (second.state, runner.waiting, changes[-1]) == (JobState.CANCELLED, 0, 0)
    gate.open.set()
    await first
    await turns()
    assert gate.started == [1]


async def test_a_coroutine_is_cancelled_and_may_tidy_up(clock):
    tidied = []

    async def task():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            tidied.append(True)

    runner = Runner(cancel_grace=5)
    job = submit(runner, task)
    await turns()
    runner.cancel(job, "by boss@localhost")
    assert job.status == "unknown"  # its outcome tells when it has stopped
    with pytest.raises(JobCancelled, match=r"task .{4} was cancelled: by boss@localhost$"):
        await job
    assert (tidied, job.state) == ([True], JobState.CANCELLED)
    assert runner.running == 0


@pytest.mark.parametrize("kind", ["coroutine", "thread", "generator", "async_generator", "process"])
async def test_a_job_cancelled_before_its_first_turn_never_runs(clock, kind):
    ran = []

    async def coroutine():
        ran.append(1)

    def thread():
        ran.append(1)

    def generator():
        ran.append(1)
        yield 1

    async def async_generator():
        ran.append(1)
        yield 1

    def process():
        ran.append(1)

    functions = (coroutine, thread, generator, async_generator, process)
    function = {f.__name__: f for f in functions}[kind]
    runner = Runner(concurrency=1)
    job = submit(runner, Task(function, process=kind == "process"))
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert job.state is JobState.CANCELLED
    await clock.advance(10)
    assert (ran, runner.running) == ([], 0)
    assert await submit(runner, doubled, 1) == 2


async def test_cancelling_twice_is_cancelling_once(clock):
    async def task():
        await asyncio.sleep(1000)

    runner = Runner()
    job = submit(runner, task)
    await turns()
    runner.cancel(job, "first")
    runner.cancel(job, "second")
    with pytest.raises(JobCancelled, match="first"):
        await job


async def test_an_error_on_the_way_out_is_still_a_cancellation(clock):
    async def task():
        try:
            await asyncio.sleep(1000)
        finally:
            raise ValueError("while tidying up")

    runner = Runner()
    job = submit(runner, task)
    await turns()
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job


async def test_a_thread_that_looks_is_cancelled():
    started = threading.Event()

    def task(*, ctx: Context):
        started.set()
        while not ctx.cancelled:
            pass
        return "whatever"

    runner = Runner()
    job = submit(runner, task)
    await asyncio.to_thread(started.wait, 10)
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert job.state is JobState.CANCELLED


async def test_a_generator_is_closed_at_its_next_step_and_tidies_up():
    closed, go_on, started = [], threading.Event(), threading.Event()

    def task():
        try:
            while True:
                started.set()
                go_on.wait(10)
                yield 1
        finally:
            closed.append(True)

    runner = Runner()
    job = submit(runner, task)
    await asyncio.to_thread(started.wait, 10)
    runner.cancel(job)
    go_on.set()
    with pytest.raises(JobCancelled):
        await job
    assert closed == [True]


async def test_a_thread_that_does_not_stop_is_given_up_and_keeps_its_slot(clock):
    started, free, over = threading.Event(), threading.Event(), threading.Event()

    def task(*, ctx: Context):
        started.set()
        free.wait(10)
        ctx.progress(9, 9)
        over.set()
        return "late"

    runner, heard = Runner(concurrency=1, cancel_grace=5), []
    job = submit(runner, task)
    job.on_progress(heard.append)
    job.completion(lambda job: heard.append(job.state))
    await turns()
    assert started.wait(10)
    runner.cancel(job)
    await clock.advance(4.9)
    assert job.status == "unknown"
    await clock.advance(0.2)
    with pytest.raises(JobCancelled, match="it does not stop yet"):
        await job
    assert (runner.running, runner.jobs) == (1, [])
    next_job = submit(runner, doubled, 1)
    assert next_job.state is JobState.AVAILABLE
    free.set()
    assert await next_job == 2
    assert over.is_set()
    assert heard == [JobState.CANCELLED]  # and nothing of what came after


async def test_a_coroutine_that_does_not_stop_is_given_up(clock):
    free = asyncio.Event()

    async def task():
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    runner = Runner(cancel_grace=5)
    job = submit(runner, task)
    await turns()
    runner.cancel(job)
    await clock.advance(5.1)
    assert job.state is JobState.CANCELLED
    assert runner.running == 1
    free.set()
    await turns()
    assert runner.running == 0
    assert job.state is JobState.CANCELLED  # what came of it in the end changes nothing


# --- draining -----------------------------------------------------------------------------------


async def test_draining_takes_nothing_more_and_finishes_what_it_has():
    runner, gate = Runner(concurrency=1), Gate()
    jobs = [submit(runner, gate.task(n)) for n in range(2)]
    draining = asyncio.ensure_future(runner.drain(100))
    await turns()
    with pytest.raises(Draining):
        submit(runner, gate.task())
    assert not draining.done()
    gate.open.set()
    await draining
    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 2


async def test_draining_cancels_what_takes_longer_than_its_limit(clock):
    runner, gate = Runner(concurrency=1, cancel_grace=5), Gate()
    jobs = [submit(runner, gate.task(n)) for n in range(2)]
    await runner.drain(30)
    assert clock.now == pytest.approx(1030)
    assert [job.state for job in jobs] == [JobState.CANCELLED] * 2
    with pytest.raises(JobCancelled, match="the node is stopping"):
        await jobs[0]


async def test_draining_does_not_wait_for_a_thread_that_never_ends(clock):
    free = threading.Event()
    runner = Runner(cancel_grace=5)
    job = submit(runner, Task(lambda: free.wait(10), name="blocks"))
    await turns()
    draining = asyncio.ensure_future(runner.drain(30))
    await clock.advance(30)
    await clock.advance(5)
    await draining
    assert job.state is JobState.CANCELLED
    assert runner.running == 1
    free.set()
    while runner.running:
        await asyncio.sleep(0)


async def test_draining_an_idle_runner_ends_at_once(clock):
    await Runner().drain(30)
    await Runner().drain(0)
    assert clock.now == 1000
