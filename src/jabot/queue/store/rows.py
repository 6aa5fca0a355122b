"""A job as it travels between SQL and `Record`: one JSON array, in which JSON is text."""

from __future__ import annotations

import contextlib
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from jabot.protocol.options import NO_OPTIONS, JobOptions
from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Attempt, Failure, Record, Schedule, TaskWord

T = TypeVar("T")

NULL = Raw(b"null")


class Row(Struct, frozen=True, array_like=True):
    """The columns in the order in which the view `job_rows` gives them.

    JSON that passes through is text here, so that it comes out as it went in, to the digit, and so
    that text that is no JSON spoils no other row. Without payloads, the last four are null.
    """

    id: str
    owner: str
    task: str
    state: JobState
    options: str
    meta: str
    created: float
    due: float
    deadline: float | None
    attempt: int
    runs: int
    priority: int
    worker: str | None
    node: str | None
    started: float | None
    ended: float | None
    cancelling: str | None
    failure: str | None
    history: str | None
    reply_to: str
    waits_for: int
    delivered: bool
    person: str | None
    teller: str | None
    args: str | None
    kwargs: str | None
    result: str | None
    parents: list[str | None] | None  # their results, by position


class Undecodable(Exception):
    """A row that is no job: what is wrong with it."""

    def __init__(self, job: str, attempt: int, reason: str) -> None:
        super().__init__(reason)
        self.job = job
        self.attempt = attempt
        self.reason = reason


def record(row: Row) -> Record:
    """A job. Raises `Undecodable` when its arguments or options cannot be read."""
    try:
        return _record(
            row,
            _options(row.options),
            msgspec.json.decode(row.meta, type=dict[str, str]),
            _checked(row.args),
            _checked(row.kwargs),
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Undecodable(row.id, row.attempt, str(error)) from error


def shown(row: Row) -> Record:
    """A job to look at: what cannot be read is left out."""
    try:
        return record(row)
    except Undecodable:
        return _record(
            row,
            _or(row.options, JobOptions, NO_OPTIONS),
            _or(row.meta, dict[str, str], {}),
            NULL,
            NULL,
        )


def rows(answer: Raw) -> tuple[list[Row], list[Undecodable]]:
    """The rows of a JSON array, and those that are none."""
    try:
        return msgspec.json.decode(answer, type=list[Row]), []
    except (msgspec.MsgspecError, UnicodeError):
        return _one_by_one(bytes(answer))


def _one_by_one(answer: bytes) -> tuple[list[Row], list[Undecodable]]:
    good: list[Row] = []
    bad: list[Undecodable] = []
    text = answer.decode("utf-8", "surrogateescape").encode("utf-8", "replace")
    for each in msgspec.json.decode(text, type=list[Raw]):
        try:
            good.append(msgspec.json.decode(each, type=Row))
        except (msgspec.MsgspecError, UnicodeError) as error:
            cells: list[Any] = msgspec.json.decode(each)
            bad.append(Undecodable(str(cells[0]), int(cells[9]), str(error)))
    return good, bad


def _record(row: Row, options: JobOptions, meta: dict[str, str], args: Raw, kwargs: Raw) -> Record:
    return Record(
        id=row.id,
        owner=row.owner,
        task=row.task,
        state=row.state,
        args=args,
        kwargs=kwargs,
        options=options,
        meta=meta,
        created=row.created,
        due=row.due,
        deadline=row.deadline,
        attempt=row.attempt,
        runs=row.runs,
        priority=row.priority,
        worker=row.worker,
        node=row.node,
        started=row.started,
        ended=row.ended,
        cancelling=row.cancelling,
        result=None if row.result is None else Raw(row.result),
        failure=None if row.failure is None else _or(row.failure, Failure, _UNREADABLE),
        history=[] if row.history is None else _or(row.history, list[Attempt], []),
        reply_to=row.reply_to,
        waits_for=row.waits_for,
        delivered=row.delivered,
        person=row.person or "",
        teller=row.teller or "",
        parents=NULL
        if row.parents is None
        else Raw("[" + ",".join(each or "null" for each in row.parents) + "]"),
    )


_UNREADABLE = Failure("Undecodable", "why it failed cannot be read any more", code="undecodable")


def _options(text: str) -> JobOptions:
    return NO_OPTIONS if text == "{}" else msgspec.json.decode(text, type=JobOptions)


def _checked(text: str | None) -> Raw:
    """JSON that is handed on as it is, when it is some: else it would spoil a whole batch."""
    if text is None:
        return NULL
    if text not in ("[]", "{}"):
        msgspec.json.decode(text, type=Raw)  # goes through all of it
    return Raw(text)


def _or(text: str, kind: Any, otherwise: T) -> T:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        decoded: T = msgspec.json.decode(text, type=kind)
        return decoded
    return otherwise


class ScheduleRow(Struct, frozen=True, array_like=True):
    """A schedule, in the order in which `schedules` gives its columns."""

    name: str
    owner: str
    task: str
    args: str
    kwargs: str
    options: str
    cron: str | None
    every: float | None
    zone: str
    missed: Literal["once", "skip", "all"]
    paused: bool
    next: float | None
    last: float | None
    problem: str


def schedule(row: ScheduleRow) -> Schedule:
    """A schedule; with options that cannot be read it has a problem, and no time."""
    problem, next_ = row.problem, row.next
    options: JobOptions | None = _or(row.options, JobOptions, None)
    if options is None:
        problem, next_ = "its options cannot be read any more: put it anew", None
    return Schedule(
        name=row.name,
        owner=row.owner,
        task=row.task,
        args=Raw(row.args),
        kwargs=Raw(row.kwargs),
        options=options or NO_OPTIONS,
        cron=row.cron,
        every=row.every,
        zone=row.zone,
        missed=row.missed,
        paused=row.paused,
        next=next_,
        last=row.last,
        problem=problem,
    )


class TaskRow(Struct, frozen=True, array_like=True):
    """A task, in the order in which `tasks` gives its columns."""

    name: str
    options: str
    version: str
    description: str | None
    learned: float


def task_word(row: TaskRow) -> TaskWord:
    """What is known of a task; what cannot be read any more is as if it had not been said."""
    options = _or(row.options, JobOptions, NO_OPTIONS)
    description: Raw | None = None
    if row.description is not None and _or(row.description, dict[str, Any], None) is not None:
        description = Raw(row.description)
    return TaskWord(row.name, options, row.version, description, row.learned)
