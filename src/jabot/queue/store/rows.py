"""Jobs, schedules and tasks as they come out of SQL: JSON arrays, in which JSON is text."""

from __future__ import annotations

import contextlib
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from jabot.protocol.codec import too_large
from jabot.protocol.options import NO_OPTIONS, JobOptions
from jabot.protocol.states import JobState
from jabot.queue.store.records import Attempt, Failure, Record, Schedule, TaskWord
from jabot.queue.store.verbs import Claim

T = TypeVar("T")

NULL = Raw(b"null")


class Row(Struct, frozen=True, array_like=True):
    """The columns in the order of `full_rows` in SQLite and `job_row` in PostgreSQL.

    JSON that passes through is text here, so that it comes out as it went in, to the digit, and so
    that text that is no JSON spoils no other row. Without payloads, the last three are null.
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


class ClaimedRow(Struct, frozen=True, array_like=True):
    """A job that was claimed just now, in the order of `claimed_rows` and `claimed_row`."""

    id: str
    attempt: int
    owner: str
    task: str
    options: str
    meta: str
    created: float
    due: float
    deadline: float | None
    runs: int
    priority: int
    history: str | None
    reply_to: str
    person: str | None
    teller: str | None
    args: str
    kwargs: str
    parents: list[str | None] | int | None  # their results, by position; how long, if too long


class Undecodable(Exception):
    """A row that is no job: what is wrong with it."""

    def __init__(self, job: str, attempt: int, reason: str, code: str = "undecodable") -> None:
        super().__init__(reason)
        self.job = job
        self.attempt = attempt
        self.reason = reason
        self.code = code  # `undecodable` or `too_large`


def record(row: Row) -> Record:
    """A job. Raises `Undecodable` when its arguments or options cannot be read."""
    try:
        return _record(
            row,
            _options(row.options),
            _meta(row.meta),
            _checked(row.args),
            _checked(row.kwargs),
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Undecodable(row.id, row.attempt, str(error)) from error


def claimed(row: ClaimedRow, claim: Claim) -> Record:
    """A job that runs from now on. Raises `Undecodable` when its arguments or options cannot be
    read, or the results of the jobs that it comes after; or when those are too long."""
    if isinstance(row.parents, int):
        text = f"the results of the jobs that it comes after are {too_large(row.parents)}"
        raise Undecodable(row.id, row.attempt, text, "too_large")
    try:
        return Record(
            row.id,
            row.owner,
            row.task,
            JobState.RUNNING,
            _checked(row.args),
            _checked(row.kwargs),
            _options(row.options),
            _meta(row.meta),
            row.created,
            row.due,
            row.deadline,
            row.attempt,
            row.runs,
            row.priority,
            claim.worker,
            claim.node,
            claim.now,
            history=_history(row.history),
            reply_to=row.reply_to,
            person=row.person or "",
            teller=row.teller or "",
            parents=_parents(row.parents),
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
    return _rows(answer, _each_row, Row, 9)


def claimed_rows(answer: Raw) -> tuple[list[ClaimedRow], list[Undecodable]]:
    """The same of jobs that were claimed."""
    return _rows(answer, _each_claimed, ClaimedRow, 1)


_each_row: Final = msgspec.json.Decoder(list[Row])
_each_claimed: Final = msgspec.json.Decoder(list[ClaimedRow])


def _rows(
    answer: Raw, decoder: msgspec.json.Decoder[list[T]], kind: type[T], attempt: int
) -> tuple[list[T], list[Undecodable]]:
    """All at once when all are good. `attempt` is where that stands in a row."""
    try:
        return decoder.decode(answer), []
    except (msgspec.MsgspecError, UnicodeError):
        pass
    good: list[T] = []
    bad: list[Undecodable] = []
    text = bytes(answer).decode("utf-8", "surrogateescape").encode("utf-8", "replace")
    for each in msgspec.json.decode(text, type=list[Raw]):
        try:
            good.append(msgspec.json.decode(each, type=kind))
        except (msgspec.MsgspecError, UnicodeError) as error:
            cells: list[Any] = msgspec.json.decode(each)
            bad.append(Undecodable(str(cells[0]), int(cells[attempt]), str(error)))
    return good, bad


def _record(row: Row, options: JobOptions, meta: dict[str, str], args: Raw, kwargs: Raw) -> Record:
    result, failure = _outcome(row)
    decoded = {
        "args": args,
        "kwargs": kwargs,
        "options": options,
        "meta": meta,
        "result": result,
        "failure": failure,
        "history": _history(row.history),
        "person": row.person or "",
        "teller": row.teller or "",
    }
    return Record(**(msgspec.structs.asdict(row) | decoded))


_LOST_RESULT = Failure(
    "Undecodable", "it succeeded, but its stored result cannot be read", code="undecodable"
)
_UNREADABLE = Failure("Undecodable", "why it failed cannot be read any more", code="undecodable")


def _outcome(row: Row) -> tuple[Raw | None, Failure | None]:
    """What came of it: a result that is no JSON would spoil all that is sent with it."""
    failure = None if row.failure is None else _or(row.failure, Failure, _UNREADABLE)
    try:
        return (None if row.result is None else _checked(row.result)), failure
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None, _LOST_RESULT


def _parents(results: list[str | None] | None) -> Raw:
    if results is None:
        return NULL
    return _checked("[" + ",".join(each or "null" for each in results) + "]")


def _options(text: str) -> JobOptions:
    return NO_OPTIONS if text == "{}" else msgspec.json.decode(text, type=JobOptions)


def _meta(text: str) -> dict[str, str]:
    return {} if text == "{}" else msgspec.json.decode(text, type=dict[str, str])


def _history(text: str | None) -> list[Attempt]:
    return [] if text is None or text == "[]" else _or(text, list[Attempt], [])


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
    timeout: float | None


def schedule(answer: Raw) -> Schedule:
    """A schedule; one that cannot be read, or its options, has a problem, and no time."""
    try:
        row = msgspec.json.decode(answer, type=ScheduleRow)
    except (msgspec.MsgspecError, UnicodeError) as error:
        cells: list[Any] = msgspec.json.decode(answer)
        name, owner, task = (str(cell) for cell in cells[:3])
        problem = f"it cannot be read any more ({error}): put it anew"
        return Schedule(name, owner, task, Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, problem=problem)
    problem, next_ = row.problem, row.next
    options: JobOptions | None = _or(row.options, JobOptions, None)
    if options is None:
        problem, next_ = "its options cannot be read any more: put it anew", None
    decoded = {
        "args": Raw(row.args),
        "kwargs": Raw(row.kwargs),
        "options": options or NO_OPTIONS,
        "next": next_,
        "problem": problem,
    }
    return Schedule(**(msgspec.structs.asdict(row) | decoded))


class TaskRow(Struct, frozen=True, array_like=True):
    """A task, in the order in which `tasks` gives its columns."""

    name: str
    options: str
    version: str
    description: str | None
    learned: float


def task_words(answer: Raw) -> list[TaskWord]:
    """What is known of tasks; what cannot be read any more is as if it had not been said."""
    return [_task_word(row) for row in msgspec.json.decode(answer, type=list[TaskRow])]


def _task_word(row: TaskRow) -> TaskWord:
    options = _or(row.options, JobOptions, NO_OPTIONS)
    description: Raw | None = None
    if row.description is not None and _or(row.description, dict[str, Any], None) is not None:
        description = Raw(row.description)
    return TaskWord(row.name, options, row.version, description, row.learned)
