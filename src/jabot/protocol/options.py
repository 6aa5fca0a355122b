"""What a caller may ask of a queue for one job, as it travels in a `submit` frame."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from jabot.protocol.frames import Id

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Label: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=315_360_000)]  # to ten years
Moment: TypeAlias = Annotated[float, Meta(ge=0, lt=253_402_300_800)]  # from 1970 to 9999

DAY = 86_400.0
# Stands for the job's own task where a lane has a name, and for its task and arguments where
# something unique has.
THIS = "*"
OWN_TASKS: Final = "queue."
"""How the names of the tasks begin that a queue does itself. No worker may offer it such a one."""
NODE_TASKS: Final = "node."
"""How the names of the tasks begin that every node does itself, and does not list."""
RESERVED: Final = (OWN_TASKS, NODE_TASKS)
"""How the names begin of tasks that a queue gives to no worker."""


class RetryOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """`jabot.Retry`, as it travels; `on` holds names of exceptions."""

    attempts: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    backoff: Seconds = 1.0
    factor: Annotated[float, Meta(ge=1, le=1000)] = 2.0
    most: Seconds = 300.0
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.5
    on: Annotated[list[Name], Meta(max_length=32)] = []  # empty: whatever failed it


class Lane(msgspec.Struct, frozen=True, omit_defaults=True):
    """Jobs that share limits over the whole pool, whichever their task and worker."""

    name: Name
    slots: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None  # that run at once
    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None  # starts in a second
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 1  # starts that may come together


class JobOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them. What is left out is as the task's author said, or as it stands here."""

    retry: RetryOptions | None = None
    delay: Seconds = 0.0
    """Not before so many seconds from the submit."""
    at: Moment | None = None
    """Not before that moment, in seconds since 1970."""
    expires: Seconds | None = None
    """A job that was not begun so many seconds after it was due fails with `Expired`."""
    priority: Annotated[int, Meta(ge=-100, le=100)] | None = None
    """The higher ones first; 0 is usual."""
    key: Name | None = None
    """A submit with a key that its caller used before is that job again."""
    key_for: Seconds = DAY
    """How long, from the first submit."""
    unique: Name | None = None
    """At most one job of that name waits and one runs; one more submit is the waiting one."""
    lane: Lane | None = None
    after: Annotated[list[Id], Meta(max_length=1000)] = []
    """Runs when these jobs of its caller have succeeded, and can read their results."""
    where: Annotated[
        dict[Label, Annotated[list[Label], Meta(max_length=256)]], Meta(max_length=32)
    ] = {}
    """Labels that its worker must have: one of these values each. With the task's name, all
    together take up to `limits.KIND` bytes."""
    labels: Annotated[dict[Label, Label], Meta(max_length=32)] = {}
    """Of the job itself, to find it by."""


NO_OPTIONS = JobOptions()

_FOR_PEOPLE: Final = {"lane": "concurrency or rate"}


def needs_queue(task: str, options: bytes) -> str:
    """Why a plain worker is not given a job with these options."""
    try:
        given = msgspec.json.decode(options, type=dict[str, Any])
    except msgspec.MsgspecError:
        given = {"its options": None}
    names = ", ".join(_FOR_PEOPLE.get(name, name) for name in given)
    return (
        f"{task} was asked for with {names}, which only a queue can keep, and a plain worker is "
        "there; a parameter of the task's own of such a name goes into arguments={...}"
    )
