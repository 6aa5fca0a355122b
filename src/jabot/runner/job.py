"""One request to run a task, and what has become of it."""

from __future__ import annotations

import enum
import logging
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

from jabot.deferrable import Deferrable
from jabot.jid import JID
from jabot.tasks import Step, Task
from jabot.tasks.context import Cancellation

log = logging.getLogger(__name__)


class State(enum.Enum):
    """Where a job stands."""

    AVAILABLE = "available"  # waiting for a free slot
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Deferrable[Any]):
    """A job of this node. It succeeds with the result, or fails with `TaskFailed` or
    `JobCancelled`."""

    def __init__(
        self,
        task: Task[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        caller: JID,
        job_id: str | None = None,
    ) -> None:
        self.id = job_id or new_job_id()
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.caller = caller
        self.attempt = 1
        self.state = State.AVAILABLE
        self.step: Step | None = None
        self.cancellation = Cancellation()
        self.started: float | None = None
        """When it began to run, on the monotonic clock in seconds."""
        self._progress_listeners: list[Callable[[Step], object]] = []

    @property
    def short_id(self) -> str:
        """The end of the id, for people: it is random, while the beginning is a time."""
        return self.id[-4:]

    @property
    def running_for(self) -> float:
        """Seconds since it began to run; 0 while it waits."""
        return 0.0 if self.started is None else time.monotonic() - self.started

    def on_progress(self, listener: Callable[[Step], object]) -> None:
        """Call `listener` on the event loop with each step from now on."""
        self._progress_listeners.append(listener)

    def report(self, step: Step) -> None:
        """Take a step that the running task reported; on the event loop only.

        A thread that was given up may go on reporting: nobody hears it.
        """
        if self.status != "unknown":
            return
        self.step = step
        for listener in self._progress_listeners:
            try:
                listener(step)
            except Exception:
                log.exception("[%s] a listener for progress raised", self.id)

    def __repr__(self) -> str:
        return f"<Job {self.task.name} {self.id} {self.state.value}>"


def new_job_id() -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): sortable by time, made without coordination."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF000 << 64)) | (0x7000 << 64)  # the version
    value = (value & ~(0xC000 << 48)) | (0x8000 << 48)  # the variant
    return str(uuid.UUID(int=value))
