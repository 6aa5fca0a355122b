"""What a queue tells of its jobs, workers and schedules to who looks after it.

These travel as JSON: to programs as results of the tasks in `own_tasks.py`, to people through chat
and the command line. Moments are seconds since 1970, durations are seconds.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from jabot.protocol.frames import Number, Seconds
from jabot.queue.store.records import Attempt, LaneFigures, Record, Schedule, TaskFigures

SHOWN_MOST: Final = 1 << 20  # bytes of arguments and result that are shown


class JobLine(Struct, frozen=True, kw_only=True):
    """A job in a list."""

    id: str
    owner: str
    task: str
    state: str
    created: float
    due: float
    started: Seconds | None = None
    ended: float | None = None
    attempt: int = 0
    priority: int = 0
    labels: dict[str, str] = {}
    worker: str | None = None
    """Who runs it now."""
    error: str = ""
    """In one line, why it has failed, or why its newest attempt has."""


class JobSheet(JobLine, frozen=True, kw_only=True):
    """All that is known of a job."""

    why: str
    """Why it is where it is, and what it waits for."""
    args: Any = None
    kwargs: Any = None
    result: Any = None
    left_out: bool = False
    """Arguments and result are larger than what is shown."""
    options: dict[str, Any] = {}
    deadline: float | None = None
    cancelling: str | None = None
    traceback: str = ""
    history: list[Attempt] = []
    """The newest attempts that did not succeed."""
    delivered: bool = False
    """Whether its submitter has the outcome."""


class Spread(Struct, frozen=True, kw_only=True):
    """How long the newest jobs took: of 100, so many took no longer than that."""

    p50: float
    p90: float
    p99: float
    most: float


class TaskLine(Struct, frozen=True, kw_only=True):
    """How the jobs of one task stand."""

    states: dict[str, Number]
    paused: bool = False
    oldest: float | None = None
    """How long the oldest available one has been due."""
    ended_last_minute: Number = 0
    waited: Spread | None = None
    """From the moment that jobs were due until they were begun."""
    ran: Spread | None = None
    stuck: str = ""
    """Why available ones are not begun at once."""


class RunLine(Struct, frozen=True, kw_only=True):
    """A job that a worker has."""

    id: str
    task: str
    owner: str
    attempt: int
    started: float | None


class WorkerLine(Struct, frozen=True, kw_only=True):
    """A worker, as the node of the queue sees it that it is with."""

    jid: str
    node: str
    here: bool
    """False: it is away, and its jobs are given to others unless it comes back in time."""
    slots: int
    """How many jobs of this queue it may have at once now."""
    tasks: list[str]
    labels: dict[str, str] = {}
    runs: list[RunLine] = []
    running: int = 0
    """How many jobs it has, whether they are told in `runs` or not."""


class Standing(Struct, frozen=True, kw_only=True):
    """How the queue stands."""

    jid: str
    now: float
    tasks: dict[str, TaskLine]
    workers: list[WorkerLine] = []
    lanes: dict[str, LaneFigures] = {}
    silent: list[str] = []
    """Other nodes of this queue that did not tell of their workers in time."""


class ScheduleLine(Struct, frozen=True, kw_only=True):
    """A schedule."""

    name: str
    owner: str
    task: str
    cron: str | None = None
    every: float | None = None
    zone: str = "UTC"
    missed: str = "once"
    paused: bool = False
    args: Any = None
    kwargs: Any = None
    options: dict[str, Any] = {}
    timeout: float | None = None
    """Seconds that each of its jobs has to succeed."""
    last: float | None = None
    upcoming: list[float] = []
    """Its next times."""
    problem: str = ""
    """Why it does not fire."""


def job_line(record: Record) -> JobLine:
    """A job for a list."""
    return JobLine(**_line(record))


def job_sheet(record: Record, why: str) -> JobSheet:
    """A job with all that is known of it."""
    size = len(record.args) + len(record.kwargs) + len(record.result or b"")
    fits = size <= SHOWN_MOST
    return JobSheet(
        **_line(record),
        why=why,
        args=_plain(record.args) if fits else None,
        kwargs=_plain(record.kwargs) if fits else None,
        result=_plain(record.result) if fits and record.result is not None else None,
        left_out=not fits,
        options=msgspec.to_builtins(record.options),
        deadline=record.deadline,
        cancelling=record.cancelling,
        traceback=record.failure.traceback if record.failure else "",
        history=record.history,
        delivered=record.delivered,
    )


def task_line(figures: TaskFigures, stuck: str) -> TaskLine:
    """How the jobs of a task stand, with why those that are available wait."""
    return TaskLine(
        states=figures.states,
        paused=figures.paused,
        oldest=figures.oldest,
        ended_last_minute=figures.ended_last_minute,
        waited=spread(figures.waits),
        ran=spread(figures.runs),
        stuck=stuck,
    )


def spread(samples: list[float]) -> Spread | None:
    """Of sorted durations; None where there are none."""
    if not samples:
        return None

    def at(share: float) -> float:
        return samples[max(0, math.ceil(share * len(samples)) - 1)]

    return Spread(p50=at(0.50), p90=at(0.90), p99=at(0.99), most=samples[-1])


def schedule_line(schedule: Schedule, upcoming: list[float], problem: str) -> ScheduleLine:
    """A schedule, with its next times."""
    return ScheduleLine(
        name=schedule.name,
        owner=schedule.owner,
        task=schedule.task,
        cron=schedule.cron,
        every=schedule.every,
        zone=schedule.zone,
        missed=schedule.missed,
        paused=schedule.paused,
        args=_plain(schedule.args),
        kwargs=_plain(schedule.kwargs),
        options=msgspec.to_builtins(schedule.options),
        timeout=schedule.timeout,
        last=schedule.last,
        upcoming=upcoming,
        problem=problem,
    )


def _line(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "owner": record.owner,
        "task": record.task,
        "state": record.state.value,
        "created": record.created,
        "due": record.due,
        "started": record.started,
        "ended": record.ended,
        "attempt": record.attempt,
        "priority": record.priority,
        "labels": record.options.labels,
        "worker": record.worker,
        "error": _error(record),
    }


def _error(record: Record) -> str:
    if record.failure is not None:
        text = record.failure.text
    elif record.history and not record.state.ended:
        text = record.history[-1].error
    else:
        text = record.cancelling or ""
    return " ".join(text.split())


def _plain(json: Raw) -> Any:
    return msgspec.json.decode(json)
