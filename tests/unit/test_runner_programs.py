"""What programs ask of the runner beyond what people do: ids, word of the start, time, meta."""

import asyncio
import contextvars
import logging
import threading

import pytest

from jabot import JID, Context
from jabot.access import Access
from jabot.errors import Draining, JobCancelled, JobTimeout, NotAllowed, TaskFailed, TooManyJobs
from jabot.middleware import Middleware, Run, Submission
from jabot.protocol.states import JobState
from jabot.runner import Desk, Options, Runner
from jabot.tasks import Registry, Task
from unit.clock import turns
from unit.running import ALICE, BOB, for_ever, seven, submit

# --- options ------------------------------------------------------------------------------------


async def test_a_job_has_the_id_attempt_and_meta_that_it_was_submitted_with():
    async def told(*, ctx: Context):
        return [ctx.job_id, ctx.attempt]

    job = submit(Runner(), told, job_id="0192-x", attempt=3, meta={"traceparent": "00-1"})
    assert (job.id, job.attempt, job.options.meta) == ("0192-x", 3, {"traceparent": "00-1"})
    assert await job == ["0192-x", 3]


async def test_two_accounts_may_use_the_same_id():
    """Ids are made by the callers: one must not touch another's job by guessing it."""
    runner = Runner(max_per_caller=1)
    mine = submit(runner, for_ever, job_id="same")
    other = submit(runner, for_ever, job_id="same", caller=BOB)
    assert runner.jobs == [mine, other]
    await turns()
    runner.cancel(other)
    with pytest.raises(JobCancelled):
        await other
    assert runner.jobs == [mine]
    with pytest.raises(TooManyJobs):
        submit(runner, seven)
    assert await submit(runner, seven, caller=BOB) == 7
    await runner.abandon(1)


async def test_a_queue_keeps_to_the_slots_and_not_to_the_limit_of_a_caller():
    runner, queue = Runner(max_per_caller=1), JID("jobs@localhost")
    for _ in range(3):
        submit(runner, for_ever, via=queue)
    assert runner.unfinished(queue.bare) == 3
    submit(runner, for_ever)
    with pytest.raises(TooManyJobs):
        submit(runner, for_ever)
    await runner.abandon(1)


async def test_jobs_of_an_account_are_counted_whatever_becomes_of_them(clock):
    async def fails():
        raise ValueError

    runner = Runner(concurrency=4, max_per_caller=4)
    jobs = [submit(runner, f) for f in (seven, fails, for_ever)]
    jobs.append(submit(runner, for_ever, timeout=5))
    with pytest.raises(TooManyJobs, match="4 of your jobs"):
        submit(runner, seven)
    await turns()
    runner.cancel(jobs[2])
    await clock.advance(5)
    assert [job.state.value for job in jobs] == ["succeeded", "failed", "cancelled", "failed"]
    jobs = [submit(runner, for_ever) for _ in range(4)]
    with pytest.raises(TooManyJobs, match="4 of your jobs"):
        submit(runner, seven)
    await runner.abandon(1)


async def test_the_desk_hands_the_options_on_after_it_asked_for_the_right():
    runner, task = Runner(), Task(seven)
    desk = Desk(lambda: BOB, Registry(), runner, Access({"alice@localhost": "*"}))
    options = Options(job_id="x", attempt=2, timeout=9, meta={"a": "b"})
    job = desk.start(task, ALICE, lambda s: s.bind([], {}), options)
    assert (job.id, job.attempt, job.options.meta, await job) == ("x", 2, {"a": "b"}, 7)
    with pytest.raises(NotAllowed):
        desk.start(task, JID("eve@x/y"), lambda s: s.bind([], {}), options)


# --- handing back -------------------------------------------------------------------------------


async def test_a_job_that_was_not_begun_is_handed_back():
    runner, heard = Runner(concurrency=1), []
    running, in_its_slot = submit(runner, for_ever), None
    await turns()
    waiting = submit(runner, seven)
    waiting.errback(heard.append)
    assert runner.release(waiting)
    assert [type(error) for error in heard] == [Draining]
    assert runner.waiting == 0
    assert not runner.release(running)
    assert not runner.release(waiting)
    runner.cancel(running)
    await turns()
    in_its_slot = submit(runner, seven)
    assert runner.release(in_its_slot)
    with pytest.raises(Draining):
        await in_its_slot
    assert in_its_slot.runs == 0
    await turns()
    assert (runner.running, runner.jobs) == (0, [])
    assert not runner.release(in_its_slot)


