"""The limits that a task has of its own: how many at once, how long, how often again."""

import asyncio
import threading

import pytest

from jabot import Context, Node
from jabot.errors import ConfigError, JobCancelled, JobTimeout, TaskFailed
from jabot.protocol.states import JobState
from jabot.runner import Runner
from jabot.tasks import Retry, Task
from unit import process_tasks
from unit.clock import turns
from unit.running import for_ever, seven, submit

# --- how many at once ---------------------------------------------------------------------------


async def test_a_task_at_its_limit_does_not_hold_up_the_others():
    order, doors = [], {}

    def task(name, **options):
        async def run(n: int):
            order.append(f"{name}{n}")
            doors[f"{name}{n}"] = asyncio.Event()
            await doors[f"{name}{n}"].wait()

        return Task(run, name=name, **options)

    heavy, light = task("heavy", concurrency=1), task("light")
    runner = Runner(concurrency=3)
    jobs = [submit(runner, t, n) for t, n in ((heavy, 1), (heavy, 2), (light, 1), (heavy, 3))]
    await turns()
    assert order == ["heavy1", "light1"]
    assert (runner.running, runner.waiting) == (2, 2)
    doors["heavy1"].set()
    await turns()
    assert order[2:] == ["heavy2"]
    runner.cancel(jobs[1])
    await turns()
    assert order[3:] == ["heavy3"]
    doors["heavy3"].set()
    doors["light1"].set()
    await turns()
    assert (runner.running, runner.jobs) == (0, [])


async def test_a_thread_that_was_given_up_counts_for_its_task(clock):
    started, free = threading.Event(), threading.Event()

    def blocks():
        started.set()
        free.wait(10)

    runner = Runner(cancel_grace=5)
    task = Task(blocks, concurrency=1)
    first, second = submit(runner, task), submit(runner, task)
    await turns()
    assert started.wait(10)
    runner.cancel(first)
    await clock.advance(5)
    assert first.state is JobState.CANCELLED
    assert (second.state, runner.running) == (JobState.AVAILABLE, 1)
    free.set()
    await second


# --- how long -----------------------------------------------------------------------------------


async def test_a_run_that_takes_too_long_is_stopped_and_its_wait_does_not_count(clock):
    runner = Runner(concurrency=1)
    task = Task(for_ever, timeout="5s")
    first, second = submit(runner, task), submit(runner, task)
    await clock.advance(4.9)
    assert first.status == "unknown"
    await clock.advance(0.1)
    with pytest.raises(JobTimeout, match=r"stopped after 5 s, the limit for a run of for_ever$"):
        await first
    assert first.state is JobState.FAILED
    await clock.advance(4.9)
    assert second.state is JobState.RUNNING
    await clock.advance(0.1)
    assert second.state is JobState.FAILED


async def test_a_run_that_ends_in_time_hears_nothing_of_its_limit(clock):
    async def sleeps():
        await asyncio.sleep(4)
        return "slept"

    runner = Runner()
    job = submit(runner, Task(sleeps, timeout=5))
    assert await job == "slept"
    await clock.advance(60)
    assert job.state is JobState.SUCCEEDED


async def test_a_thread_looks_whether_its_time_is_over():
    def looks(*, ctx: Context):
        while not ctx.cancelled:
            pass

    job = submit(Runner(), Task(looks, timeout=0.05))
    with pytest.raises(JobTimeout):
        await job


async def test_a_thread_that_does_not_look_is_given_up_and_not_run_again(clock):
    started, free, runs = threading.Event(), threading.Event(), []

    def blocks():
        runs.append(1)
        started.set()
        free.wait(10)

    runner = Runner(cancel_grace=5)
    job = submit(runner, Task(blocks, timeout=10, retries=Retry(on=JobTimeout)))
    await turns()
    assert started.wait(10)
    await clock.advance(15)
    with pytest.raises(JobTimeout, match=r"; it does not stop yet$"):
        await job
    assert (job.state, runner.running) == (JobState.FAILED, 1)
    free.set()
    while runner.running:
        await asyncio.sleep(0)
    await clock.advance(100)
    assert (runs, job.state) == ([1], JobState.FAILED)


async def test_a_process_is_killed_when_its_time_is_over():
    runner = Runner(cancel_grace=0.05)
    task = Task(process_tasks.stubborn.function, process=True, timeout=1.0)
    job = submit(runner, task)
    with pytest.raises(JobTimeout):
        await job
    assert runner.running == 0


async def test_who_was_cancelled_first_is_cancelled(clock):
    """The first word counts, when a limit comes while the job is stopping."""

    async def slow_to_stop():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)

    runner = Runner()
    jobs = [submit(runner, Task(slow_to_stop, timeout=10), timeout=11) for _ in range(2)]
    await clock.advance(9)
    runner.cancel(jobs[0])
    await clock.advance(1.5)
    runner.cancel(jobs[1])
    await clock.advance(2)
    assert [type(job.error) for job in jobs] == [JobCancelled, JobTimeout]
    assert [job.state for job in jobs] == [JobState.CANCELLED, JobState.FAILED]


# --- how often again ----------------------------------------------------------------------------


class Flaky:
    """A task that fails so many times."""

    def __init__(self, failures, **options):
        self.failures, self.attempts, self.times = failures, [], []
        self.task = Task(self.run, **options)

    async def run(self, *, ctx: Context):
        self.attempts.append(ctx.attempt)
        self.times.append(asyncio.get_running_loop().time())
        if len(self.attempts) <= self.failures:
            raise ValueError(f"attempt {ctx.attempt}")
        return ctx.attempt


