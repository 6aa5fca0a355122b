"""Between the words on the wire for what went wrong, and the errors that a program catches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jabot.errors import (
    BadArguments,
    Draining,
    Expired,
    JabotError,
    JobTimeout,
    KeyReused,
    NotAllowed,
    ParentFailed,
    QueueNeeded,
    RemoteProtocolError,
    TaskFailed,
    TooLarge,
    TooManyJobs,
    UnknownJob,
    UnknownTask,
    WorkerLost,
)
from jabot.protocol import limits
from jabot.protocol.frames import Failed, Rejected

REFUSALS: Final[Mapping[str, type[JabotError]]] = {
    "unknown_task": UnknownTask,
    "bad_arguments": BadArguments,
    "not_allowed": NotAllowed,
    "too_many_jobs": TooManyJobs,
    "draining": Draining,
    "too_large": TooLarge,
    "queue_needed": QueueNeeded,
    "key_reused": KeyReused,
    "unknown_job": UnknownJob,
    "protocol": RemoteProtocolError,
}
# Refusals for which another worker, or the same one later, may have another answer.
TRANSIENT: Final[frozenset[str]] = frozenset({"too_many_jobs", "draining"})

# `failed` frames that do not tell of an exception of the task's own.
_FAILURES: Final[Mapping[str, type[JabotError]]] = {
    "timeout": JobTimeout,
    "too_large": TooLarge,
    "lost": WorkerLost,
    "expired": Expired,
    "parent": ParentFailed,
}


def code_of(error: JabotError) -> str:
    """The code to refuse a job with. `protocol` for what is no refusal."""
    for code, kind in REFUSALS.items():
        if isinstance(error, kind):
            return code
    return "protocol"


def refusal(frame: Rejected) -> JabotError:
    """The error that a `rejected` frame stands for."""
    kind = REFUSALS.get(frame.code)
    if kind is None:
        return RemoteProtocolError(f"refused with the unknown code {frame.code}: {frame.message}")
    return kind(frame.message or frame.code.replace("_", " "))


def failure(frame: Failed) -> JabotError:
    """The error that a `failed` frame stands for."""
    kind = _FAILURES.get(frame.code)
    if frame.code == "refused":  # by the worker that a queue gave it to; the type is its code
        kind = REFUSALS.get(frame.type)
    if kind is not None:
        return kind(frame.message)
    text = f"{frame.type}: {frame.message}" if frame.message else frame.type
    return TaskFailed(text, kind=frame.type, message=frame.message, traceback=frame.traceback)


def shortened(text: str) -> str:
    """A text as it fits into a frame; its beginning is kept."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no Unicode
    return text if len(text) <= limits.TEXT else text[: limits.TEXT - 1] + "…"


def shortened_traceback(text: str) -> str:
    """A traceback as it fits into a frame; its end is kept, where the cause stands."""
    text = text.encode("utf-8", "replace").decode()
    most = limits.TRACEBACK
    return text if len(text) <= most else "…" + text[1 - most :]
