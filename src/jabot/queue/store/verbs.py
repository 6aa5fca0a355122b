"""What a store is asked to do, one struct for each verb, and what it answers.

A store gets all verbs of one turn of the event loop together, does them in their order in one
transaction, and answers when that is on disk. Each verb can be said again after a failure: the
second time it finds what the first one did. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from msgspec import Raw, Struct

from jabot.protocol.options import DAY, JobOptions
from jabot.protocol.states import JobState
from jabot.queue.store.records import Failure, Record, Schedule, TaskWord, kind_of


class _Verb(Struct, frozen=True, gc=False):
    """What all verbs have in common."""


# -- jobs come in ---------------------------------------------------------------------------------


MOST_SAME: Final = 10_000


class Add(_Verb, frozen=True):
    """Keep a job. Answered with `Added`.

    The same id of the same owner again is the same job, whatever it says besides. `key` and
    `unique` may make it the same as one with another id: then the id is an alias from now on, by
    which `Look`, `Cancel` and the others find the job. Both are names among the jobs of one owner;
    a lane's name is one for all. After failed parents it fails at once, with the code `parent`.

    A job has up to `most_same` aliases. A new job is refused when its owner has `most` unfinished
    ones already. Where several processes add jobs of one owner in the same moment, a few hundred
    more may come in.
    """

    id: str
    owner: str
    task: str
    args: Raw
    kwargs: Raw
    options: JobOptions
    meta: dict[str, str]
    now: float
    timeout: float | None = None
    reply_to: str = ""  # also of a job of that very id that was there: who asked last hears of it
    person: str = ""  # as in `Tell`, with `teller`; also of a job that was there already
    teller: str = ""
    most: int | None = None
    most_same: int = MOST_SAME

    @property
    def due(self) -> float:
        """The moment before which it is not begun."""
        return max(self.now + self.options.delay, self.options.at or 0.0)

    @property
    def kind(self) -> str:
        """As of its `Record`."""
        return kind_of(self.task, self.options.where)


class Added(Struct, frozen=True):
    """The job is on disk: this one, or the one that it is the same as."""

    id: str  # of the job that it is; another than the one submitted after `key` or `unique`
    state: JobState | None = None
    is_new: bool = False
    refused: Literal[
        "", "id_taken", "key_reused", "unknown_parent", "too_many", "too_many_same"
    ] = ""
    # `id_taken`: the id is another owner's. `key_reused`: the key stands for another task or other
    # arguments. `unknown_parent`: `detail` is no job of this owner. `too_many`: it has
    # `detail` unfinished jobs. `too_many_same`: so many submits are the job `id` already.
    detail: str = ""


# -- jobs go out ----------------------------------------------------------------------------------


class Claim(_Verb, frozen=True):
    """Take up to `most` available jobs for a worker: by priority, then the oldest first.

    Answered with `Claimed`, their `Record`s: running, with the next attempt number, `worker` and
    `node` set. `kinds` are those the worker can do: a task's name, or that and needed labels
    (`kind_of`). Jobs of paused tasks are left, as are those whose lane is full or too fast, or
    whose `unique` name has a running job. With fewer than `most` there are no more of these kinds
    that may start now, but for `more`. Jobs of a lane with a rate that are left are told of by
    `Due`: ask for its `next` after a claim that took such a job.
    """

    node: str
    worker: str
    kinds: list[str]
    most: int
    now: float
    most_bytes: int = 64 * 1024 * 1024
    """Of arguments and of results that jobs come after: twice as many in one transaction, at most.
    What else a job carries is not counted, nor need small arguments (up to 2,000 characters) be."""


class Claimed(list[Record]):
    """The jobs that a claim took. What cannot be given to a worker has become a dead letter by
    that: `ended` are the ids of such jobs, and of children that failed by them, and `ready` the
    kinds of which jobs may be claimed now because of that. With `more` there are others, but all
    together, with their parents' results, are too large to be taken at once, or it took too many
    looks to find them: claim again."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        super().__init__(records)
        self.ended: list[str] = []
        self.ready: list[str] = []
        self.more = False