async def test_a_job_that_failed_is_run_again_after_its_backoff(clock):
    flaky = Flaky(2, retries=Retry(attempts=3, backoff=1, factor=2, jitter=0.5))
    runner = Runner(concurrency=1, chance=lambda: 1)
    job = submit(runner, flaky.task, attempt=5)
    await turns()
    assert (job.state, runner.running, runner.waiting) == (JobState.RETRYABLE, 0, 0)
    assert await submit(runner, seven) == 7  # the slot is free meanwhile
    assert await job == 7
    assert flaky.attempts == [5, 6, 7]
    assert flaky.times == pytest.approx([1000, 1000.5, 1001.5])


async def test_the_last_failure_is_the_outcome(clock, caplog):
    flaky = Flaky(9, retries=2)
    job = submit(Runner(), flaky.task)
    with pytest.raises(TaskFailed, match="attempt 3"):
        await job
    assert job.state is JobState.FAILED
    told = [record for record in caplog.records if record.levelname != "INFO"]
    assert [record.levelname for record in told] == ["WARNING", "WARNING", "ERROR"]
    assert "again in" in told[0].getMessage()
    assert job.id in told[0].getMessage()


async def test_only_errors_that_are_meant_are_run_again(clock):
    flaky = Flaky(9, retries=Retry(on=OSError))
    with pytest.raises(TaskFailed, match="attempt 1"):
        await submit(Runner(), flaky.task)
    flaky = Flaky(1, retries=Retry(on="ValueError"))
    assert await submit(Runner(), flaky.task) == 2


async def test_a_policy_that_raises_is_no_policy(clock, caplog):
    flaky = Flaky(9, retries=Retry(on=lambda error: 1 / 0))
    with pytest.raises(TaskFailed, match="attempt 1"):
        await submit(Runner(), flaky.task)
    assert "the retry policy of run raised" in caplog.text


async def test_a_run_that_took_too_long_is_run_again_when_that_is_asked_for(clock):
    runs = []

    async def hangs_once():
        runs.append(1)
        if len(runs) == 1:
            await asyncio.Event().wait()
        return len(runs)

    task = Task(hangs_once, timeout=5, retries=Retry(on=JobTimeout))
    job = submit(Runner(), task)
    assert await job == 2
    with pytest.raises(JobTimeout):
        await submit(Runner(), Task(for_ever, timeout=5, retries=3))


async def test_each_run_has_its_own_time(clock):
    runs = []

    async def sleeps():
        runs.append(1)
        await asyncio.sleep(4)
        if len(runs) < 3:
            raise ValueError
        return len(runs)

    policy = Retry(attempts=3, backoff=1, factor=1, jitter=0)
    assert await submit(Runner(), Task(sleeps, timeout=5, retries=policy)) == 3
    assert clock.now == 1014


async def test_a_job_is_cancelled_while_it_waits_for_its_backoff(clock):
    flaky = Flaky(9, retries=3)
    runner = Runner()
    job = submit(runner, flaky.task)
    await turns()
    assert job.state is JobState.RETRYABLE
    runner.cancel(job, "enough")
    with pytest.raises(JobCancelled, match="enough"):
        await job
    await clock.advance(60)
    assert flaky.attempts == [1]
    assert (job.state, runner.jobs) == (JobState.CANCELLED, [])


async def test_a_second_run_can_be_cancelled_like_the_first(clock):
    seen = []

    async def fails_then_hangs(*, ctx: Context):
        seen.append(ctx)
        if ctx.attempt == 1:
            raise ValueError
        await asyncio.Event().wait()

    runner = Runner()
    job = submit(runner, Task(fails_then_hangs, retries=1))
    await clock.advance(2)
    assert job.state is JobState.RUNNING
    assert not seen[1].cancelled
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert [ctx.cancelled for ctx in seen] == [False, True]


async def test_no_backoff_goes_past_the_callers_time(clock):
    flaky = Flaky(9, retries=Retry(attempts=9, backoff=4, factor=1, jitter=0))
    job = submit(Runner(), flaky.task, timeout=10)
    with pytest.raises(TaskFailed, match="attempt 3"):
        await job
    assert clock.now == 1008


async def test_draining_does_not_wait_for_a_backoff(clock):
    flaky = Flaky(9, retries=Retry(attempts=3, backoff=20))
    late = Flaky(9, retries=3)
    runner = Runner()
    job = submit(runner, flaky.task)
    await turns()
    running = submit(runner, late.task)
    await runner.drain(100)
    assert clock.now == 1000
    for ended in (job, running):  # the second failed when the node was stopping already
        with pytest.raises(TaskFailed, match="attempt 1"):
            await ended
        assert ended.state is JobState.FAILED


async def test_progress_begins_anew_with_each_run(clock):
    async def steps(*, ctx: Context):
        if ctx.attempt == 1:
            ctx.progress(9, 10)
            raise ValueError
        await asyncio.Event().wait()

    runner = Runner()
    job = submit(runner, Task(steps, retries=1))
    await clock.advance(2)
    assert (job.state, job.step) == (JobState.RUNNING, None)
    await runner.abandon(1)


# --- the definition -----------------------------------------------------------------------------


def test_a_nodes_task_has_the_limits_that_it_is_given():
    node = Node()

    @node.task(concurrency=2, timeout="5m", retries=3)
    async def lift(): ...

    @node.task
    async def rest(): ...

    assert (lift.concurrency, lift.timeout, lift.retry) == (2, 300, Retry(attempts=4))
    assert (rest.concurrency, rest.timeout, rest.retry) == (None, None, Retry(attempts=1))


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"timeout": "soon"}, {"timeout": 0}, {"retries": -1}], ids=str
)
def test_limits_that_cannot_be_used(options):
    with pytest.raises(ConfigError):
        Node().task(**options)(seven)
