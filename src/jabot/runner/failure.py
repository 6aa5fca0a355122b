"""From what a task raised to what its caller is told."""

from __future__ import annotations

import traceback
from pathlib import Path

from jabot.errors import TaskFailed

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


def died(kind: str, message: str, output: str = "") -> TaskFailed:
    """For what ended without an exception of Python's; `output` is the last that was seen of it."""
    return TaskFailed(message, kind=kind, message=message, traceback=output or f"{kind}: {message}")


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
