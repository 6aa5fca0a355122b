"""What a store keeps: jobs, schedules, what is known of tasks; and how they stand.

Times are seconds since 1970.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from jabot.protocol.options import JobOptions
from jabot.protocol.states import JobState


class Attempt(Struct, frozen=True):
    """One line of a job's history: an attempt that did not succeed."""

    number: int
    worker: str
    started: float
    ended: float
    outcome: str  # `failed`, `lost`, `released`, `timeout`, `cancelled`
    error: str = ""


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why a job has no result; as in a `failed` frame."""

    type: str
    message: str
    traceback: str = ""
    code: str = "task"  # `task timeout too_large lost expired parent undecodable refused`

    @property
    def text(self) -> str:
        """Its type, and its message if it has one."""
        return f"{self.type}: {self.message}" if self.message else self.type


class Record(Struct, frozen=True):
    """A job as the store knows it."""

    id: str
    owner: str  # bare address of who submitted it
    task: str
    state: JobState
    args: Raw  # a JSON array
    kwargs: Raw  # a JSON object
    options: JobOptions
    meta: dict[str, str]
    created: float
    due: float  # not before that
    deadline: float | None  # its caller's time is over then
    attempt: int  # the number of the newest one; 0 when none was begun
    runs: int  # how many counted, since it was submitted or revived: those not released
    priority: int
    worker: str | None = None  # full address, while it runs
    node: str | None = None  # the queue's process that gave it away, while it runs
    started: float | None = None
    ended: float | None = None
    cancelling: str | None = None  # why it is to be stopped, while it runs, or was cancelled
    result: Raw | None = None
    failure: Failure | None = None
    history: list[Attempt] = []  # the newest 20
    reply_to: str = ""  # full address that hears of its outcome, if it is online
    waits_for: int = 0  # parents that have not succeeded yet
    delivered: bool = False  # its submitter has the outcome
    person: str = ""  # full address that is told of its end in words
    teller: str = ""  # the queue's process that does so; empty: it was done, or nobody is told
    parents: Raw = Raw(b"null")  # results of the jobs it came after, a JSON array, when claimed

    @property
    def kind(self) -> str:
        """What a worker must be able to do for it."""
        return kind_of(self.task, self.options.where)


def kind_of(task: str, where: dict[str, list[str]]) -> str:
    """What a worker must be able to do for a job: a task, and perhaps labels, as one text."""
    if not where:
        return task
    ordered = {name: sorted(values) for name, values in sorted(where.items())}
    return f"{task} {msgspec.json.encode(ordered).decode()}"


def read_kind(kind: str) -> tuple[str, dict[str, list[str]]]:
    """The task and the labels that `kind_of` made one text of. What it made none of is the name of
    a task that nobody has."""
    task, space, where = kind.partition(" ")
    try:
        return task, msgspec.json.decode(where, type=dict[str, list[str]]) if space else {}
    except msgspec.MsgspecError:
        return kind, {}


class Schedule(Struct, frozen=True, omit_defaults=True):
    """A job that is submitted again and again."""

    name: str
    owner: str
    task: str
    args: Raw
    kwargs: Raw
    options: JobOptions
    cron: str | None = None  # five or six fields; or
    every: float | None = None  # seconds
    zone: str = "UTC"  # an IANA name
    missed: Literal["once", "skip", "all"] = "once"
    """For the times that passed while no queue was up: run one job for all, none, or each."""
    paused: bool = False
    next: float | None = None  # when it is due; None: never again
    last: float | None = None  # the time that it was last fired for
    problem: str = ""  # why it cannot fire
    timeout: float | None = None  # seconds that each of its jobs has to succeed


class TaskWord(Struct, frozen=True):
    """What workers say of a task."""

    name: str
    options: JobOptions  # what holds for its jobs unless their submit says otherwise
    version: str = ""  # of the tasks of the worker that described it
    description: Raw | None = None  # as in a `description` frame; None: it was not described
    learned: float = 0.0


class TaskFigures(Struct, frozen=True):
    """The jobs of one task."""

    states: dict[str, int]  # job state -> how many
    oldest: float | None = None  # seconds that the oldest available one has been due
    paused: bool = False
    ended_last_minute: int = 0
    waits: list[
        float
    ] = []  # seconds from due to start of the newest ended ones, up to 1000, sorted
    runs: list[float] = []  # seconds from start to end of the same, sorted


class LaneFigures(Struct, frozen=True):
    """A lane, limits that jobs share, that lets no more through now."""

    slots: int | None
    running: int
    waiting: int
    rate: float | None  # starts in a second
    next: float | None  # when it lets the next one through


class Figures(Struct, frozen=True):
    """How the queue stands."""

    tasks: dict[str, TaskFigures]
    kinds: list[str]  # of available jobs
    paused: list[str]
    lanes: dict[str, LaneFigures]  # the full ones