async def test_a_job_that_waits_for_its_second_run_was_begun(clock):
    async def fails():
        raise ValueError

    runner = Runner(concurrency=1, chance=lambda: 0)
    job = submit(runner, Task(fails, retries=1))
    await turns()
    assert job.state is JobState.RETRYABLE
    assert not runner.release(job)
    submit(runner, for_ever)
    await clock.advance(1)
    assert job.state is JobState.AVAILABLE
    assert not runner.release(job)
    await runner.abandon(1)


# --- the caller's time --------------------------------------------------------------------------


async def test_the_callers_time_covers_waiting(clock):
    runner = Runner(concurrency=1)
    running, waiting = submit(runner, for_ever), submit(runner, seven, timeout=10)
    await clock.advance(9.9)
    assert waiting.status == "unknown"
    await clock.advance(0.1)
    with pytest.raises(JobTimeout, match=r"it still waited for its turn$"):
        await waiting
    assert (waiting.state, runner.waiting, running.state) == (JobState.FAILED, 0, JobState.RUNNING)
    await runner.abandon(1)


async def test_the_callers_time_covers_running(clock):
    tidied = []

    async def tidies():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            tidied.append(True)

    runner = Runner()
    job = submit(runner, tidies, timeout=10)
    await clock.advance(10.5)
    assert job.status == "unknown"  # it has a moment to stop
    await clock.advance(0.5)
    with pytest.raises(JobTimeout, match=r"it still ran$"):
        await job
    assert (job.state, tidied, runner.running) == (JobState.FAILED, [True], 0)


@pytest.mark.parametrize("timeout", [0, 0.0, -1])
async def test_a_job_whose_time_is_over_already_is_not_begun(timeout):
    runner = Runner()
    job = submit(runner, seven, timeout=timeout)
    assert isinstance(job.error, JobTimeout)
    assert (job.state, runner.jobs, runner.running) == (JobState.FAILED, [], 0)


async def test_many_deadlines_of_which_few_are_met(clock):
    """One timer serves them all; those of jobs that ended are forgotten, and harm no other."""
    runner = Runner(concurrency=2)
    late = [submit(runner, for_ever, timeout=30 + n) for n in range(2)]
    waiting = [submit(runner, seven, timeout=10 + n % 7, job_id=str(n)) for n in range(1000)]
    for job in waiting[50:]:
        runner.cancel(job)
    assert len(runner._deadlines._timers._heap) < 300
    await clock.advance(12)
    ended = [job for job in waiting[:50] if job.state is JobState.FAILED]
    assert ended == [job for job in waiting[:50] if int(job.id) % 7 <= 2]
    await clock.advance(18)
    assert [job.state for job in late] == [JobState.FAILED, JobState.RUNNING]
    await clock.advance(1)
    assert [job.state for job in late] == [JobState.FAILED, JobState.FAILED]
    await turns()
    assert (runner.running, runner.waiting, runner.jobs) == (0, 0, [])


# --- errors -------------------------------------------------------------------------------------


class Oops(Exception):
    pass


async def coroutine():
    raise Oops("größer")


async def async_generator():
    yield 1
    raise Oops("größer")


def thread():
    raise Oops("größer")


def generator():
    yield 1
    raise Oops("größer")


@pytest.mark.parametrize("function", [coroutine, async_generator, thread, generator])
async def test_a_failure_says_type_message_and_the_tasks_own_lines(function):
    job = submit(Runner(), function)
    with pytest.raises(TaskFailed) as failure:
        await job
    error = failure.value
    assert (error.type, error.message, str(error)) == ("Oops", "größer", "Oops: größer")
    lines = error.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f"in {function.__name__}" in lines[1]  # and not how the runner came there
    assert lines[-1].endswith("Oops: größer")
    assert isinstance(error.__cause__, Oops)


async def test_a_failure_of_a_job_elsewhere_is_handed_on_as_it_is():
    async def asks_another():
        raise TaskFailed("KeyError: 3", kind="KeyError", message="3", traceback="far away")

    async def says_so_itself():
        raise TaskFailed("no luck")

    job = submit(Runner(), asks_another)
    with pytest.raises(TaskFailed, match=r"^KeyError: 3$") as failure:
        await job
    assert failure.value.traceback == "far away"
    job = submit(Runner(), says_so_itself)
    with pytest.raises(TaskFailed, match=r"^no luck$") as failure:
        await job
    assert (failure.value.type, failure.value.message) == ("TaskFailed", "no luck")
    assert "says_so_itself" in failure.value.traceback


