"""One run of a job's code, in the place where its kind of task runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from jabot.errors import NotAllowed, UnknownJob
from jabot.protocol.states import JobState
from jabot.runner.command import run_command
from jabot.runner.failure import failure_of, log_failure
from jabot.runner.job import Job
from jabot.runner.process import run_in_process
from jabot.runner.threads import LatestStep, run_in_thread
from jabot.tasks import Arguments, Context, Kind, Step
from jabot.tasks.command import Command
from jabot.tasks.context import checked

THREADED = (Kind.THREAD, Kind.GENERATOR)
KILLABLE = (Kind.PROCESS, Kind.COMMAND)


def execute(job: Job, kill_after: float) -> Awaitable[Any]:
    """Run the task: to be awaited, for what it returned; raises what it raised.

    Cancel it to stop it: a coroutine is cancelled, and a process killed when it has not ended
    `kill_after` seconds later. A thread is left alone, and looks at `job.cancellation` itself.
    """
    kind = job.task.kind
    if kind is Kind.COROUTINE:
        args, kwargs = _arguments(job, job.report)
        coroutine: Coroutine[Any, Any, Any] = job.task.function(*args, **kwargs)
        return coroutine
    if kind is Kind.PROCESS:
        return run_in_process(job, kill_after)
    if isinstance(job.task.function, Command):
        return run_command(job, job.task.function, kill_after)
    if kind in THREADED:
        return _in_a_thread(job)
    return _to_its_end(job)


def answer(job: Job) -> None:
    """Run a plain function to its end now, on the event loop. Raises what it refuses the job
    with."""
    args, kwargs = _arguments(job, job.report)
    try:
        value = job.task.signature.check_result(job.task.function(*args, **kwargs))
    except (NotAllowed, UnknownJob):
        raise
    except Exception as error:
        failure = failure_of(error)
        log_failure(job, failure, None)
        job.state = JobState.FAILED
        job.fail(failure)
    else:
        job.state = JobState.SUCCEEDED
        job.succeed(value)


async def _to_its_end(job: Job) -> None:
    args, kwargs = _arguments(job, job.report)
    async for item in job.task.function(*args, **kwargs):
        job.report(checked(_step(item)))


async def _in_a_thread(job: Job) -> Any:
    report = LatestStep(job.report)
    function, cancelled = job.task.function, job.cancellation
    args, kwargs = _arguments(job, report)

    def call() -> Any:
        result = function(*args, **kwargs)
        return result if job.task.kind is Kind.THREAD else _exhaust(result, report, cancelled)

    result = await run_in_thread(call, f"jabot {job.task.name} {job.short_id}")
    report.flush()
    if cancelled():
        raise asyncio.CancelledError
    return result


def _arguments(job: Job, report: Callable[[Step], None]) -> Arguments:
    signature = job.task.signature
    if signature.context is None:
        return job.args, job.kwargs
    return signature.with_context(
        job.args,
        job.kwargs,
        lambda: Context(
            job_id=job.id,
            caller=job.caller,
            attempt=job.attempt,
            via=job.options.via,
            parents=job.options.parents,
            report=report,
            is_cancelled=job.cancellation,
        ),
    )


def _exhaust(generator: Any, report: Callable[[Step], None], cancelled: Callable[[], bool]) -> Any:
    """Run a generator to its end in this thread; what it returns is the result."""
    while True:
        try:
            item = next(generator)
        except StopIteration as end:
            return end.value
        report(checked(_step(item)))
        if cancelled():
            generator.close()
            return None


def _step(item: Any) -> Step:
    """What a generator yields: a number, `(done, total)`, `(done, total, text)` or a text."""
    if isinstance(item, Step):
        return item
    if isinstance(item, bool) or item is None:
        return Step(text=None if item is None else str(item))
    if isinstance(item, int | float):
        return Step(done=item)
    if isinstance(item, tuple) and 2 <= len(item) <= 3:
        done, total, *text = item
        if all(isinstance(n, int | float) for n in (done, total)):
            return Step(done, total, str(text[0]) if text else None)
    return Step(text=str(item))
