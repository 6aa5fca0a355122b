"""What a running task is told about its job, and what it can say."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec

from jabot.jid import JID

log = logging.getLogger("jabot.task")

_MOST = 2**63


@dataclass(frozen=True)
class Step:
    """One piece of progress."""

    done: float | None = None
    total: float | None = None
    text: str | None = None

    def __str__(self) -> str:
        parts = []
        if self.done is not None and self.total:
            parts.append(f"{self.done:g} of {self.total:g} ({self.done / self.total:.0%})")
        elif self.done is not None:
            parts.append(f"{self.done:g}")
        if self.text:
            parts.append(self.text)
        return ", ".join(parts)


def checked(step: Step) -> Step:
    """The step; raises `ValueError` when it holds a number that cannot be sent or shown."""
    for value in (step.done, step.total):
        if value is not None and not -_MOST <= value <= _MOST:  # a NaN is not either
            shown = value if isinstance(value, float) else f"a number of {value.bit_length()} bits"
            raise ValueError(f"progress is from -2**63 to 2**63, not {shown}")
    return step


class Context:
    """Filled in for a parameter that is annotated `Context`; no part of the task's signature.

    Usable from the event loop, from a thread and from a process alike.
    """

    def __init__(
        self,
        *,
        job_id: str,
        caller: JID,
        attempt: int,
        report: Callable[[Step], None],
        is_cancelled: Callable[[], bool],
        via: JID | None = None,
        parents: bytes = b"null",
    ) -> None:
        self.job_id = job_id
        self.caller = caller
        """Who asked for the job first: an address that the server vouches for, or the queue."""
        self.via = via
        """The queue that the job came from; None when it came from its caller."""
        self.attempt = attempt
        """Which run of the job this is, from 1."""
        self._parents = parents
        self._report = report
        self._is_cancelled = is_cancelled

    def progress(
        self, done: float | None = None, total: float | None = None, text: str | None = None
    ) -> None:
        """Tell how far the job is. Cheap: what is shown to a person is thinned out on the way.

        Raises `TypeError` when `done` or `total` is no number, `ValueError` for a NaN and for one
        past 2 to the power of 63 either way, which is no progress that others could read.
        """
        for value in (done, total):
            if not isinstance(value, int | float | None):
                raise TypeError(f"progress is a number, not {value!r}; for words give text=...")
        self._report(checked(Step(done, total, text)))

    @functools.cached_property
    def parents(self) -> list[Any]:
        """The results of the jobs that this one came `after`, in their order."""
        return msgspec.json.decode(self._parents) or []

    @functools.cached_property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines begin with the job's id."""
        return _JobLog(log, {"job": self.job_id})

    @property
    def cancelled(self) -> bool:
        """True once somebody cancelled the job. Code in a thread should look now and then."""
        return self._is_cancelled()


class Cancellation:
    """A flag that is set once and can be read from any thread."""

    __slots__ = ("_is_set", "reason")

    def __init__(self) -> None:
        self._is_set = False
        self.reason = ""

    def set(self, reason: str = "") -> None:
        """Ask for the job to stop."""
        self.reason = reason
        self._is_set = True

    def __call__(self) -> bool:
        return self._is_set


class _JobLog(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        return f"[{(self.extra or {})['job']}] {msg}", kwargs