@pytest.mark.parametrize("error", [JobTimeout("of another"), JobCancelled("another"), Draining()])
async def test_the_end_of_another_job_is_not_taken_for_this_ones(error):
    async def asks_another():
        raise error

    job = submit(Runner(), asks_another)
    with pytest.raises(TaskFailed) as failure:
        await job
    assert failure.value.type == type(error).__name__
    assert job.state is JobState.FAILED


# --- middleware ---------------------------------------------------------------------------------

LOCAL = contextvars.ContextVar("local", default="nothing")


class Recorder(Middleware):
    def __init__(self, name, log):
        self.name, self.log = name, log

    def before_run(self, run):
        LOCAL.set(f"{self.name} {run.attempt}")
        self.log.append((self.name, "before", run))

    def after_run(self, run, error):
        self.log.append((self.name, "after", run, LOCAL.get(), repr(error)))


def test_the_hooks_do_nothing():
    hooks, run = Middleware(), Run("x", "lift", ALICE, 1, {})
    submission = Submission("x", "lift", "bot@localhost")
    hooks.before_submit(submission)
    hooks.before_run(run)
    hooks.after_run(run, None)
    hooks.after_result(submission, None)
    submission.meta["traceparent"] = "00"
    assert Submission("y", "lift", "bot@localhost").meta == {}


@pytest.mark.parametrize("threaded", [False, True])
async def test_middleware_is_called_around_each_run_in_its_context(threaded):
    async def coroutine():
        return LOCAL.get()

    def thread():
        assert threading.current_thread() is not threading.main_thread()
        return LOCAL.get()

    log = []
    runner = Runner(middleware=[Recorder("outer", log), Recorder("inner", log)])
    job = submit(runner, thread if threaded else coroutine, meta={"a": "b"}, attempt=4)
    assert log == []
    assert await job == "inner 4"
    run = log[0][2]
    assert run == Run(job.id, job.task.name, ALICE, 4, {"a": "b"})
    assert log == [
        ("outer", "before", run),
        ("inner", "before", run),
        ("inner", "after", run, "inner 4", "None"),
        ("outer", "after", run, "inner 4", "None"),
    ]
    assert LOCAL.get() == "nothing"


async def test_middleware_hears_what_the_caller_hears(clock):
    async def fails():
        raise ValueError("once")

    log = []
    runner = Runner(middleware=[Recorder("m", log)], chance=lambda: 0)
    job = submit(runner, Task(fails, retries=1))
    stopped = submit(runner, for_ever)
    await turns()
    runner.cancel(stopped)
    await clock.advance(1)
    assert job.state is JobState.FAILED
    after = [(entry[2].task, entry[2].attempt, entry[4]) for entry in log if entry[1] == "after"]
    assert after == [
        ("fails", 1, "TaskFailed('ValueError: once')"),
        ("for_ever", 1, repr(stopped.error)),
        ("fails", 2, "TaskFailed('ValueError: once')"),
    ]


async def test_middleware_that_raises_harms_no_job(caplog):
    class Broken(Middleware):
        def before_run(self, run):
            raise RuntimeError

        def after_run(self, run, error):
            raise RuntimeError

    log = []
    runner = Runner(middleware=[Broken(), Recorder("m", log)])
    assert await submit(runner, seven) == 7
    assert [entry[1] for entry in log] == ["before", "after"]
    assert [r.levelname for r in caplog.records if r.levelname != "INFO"] == ["ERROR", "ERROR"]


async def test_what_never_began_has_no_run():
    log = []
    runner = Runner(middleware=[Recorder("m", log)])
    job = submit(runner, seven)
    runner.cancel(job)
    await turns()
    assert log == []


# --- the log ------------------------------------------------------------------------------------


async def test_a_job_says_that_it_runs_and_how_it_ended(caplog):
    with caplog.at_level(logging.INFO, "jabot"):
        job = submit(Runner(), seven)
        await job
    assert caplog.messages == [
        f"[{job.id}] seven: running for alice@localhost",
        f"[{job.id}] seven: succeeded",
    ]
