"""From what a task raised to what its caller is told, and those who run the node."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from pathlib import Path

from jabot.errors import JabotError, JobCancelled, TaskFailed
from jabot.runner.job import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """That a job failed."""

    task: str
    caller: str  # the bare address of who asked for it
    message: str
    at: float  # seconds since 1970


_OWN = str(Path(__file__).parent)


def failure_of(error: BaseException) -> TaskFailed:
    """The exception as a `TaskFailed` that says its type, its message and its traceback."""
    if isinstance(error, TaskFailed):
        if not error.type:  # raised by the task itself: it says already what it has to say
            error.type, error.message = type(error).__name__, str(error)
            error.traceback = _traceback(error)
        return error
    kind, message = type(error).__name__, _message(error)
    failure = TaskFailed(
        f"{kind}: {message}" if message else kind,
        kind=kind,
        message=message,
        traceback=_traceback(error),
    )
    failure.__cause__ = error
    return failure


def died(kind: str, message: str, before: str = "") -> TaskFailed:
    """For what ended without an exception of Python's; `before` is what was seen of it."""
    last = f"{kind}: {message.partition(chr(10))[0].rstrip(':')}"
    trace = f"{before}\n{last}" if before else last
    return TaskFailed(message, kind=kind, message=message, traceback=trace)


def log_failure(job: Job, error: JabotError, delay: float | None) -> None:
    """For those who run the node. It is run again in `delay` seconds, or not at all if None."""
    if isinstance(error, JobCancelled):
        return  # somebody wanted that
    again = "" if delay is None else f" in attempt {job.attempt}; again in {delay:.1f} s"
    level = logging.ERROR if delay is None else logging.WARNING
    if error.__cause__ is not None:
        log.log(level, "[%s] %s failed%s", job.id, job.task.name, again, exc_info=error.__cause__)
        return
    trace = error.traceback if isinstance(error, TaskFailed) else ""
    text = (trace or str(error)).rstrip()
    gap = "\n" if "\n" in text else " "
    log.log(level, "[%s] %s failed%s:%s%s", job.id, job.task.name, again, gap, text)


def _traceback(error: BaseException) -> str:
    """From the task's own first line on; how the runner came there helps nobody."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_OWN):
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start or error.__traceback__))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # users write `__str__`, too
        return ""
