"""One request to run a task, and what has become of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from jabot.deferrable import Deferrable
from jabot.errors import JabotError
from jabot.jid import JID
from jabot.protocol.states import JobState
from jabot.tasks import Step, Task
from jabot.tasks.context import Cancellation

log = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True):
    """What a caller may say of a job besides its arguments."""

    job_id: str | None = None
    """Made here when it is None. Two accounts may use the same one."""
    attempt: int = 1
    """The number of its first run here."""
    timeout: float | None = None
    """Seconds that its caller still waits: a job that has not ended by then, even by waiting for a
    slot, fails with `JobTimeout`."""
    meta: Mapping[str, str] = MappingProxyType({})
    """What the caller's middleware sent along."""
    via: JID | None = None
    """The queue that it came from, which decides about retries."""
    parents: bytes = b"null"
    """Results of the jobs that it comes after, as a JSON array."""


NO_OPTIONS = Options()


class Job(Deferrable[Any]):
    """A job of this node.

    It succeeds with the JSON-shaped result, or fails with `TaskFailed`, `JobTimeout`,
    `JobCancelled`, or `Draining` when it was handed back before it began.
    """

    # Class-level defaults stand in for what most jobs never need.
    step: Step | None = None
    """The newest progress of the present run."""
    started: float | None = None
    """When the present run began, on the monotonic clock in seconds."""
    runs: int = 0
    """How often it was begun here."""
    last_error: JabotError | None = None
    """What the last run but the present one failed with."""
    verdict: JabotError | None = None
    """What it is to end with as soon as it stops: it was told to."""
    deadline: float | None = None
    """When its caller waits no longer, on the loop's clock."""
    alarm: asyncio.TimerHandle | None = None
    """Fires when the present run took too long, is to be given up, or the backoff is over."""
    is_left: bool = False
    """Whether it was stopped because the node is to stop, and not because anybody wanted that."""
    _cancellation: Cancellation | None = None
    _progress_listeners: list[Callable[[Step], object]] | None = None

    def __init__(
        self,
        task: Task[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        caller: JID,
        options: Options = NO_OPTIONS,
    ) -> None:
        self.id = options.job_id or new_job_id()
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.caller = caller
        self.options = options
        self.account = (options.via or caller).bare
        """Whose job it is to this node: its caller's, or the queue's."""
        self.attempt = options.attempt
        """The number of the present run: one more for each retry."""
        self.state = JobState.AVAILABLE

    @property
    def cancellation(self) -> Cancellation:
        """Of the present run: a retry has a new one."""
        if self._cancellation is None:
            self._cancellation = Cancellation()
        return self._cancellation

    @property
    def short_id(self) -> str:
        """See `short_id`."""
        return short_id(self.id)

    @property
    def running_for(self) -> float:
        """Seconds since it began to run; 0 while it waits."""
        return 0.0 if self.started is None else time.monotonic() - self.started

    @property
    def since(self) -> float | None:
        """When the present run began, in seconds since 1970; None while it waits. It is read from
        two clocks, and differs a little each time."""
        return None if self.started is None else time.time() - self.running_for

    def on_progress(self, listener: Callable[[Step], object]) -> None:
        """Call `listener` on the event loop with each step from now on."""
        if self._progress_listeners is None:
            self._progress_listeners = []
        self._progress_listeners.append(listener)

    def begin(self) -> None:
        """A run begins."""
        self.started = time.monotonic()
        self.runs += 1

    def put_off(self, error: JabotError) -> None:
        """The run failed, and there is to be another one."""
        if self.alarm is not None:
            self.alarm.cancel()
        self.state = JobState.RETRYABLE
        self.last_error = error
        self.started = self.step = self.verdict = self._cancellation = None
        self.attempt += 1

    def report(self, step: Step) -> None:
        """Take a step that the running task reported; on the event loop only.

        A thread that was given up may go on reporting: nobody hears it.
        """
        if self.status != "unknown":
            return
        self.step = step
        for listener in self._progress_listeners or ():
            try:
                listener(step)
            except Exception:
                log.exception("[%s] a listener for progress raised", self.id)

    def __repr__(self) -> str:
        return f"<Job {self.task.name} {self.id} {self.state.value}>"


def short_id(job_id: str) -> str:
    """The end of an id, for people: it is random, while the beginning is a time."""
    return job_id[-4:]


def new_job_id() -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): sortable by time, made without coordination."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF000 << 64)) | (0x7000 << 64)  # the version
    value = (value & ~(0xC000 << 48)) | (0x8000 << 48)  # the variant
    text = f"{value:032x}"  # five times as fast as `str(uuid.UUID(int=value))`
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class JobIds:
    """Job ids for who makes thousands a second: they differ from each other by one within the same
    millisecond, and are random beyond it (RFC 9562 section 6.2, method 2)."""

    def __init__(self) -> None:
        self._at = 0
        self._head, self._tail = "", 0

    def new(self) -> str:
        """The next id."""
        now = time.time_ns() // 1_000_000
        if now != self._at:
            first = new_job_id()
            self._at = now
            # Of the last group, one random bit is cleared, so that there is room to count.
            self._head, self._tail = first[:24], int(first[24:], 16) & ~(1 << 47)
        else:
            self._tail += 1
        return f"{self._head}{self._tail:012x}"
