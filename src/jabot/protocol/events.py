"""What the two ends tell their owner."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Raw, Struct

from jabot.errors import JabotError
from jabot.protocol.frames import Submit


class _Event(Struct, frozen=True, gc=False):
    """A struct is made in a tenth of a dataclass's time, and there are some for each job."""


# -- from the caller's end ---------------------------------------------------------------------


class JobAccepted(_Event, frozen=True):
    """A worker is responsible for the job. Also told when its outcome comes first, just before."""

    id: str
    peer: str
    attempt: int


class JobStepped(_Event, frozen=True):
    """The job has got on; each is newer than the one before."""

    id: str
    done: float | None
    total: float | None
    text: str | None


class JobEnded(_Event, frozen=True):
    """The job's one outcome: its result as JSON, or an error."""

    id: str
    result: Raw | None = None
    error: JabotError | None = None


class JobNeedsWorker(_Event, frozen=True):
    """Give the job to another with `Caller.place()`, or end it with `Caller.give_up()`."""

    id: str
    task: str
    attempt: int
    avoid: frozenset[str]  # who had it or refused it
    error: JabotError  # why it has none
    queue: str = ""  # the address of the queue that may have it: then only a node of that will do
    kept: bool = False  # it has it on disk: who gives up gives up only to hear of it
    since: float | None = None  # when that queue was first in vain looked for a node of


CallerEvent: TypeAlias = "JobAccepted | JobStepped | JobEnded | JobNeedsWorker | Report"

# -- from the worker's end ---------------------------------------------------------------------

Key: TypeAlias = tuple[str, str]
"""What a job is known by on a worker: the bare address of its caller, and its id."""


class StartJob(_Event, frozen=True):
    """Run this, or refuse it with `Worker.reject()` before the batch is answered."""

    key: Key
    peer: str  # the full address that asked
    submit: Submit


class CancelJob(_Event, frozen=True):
    """Stop this. However it ends is told as usual."""

    key: Key
    reason: str


WorkerEvent: TypeAlias = "StartJob | CancelJob | Report"

# -- from both ---------------------------------------------------------------------------------


class Report(_Event, frozen=True):
    """Something that was ignored; for the log, and no more often than a log can stand."""

    peer: str
    text: str
