"""Slots, and what runs in them."""

import asyncio
import logging
import threading
import uuid

import pytest

from jabot import JID, Context, Step
from jabot.errors import ConfigError, TaskFailed, TooManyJobs
from jabot.protocol.states import JobState
from jabot.runner import Runner
from jabot.runner.job import JobIds
from unit.clock import turns
from unit.running import BOB, Gate, doubled, submit

# --- the kinds ----------------------------------------------------------------------------------


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


# --- draining -----------------------------------------------------------------------------------


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


async def _result(job):
    return await job
