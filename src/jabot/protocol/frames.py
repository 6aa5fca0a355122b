"""What programs say to each other, one struct for each kind of frame.

On the wire a frame is a JSON array that begins with its kind: `["cancel","0192...",1]`. An array
and no object, because servers escape each quote to six bytes. Fields are only ever added at the
end, with a default: who knows fewer ignores the rest, who knows more fills the default in.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias, get_args

import msgspec
from msgspec import Meta, Raw

from jabot.protocol import limits

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.ID)]
Task: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.TASK)]
Text: TypeAlias = Annotated[str, Meta(max_length=limits.TEXT)]
Attempt: TypeAlias = Annotated[int, Meta(ge=1, lt=2**31)]
Number: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, lt=250e9)]  # since 1970: to the year 9892
Pairs: TypeAlias = Annotated[
    dict[
        Annotated[str, Meta(max_length=limits.META_KEY)],
        Annotated[str, Meta(max_length=limits.META_VALUE)],
    ],
    Meta(max_length=limits.META),
]
Held: TypeAlias = list[tuple[Id, Attempt]]

# A worker of an older or newer kind may know other words; a reader must not fail on them.
Word: TypeAlias = Annotated[str, Meta(max_length=32)]

NO_ARGS: Final = Raw(b"[]")
NO_KWARGS: Final = Raw(b"{}")
NO_META: Final[dict[str, str]] = {}
NULL: Final = Raw(b"null")


class _Frame(
    msgspec.Struct, array_like=True, frozen=True, gc=False, tag=str.lower, tag_field="kind"
):
    """What all frames have in common: a lower-case class name as their first word."""


class Submit(_Frame, frozen=True):
    """Run a task. The same id again is the same job."""

    id: Id  # UUIDv7, made by the submitter
    task: Task
    args: Raw = NO_ARGS  # a JSON array
    kwargs: Raw = NO_KWARGS  # a JSON object
    attempt: Attempt = 1
    timeout: Annotated[float, Meta(ge=0)] | None = (
        None  # seconds that the caller still waits, from now
    )
    meta: Pairs = {}  # for middleware, such as `traceparent`
    options: Raw = NULL  # for a queue: a JSON object, see `JobOptions`
    caller: Annotated[str, Meta(max_length=limits.ADDRESS)] = ""  # by a queue: who asked first
    parents: Raw = NULL  # by a queue: a JSON array of the results of the jobs it came after


class Accepted(_Frame, frozen=True):
    """The worker is responsible for the job. Optional: the batch's answer says it as well."""

    id: Id
    attempt: Attempt


class Rejected(_Frame, frozen=True):
    """Nothing was run, and nothing will be. Sent before the submit's batch is answered."""

    id: Id
    attempt: Number  # 0 when the submit could not be read so far
    code: Word  # one of `REFUSALS` in `refusals.py`
    message: Text = ""


class Progress(_Frame, frozen=True):
    """How far the job is. May be lost or overtaken: only a higher `seq` is news."""

    id: Id
    attempt: Attempt
    seq: Number  # counts up from 1 within an attempt, not always by 1
    done: float | None = None
    total: float | None = None
    text: Text | None = None


class Succeeded(_Frame, frozen=True):
    """The task returned."""

    id: Id
    attempt: Attempt
    result: Raw = NULL


class Failed(_Frame, frozen=True):
    """The task raised, or could not be brought to its end."""

    id: Id
    attempt: Attempt
    type: Text  # of the exception, such as `ValueError`
    message: Text
    traceback: Annotated[str, Meta(max_length=limits.TRACEBACK)] = ""
    code: Word = "task"  # `task`, `timeout`, `too_large`, `lost`


class Cancel(_Frame, frozen=True):
    """Stop the job. It is answered with the job's outcome, which may be another than hoped for."""

    id: Id
    attempt: Number  # 0: whichever there is
    reason: Text = ""


class Cancelled(_Frame, frozen=True):
    """The job was stopped, or never began."""

    id: Id
    attempt: Attempt
    reason: Text = ""


class Heartbeat(_Frame, frozen=True):
    """The worker still holds these attempts; renews their leases."""

    held: Held


class Hello(_Frame, frozen=True):
    """First word of a worker after a reconnect: the attempts that it holds, and no others."""

    held: Held
    slots: Number | None = None  # how many jobs it runs at once
    tasks: Raw = NULL  # to a queue: {task name: its defaults, as `JobOptions`}
    labels: Pairs = {}  # to a queue: what jobs may ask for
    version: Word = ""  # to a queue: changes when the description of any task does


class Describe(_Frame, frozen=True):
    """Ask what a worker offers: one task, or with null all that the asker may run."""

    task: Task | None = None


class Description(_Frame, frozen=True):
    """The answer to `describe`; null instead of an object when there is no such task."""

    task: Task | None  # as in the question
    version: Word  # changes when any description does; also in the worker's presence
    tasks: Raw = NULL  # {task name: {"doc": text, "args": schema, "result": schema}}


class Query(_Frame, frozen=True):
    """Ask what has become of a job, and hear of it from now on."""

    id: Id
    attempt: Number = 0  # the one that is asked for; 0: whichever there is


class State(_Frame, frozen=True):
    """Where a job stands. An ended one is answered with its outcome instead."""

    id: Id
    attempt: Number  # of an unknown job: as in the question
    state: Word  # a job state, or `unknown`


class Part(_Frame, frozen=True):
    """A piece of a frame that is too large for a batch."""

    key: Number  # the same for all parts of a frame, never used again by this sender
    index: Annotated[int, Meta(ge=0, lt=limits.PARTS)]
    count: Annotated[int, Meta(ge=1, le=limits.PARTS)]
    id: Annotated[str, Meta(max_length=limits.ID)]  # of the job that it is about, or ""
    data: Annotated[str, Meta(max_length=limits.BATCH_SENT)]


Frame: TypeAlias = (
    Submit
    | Accepted
    | Rejected
    | Progress
    | Succeeded
    | Failed
    | Cancel
    | Cancelled
    | Heartbeat
    | Hello
    | Describe
    | Description
    | Query
    | State
    | Part
)
FRAMES: Final[tuple[type[Frame], ...]] = get_args(Frame)
KINDS: Final[dict[str, type[Frame]]] = {str(kind.__struct_config__.tag): kind for kind in FRAMES}
TO_WORKER: Final = frozenset({Submit, Cancel, Query, Describe})
TO_CALLER: Final = frozenset(FRAMES) - TO_WORKER - {Part}


def kind_of(frame: Frame) -> str:
    """The word that a frame begins with on the wire."""
    return str(frame.__struct_config__.tag)


def detached(raw: Raw) -> Raw:
    """A payload to be kept: a decoded one holds the whole batch that it came in."""
    return raw.copy()
