"""Slots, and what runs in them."""

import asyncio
import contextlib
import logging
import threading
import uuid

import pytest

from jabot import JID, Context, Step
from jabot.errors import ConfigError, Draining, JobCancelled, TaskFailed, TooManyJobs
from jabot.protocol.states import JobState
from jabot.runner import Job, Runner
from jabot.runner.job import JobIds
from jabot.runner.threads import LatestStep, run_in_thread
from jabot.tasks import Task
from unit.clock import turns

ALICE, BOB = JID("alice@localhost/phone"), JID("bob@localhost/desk")


def submit(runner, function, *args, caller=ALICE, **kwargs):
    task = function if isinstance(function, Task) else Task(function)
    job = Job(task, *task.signature.bind(args, kwargs), caller)
    runner.submit(job)
    return job


class Gate:
    """A task that runs until it is opened, and tells the order of the starts."""

    def __init__(self):
        self.started, self.open = [], asyncio.Event()

    def task(self, name="wait"):
        async def wait():
            self.started.append(name)
            await self.open.wait()
            return name

        return Task(wait)


# --- the kinds ----------------------------------------------------------------------------------


async def doubled(n: int, *, ctx: Context) -> int:
    ctx.progress(n, 2 * n)
    return 2 * n


def doubled_in_a_thread(n: int, *, ctx: Context) -> int:
    assert threading.current_thread() is not threading.main_thread()
    ctx.progress(n, 2 * n)
    return 2 * n


@pytest.mark.parametrize("function", [doubled, doubled_in_a_thread])
async def test_functions_give_their_result_and_their_progress(function):
    runner, steps, states = Runner(), [], []
    job = submit(runner, function, 21)
    job.on_progress(lambda step: (steps.append(step), states.append(job.state)))
    assert job.state in (JobState.AVAILABLE, JobState.RUNNING)
    assert await job == 42
    assert (job.state, job.status, steps) == (JobState.SUCCEEDED, "succeeded", [Step(21, 42)])
    assert states == [JobState.RUNNING]


async def test_an_async_generator_yields_progress():
    async def steps():
        yield 1
        yield (1, 2)
        yield (1, 2, "half")
        yield "words"
        yield Step(text="own")
        yield ("a", "b")
        yield None
        yield True

    runner, seen = Runner(), []
    job = submit(runner, steps)
    job.on_progress(seen.append)
    assert await job is None
    assert [str(s) for s in seen] == [
        "1",
        "1 of 2 (50%)",
        "1 of 2 (50%), half",
        "words",
        "own",
        "('a', 'b')",
        "",
        "True",
    ]


async def test_a_generator_in_a_thread_yields_progress_and_may_return():
    def steps():
        assert threading.current_thread() is not threading.main_thread()
        yield 1, 3
        yield 3, 3
        return {"ok": True}

    job = submit(Runner(), steps)
    assert await job == {"ok": True}
    assert job.step == Step(3, 3)


async def test_a_generator_that_yields_no_number_fails():
    def in_a_thread():
        yield float("nan")

    async def on_the_loop():
        yield 1, float("inf")

    for steps in (in_a_thread, on_the_loop):
        with pytest.raises(TaskFailed, match="progress is from"):
            await submit(Runner(), steps)


async def test_code_starts_only_in_a_later_turn_of_the_loop():
    ran = []

    async def task():
        ran.append(1)

    job = submit(Runner(), task)
    assert ran == []
    await job
    assert ran == [1]


# --- results and errors -------------------------------------------------------------------------


async def test_a_result_that_breaks_the_promise_fails_the_job():
    async def promises() -> int:
        return "text"

    job = submit(Runner(), promises)
    with pytest.raises(TaskFailed, match="Expected `int`, got `str`"):
        await job
    assert job.state is JobState.FAILED


async def test_a_result_without_json_shape_fails_the_job():
    async def task():
        return object()

    with pytest.raises(TaskFailed, match="TypeError"):
        await submit(Runner(), task)


class Panic(BaseException):
    """Some libraries' errors are no `Exception`."""


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError


def raiser(error, kind):
    async def coroutine():
        raise error

    def thread():
        raise error

    def generator():
        yield 1
        raise error

    async def async_generator():
        yield 1
        raise error

    return {f.__name__: f for f in (coroutine, thread, generator, async_generator)}[kind]