class Adopt(_Verb, frozen=True):
    """A worker says which attempts it holds: from now on they are this node's.

    Answered with the `Record`s, without payloads, of those that stand: running, with that attempt
    and that worker.
    """

    node: str
    worker: str
    held: list[tuple[str, int]]
    now: float


class Finish(_Verb, frozen=True):
    """An attempt has come to an end. Answered with `Finished`.

    Nothing happens unless the job runs with just this attempt, and with this worker and this node
    of the queue if they are given. `succeed` keeps `result`; `fail`
    keeps `failure` and makes it a dead letter; `retry` makes it available at `at`; `release` at
    once, as if the attempt had not been; `cancel` ends it. A job that is being cancelled is
    cancelled by `retry` and `release`. Children are set free, or fail, in the same transaction.
    """

    id: str
    attempt: int
    event: Literal["succeed", "fail", "retry", "release", "cancel"]
    now: float
    result: Raw | None = None
    failure: Failure | None = None
    at: float = 0.0
    worker: str | None = None
    outcome: str = ""  # for the history, unless it succeeds or is released
    node: str | None = None


class Finished(Struct, frozen=True):
    """What an attempt's end has brought about."""

    stands: bool  # False: the attempt was stale, and nothing was changed
    state: JobState | None = None  # of the job now; None when it is unknown
    ready: list[str] = []  # kinds of which jobs may be claimed now: freed children, the job itself,
    # and those that waited for its lane or its unique name
    ended: list[str] = []  # ids of children that failed by this


# -- what else happens to jobs ---------------------------------------------------------------------


class Cancel(_Verb, frozen=True):
    """Stop a job: at once when it does not run, else by its worker (`cancelling` is set).

    Answered with `Stopped`, or None when its owner (None: anybody) has no such job.
    """

    id: str
    owner: str | None
    reason: str
    now: float


class Stopped(Struct, frozen=True):
    """What a cancel has brought about."""

    record: Record  # as it is now
    ended: list[str] = []  # ids of children that failed by this
    ready: list[str] = []  # kinds of which jobs may be claimed now


class Look(_Verb, frozen=True):
    """Answered with the `Record` of a job with its result, or None. `owner` None: anybody's.

    With `reply_to`, that address hears of its outcome from now on.
    """

    id: str
    owner: str | None = None
    reply_to: str = ""


class Delivered(_Verb, frozen=True):
    """Its submitter has the outcome of these jobs. Answered with None."""

    ids: list[str]
    now: float


class Tell(_Verb, frozen=True):
    """Have a person told in words how a job ends, by the process `teller`. Answered with None."""

    id: str
    person: str
    teller: str


class Untold(_Verb, frozen=True):
    """Take over the telling of ended jobs from processes that are no more (see `Orphans`).

    Answered with up to `most` `Record`s, without payloads: ended jobs that this node is to tell a
    person of, those that ended first before the others.
    """

    node: str
    most: int = 100


class Told(_Verb, frozen=True):
    """The server has what was said to the persons who asked for these. Answered with None."""

    ids: list[str]


class Revive(_Verb, frozen=True):
    """Make an ended job (failed or cancelled) available again, with a full number of attempts.

    Answered with its `Record`, or None when there is no such job or it has not ended so. Attempt
    numbers go on: they are never used twice. Its time to the deadline is the whole one again. The
    children that failed with it stay so: each is revived for itself, after it, and waits for it.
    A job with a parent that has failed, or is no longer kept, stays as it is, and is answered so.
    """

    id: str
    owner: str | None
    now: float


class Pause(_Verb, frozen=True):
    """Start no jobs of a task any more, or again. Answered with None."""

    task: str
    paused: bool


# -- what is known of tasks ------------------------------------------------------------------------

MOST_TASKS: Final = 1000
DESCRIPTION: Final = 16 * 1024
"""Bytes of one description. All that a store keeps fit into one `description` frame."""
_UNHEARD: Final = 30 * DAY


class Learn(_Verb, frozen=True):
    """Keep the newest word of workers on these tasks. What was not described keeps the description
    that it has.

    Answered with the names of tasks that were forgotten: those that nobody has spoken of for
    `unheard` seconds, and when there are more than `most`, those that were spoken of longest ago.
    """

    words: list[TaskWord]
    now: float
    most: int = MOST_TASKS
    unheard: float = _UNHEARD


class Tasks(_Verb, frozen=True):
    """Answered with the `TaskWord`s of all tasks, by name."""


# -- upkeep ---------------------------------------------------------------------------------------


class Due(_Verb, frozen=True):
    """Bring what waited for its time to where it belongs, up to `most` jobs.

    Scheduled and retryable ones become available; those that were not begun in time (`expires`,
    deadline) fail. Answered with `Moved`.
    """

    now: float
    most: int = 1000


class Moved(Struct, frozen=True):
    """What upkeep has changed."""

    ready: list[str]  # kinds of which jobs may be claimed now; a rate may allow it again
    ended: list[str]  # ids of jobs that ended
    next: float | None  # when there will be something to do again; now or earlier: at once


class Orphans(_Verb, frozen=True):
    """Take over the running jobs of queue processes that are no more.

    This node says that it lives. Processes that were silent for `silence` seconds (by the store's
    own clock) are no more; in a store for one process, all others are. Answered with the `Record`s,
    without payloads, of all jobs that run under this node after that. It is also asked for when an
    `apply` failed in a way that leaves open whether it was done.
    """

    node: str
    silence: float
    now: float


class Prune(_Verb, frozen=True):
    """Forget jobs that ended long ago, up to `most`; answered with how many they were.

    `delivered` and `undelivered` are seconds since their end, `failed` is for dead letters. What a
    child still waits for, and what a key stands for, is kept. Keys that are over go, too.
    """

    now: float
    delivered: float
    undelivered: float
    failed: float
    most: int = 1000


class Filter(Struct, frozen=True, omit_defaults=True):
    """Which jobs; all that is given must fit."""

    owner: str | None = None
    states: list[JobState] = []
    task: str | None = None
    labels: dict[str, str] = {}
    before: str | None = None  # id of the last one of the page before
    ended_before: float | None = None
    ending: str | None = None  # how the id ends, in small letters


class Purge(_Verb, frozen=True):
    """Delete ended jobs that a filter fits, up to `most`; answered with how many they were."""

    filter: Filter
    most: int = 10_000


class Count(_Verb, frozen=True):
    """Answered with how many ended jobs `Purge` would delete, counted up to `most`."""

    filter: Filter
    most: int = 10_000_000


# -- questions ------------------------------------------------------------------------------------


class List(_Verb, frozen=True):
    """Answered with up to `most` `Record`s without payloads, the newest first.

    With `within`, only about that many of the newest jobs are looked at.
    """

    filter: Filter
    most: int = 100
    within: int | None = None


class Stats(_Verb, frozen=True):
    """Answered with `Figures`."""

    now: float


# -- schedules ------------------------------------------------------------------------------------


class PutSchedule(_Verb, frozen=True):
    """Keep a schedule, a new one or another version of the owner's one of that name.

    Answered with True; False when the name is another owner's (`owner` of the verb None: anybody
    may change it).
    """

    schedule: Schedule
    owner: str | None


class DropSchedule(_Verb, frozen=True):
    """Answered with whether there was one that this owner (None: anybody) may remove."""

    name: str
    owner: str | None


class Schedules(_Verb, frozen=True):
    """Answered with all `Schedule`s of an owner, or of everybody, by name."""

    owner: str | None = None


class Fire(_Verb, frozen=True):
    """A schedule's time has come: add its job and set its next time, once for all processes.

    Nothing happens unless the schedule's `next` still is `planned`. Answered with `Added`, or None
    when another process was faster. `job` None: only move on (a missed time that is skipped).
    """

    name: str
    planned: float
    next: float | None
    job: Add | None
    problem: str = ""


Verb: TypeAlias = (
    Add
    | Claim
    | Adopt
    | Finish
    | Cancel
    | Look
    | Delivered
    | Tell
    | Untold
    | Told
    | Revive
    | Pause
    | Learn
    | Tasks
    | Due
    | Orphans
    | Prune
    | Purge
    | Count
    | List
    | Stats
    | PutSchedule
    | DropSchedule
    | Schedules
    | Fire
)
Question: TypeAlias = List | Count | Stats | Look | Schedules | Tasks