@pytest.mark.parametrize("kind", ["coroutine", "thread", "generator", "async_generator"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("größer"), "ValueError: größer"),
        (KeyError(), "KeyError"),
        (SystemExit(3), "SystemExit: 3"),
        (StopIteration("x"), "Stop"),
        (StopAsyncIteration("x"), "Stop"),
        (asyncio.CancelledError(), "CancelledError"),
        (TimeoutError("slow"), "TimeoutError: slow"),
        (Panic("rust"), "Panic: rust"),
        (Unspeakable(), "Unspeakable"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else "",
)
async def test_whatever_a_task_raises_fails_its_job_and_frees_its_slot(kind, error, text):
    runner = Runner(concurrency=1)
    job = submit(runner, raiser(error, kind))
    with pytest.raises(TaskFailed, match=text) as failure:
        await job
    assert "Traceback" not in str(failure.value)
    assert job.state is JobState.FAILED
    assert await submit(runner, doubled, 1) == 2
    await turns()
    assert (runner.running, runner.jobs) == (0, [])
    error.__traceback__ = None


async def test_the_log_has_the_traceback_and_the_jobs_id(caplog):
    def fails():
        raise ValueError("oops")

    with caplog.at_level(logging.ERROR, "jabot"):
        job = submit(Runner(), fails)
        with pytest.raises(TaskFailed):
            await job
    [record] = caplog.records
    assert record.exc_info[0] is ValueError
    assert job.id in record.getMessage()


# --- slots and order ----------------------------------------------------------------------------


async def test_no_more_jobs_run_than_there_are_slots_and_the_others_keep_their_order():
    changes = []
    runner = Runner(
        concurrency=2, on_change=lambda: changes.append((runner.running, runner.waiting))
    )
    gate = Gate()
    jobs = [submit(runner, gate.task(n)) for n in range(5)]
    await turns()
    assert gate.started == [0, 1]
    assert (runner.running, runner.waiting) == (2, 3)
    assert [job.state for job in jobs] == [JobState.RUNNING] * 2 + [JobState.AVAILABLE] * 3
    assert runner.jobs == jobs
    gate.open.set()
    assert await asyncio.gather(*map(_result, jobs)) == [0, 1, 2, 3, 4]
    assert gate.started == [0, 1, 2, 3, 4]
    await turns()
    assert max(running for running, _ in changes) == 2
    assert changes[-1] == (0, 0)


async def test_one_caller_has_a_limit_over_all_programs_and_others_have_theirs():
    runner, gate = Runner(max_per_caller=2), Gate()
    mine = [submit(runner, gate.task(), caller=JID(f"alice@localhost/{n}")) for n in range(2)]
    with pytest.raises(TooManyJobs, match="2 of your jobs"):
        submit(runner, gate.task())
    other = submit(runner, gate.task(), caller=BOB)
    gate.open.set()
    for job in [*mine, other]:
        await job
    assert await submit(runner, doubled, 1) == 2


async def test_a_callback_sees_the_final_state_and_may_submit_again():
    runner, seen = Runner(), []
    job = submit(runner, doubled, 1)
    job.callback(lambda v: seen.append((job.state, v, runner.jobs)))
    job.callback(lambda _: seen.append(submit(runner, doubled, 5)))
    await job
    assert seen[0] == (JobState.SUCCEEDED, 2, [])
    assert await seen[1] == 10


def test_there_is_at_least_one_slot():
    with pytest.raises(ConfigError, match="at least 1"):
        Runner(concurrency=0)


async def test_job_ids_are_sortable_uuids_of_version_7():
    runner, gate = Runner(), Gate()
    gate.open.set()
    job = submit(runner, gate.task())
    parsed = uuid.UUID(job.id)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert job.id.endswith(job.short_id)
    await job


def test_thousands_of_job_ids_are_in_order_and_no_two_are_the_same():
    first, second = JobIds(), JobIds()
    ids = [first.new() for _ in range(10_000)]
    assert sorted(set(ids)) == ids
    parsed = [uuid.UUID(text) for text in ids]
    assert {(one.version, one.variant) for one in parsed} == {(7, uuid.RFC_4122)}
    assert [str(one) for one in parsed] == ids
    assert not set(ids) & {second.new() for _ in range(10_000)}


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


async def test_a_listener_for_progress_that_raises_harms_nobody(caplog):
    runner, seen = Runner(), []

    async def task(*, ctx: Context):
        ctx.progress(1)
        return "ok"

    job = submit(runner, task)
    job.on_progress(lambda step: 1 / 0)
    job.on_progress(seen.append)
    assert await job == "ok"
    assert seen == [Step(1)]
    assert "a listener for progress raised" in caplog.text


# --- threads ------------------------------------------------------------------------------------


async def test_of_a_burst_of_progress_the_last_step_arrives_before_the_result():
    seen = []

    def task(*, ctx: Context):
        for n in range(10_000):
            ctx.progress(n)
        return "done"

    job = submit(Runner(), task)
    job.on_progress(seen.append)
    job.callback(seen.append)
    await job
    assert seen[-2:] == [Step(9999), "done"]
    assert [s.done for s in seen[:-1]] == sorted({s.done for s in seen[:-1]})


async def test_a_burst_is_one_call_on_the_loop(monkeypatch):
    seen, calls = [], []
    loop = asyncio.get_running_loop()
    call = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *a: (calls.append(a), call(*a)))
    latest = LatestStep(seen.append)
    for n in range(100):
        latest(Step(n))
    assert len(calls) == 1
    await turns()
    assert seen == [Step(99)]
    latest(Step(100))
    latest.flush()
    await turns()
    assert seen == [Step(99), Step(100)]


async def test_a_thread_cannot_keep_the_process_alive():
    assert await run_in_thread(lambda: threading.current_thread().daemon, "x")


def test_a_thread_that_outlives_its_loop_says_nothing(recwarn):
    free, ended = threading.Event(), threading.Event()

    def late():
        free.wait(10)

    async def main():
        waiting = asyncio.ensure_future(run_in_thread(late, "late"))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(main())
    [thread] = [t for t in threading.enumerate() if t.name == "late"]
    free.set()
    thread.join(10)
    ended.set()
    assert not thread.is_alive()


async def _result(job):
    return await job
