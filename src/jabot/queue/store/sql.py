"""What the stores in SQL have in common: verbs in, calls of named queries out, answers back.

A named query is told of each verb what `arguments.py` makes of it, as one JSON array (`Call.json`)
or otherwise, and answers with one JSON array, of a value for each. It does the verbs in their
order; several may concern the same job. Its SQL is in a file of the store's folder. `work` says
which queries to call, and knows no database:

    steps = work(verbs)
    calls = next(steps)
    while True:  # in one transaction; StopIteration brings the results
        calls = steps.send([run(call) for call in calls])

Most jobs are plain, and most attempts succeed. For these there are `add_plain` and `succeed`: each
does what it can do quickly, the rest as `add` and `finish` would (see `PLAIN`), and answers with an
object: the position of each of the rest, and what those answered.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Raw

from jabot.protocol.states import JobState
from jabot.queue.store import rows
from jabot.queue.store.arguments import ARGUMENTS, undecodable
from jabot.queue.store.figures import figures
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import (
    Add,
    Added,
    Adopt,
    Cancel,
    Claim,
    Claimed,
    Due,
    Finish,
    Finished,
    Fire,
    List,
    Look,
    Moved,
    Orphans,
    Question,
    Revive,
    Schedules,
    Stats,
    Stopped,
    Tasks,
    Untold,
    Verb,
)

R = TypeVar("R")


class Call(NamedTuple):
    """One run of a named query."""

    query: str
    told: Sequence[Any]  # a struct or a dict for each verb

    @property
    def json(self) -> str:
        """The same as a JSON array."""
        return _encoder.encode(self.told).decode()


Steps: TypeAlias = Generator[list[Call], Sequence[str | bytes], list[Any]]
_Answer: TypeAlias = Sequence[str | bytes]

_encoder = msgspec.json.Encoder()
PLAIN: Final = {"add_plain": "add", "succeed": "finish"}
"""Queries for most verbs, and those for all others of the kind."""
PASSES: Final = 100  # that a claim may take to be full


def work(verbs: Sequence[Verb]) -> Steps:
    """Yields the calls that may be made together, in their order; is sent their answers."""
    results: list[Any] = []
    for together in _stages(verbs):
        groups = [list(group) for _, group in itertools.groupby(together, key=type)]
        calls = [_call(group) for group in groups]
        answers = yield calls
        for group, call, answer in zip(groups, calls, answers, strict=True):
            kind = type(group[0])
            if call.query in PLAIN:
                results += _plainly[kind](group, answer)
            elif kind is Claim:
                results += yield from _claimed(group, answer)
            elif kind is Fire:
                results += yield from _fired(group, answer)
            else:
                results += _READ.get(kind, _plain)(answer)
    return results


def ask(verb: Question) -> Steps:
    """As `work`, for one question that changes nothing: `Look` tells nobody's address."""
    kind = type(verb)
    call = _call([verb])
    (answer,) = yield [Call("peek", call.told) if kind is Look else call]
    return _READ.get(kind, _plain)(answer)


def _stages(verbs: Sequence[Verb]) -> Iterator[list[Verb]]:
    """A `Fire` ends a stage: what follows it may depend on the job that it adds."""
    stage: list[Verb] = []
    for verb in verbs:
        stage.append(verb)
        if type(verb) is Fire:
            yield stage
            stage = []
    if stage:
        yield stage


def _call(group: Sequence[Any]) -> Call:
    kind = type(group[0])
    arguments: Callable[[Any], Any] = ARGUMENTS.get(kind, msgspec.structs.asdict)
    told = [arguments(verb) for verb in group]
    if kind is Add and all(each.plain for each in told):
        return Call("add_plain", told)
    if kind is Finish and all(each.event == "succeed" for each in told):
        return Call("succeed", told)
    return Call(query_name(kind.__name__), told)


@cache
def query_name(verb: str) -> str:
    """`put_schedule` for `PutSchedule`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", verb).lower()


# -- answers --------------------------------------------------------------------------------------


def _plain(answer: str | bytes) -> list[Any]:
    values: list[Any] = msgspec.json.decode(answer)
    return values


def _each(kind: Any) -> Callable[[Raw | str | bytes], list[Any]]:
    decoder = msgspec.json.Decoder(list[kind])
    return decoder.decode


def _record(answer: Raw) -> Record | None:
    """One job to look at, or null."""
    if bytes(answer) == b"null":
        return None
    good, _ = rows.rows(Raw(b"[" + bytes(answer) + b"]"))
    return rows.shown(good[0]) if good else None


def _records(answer: Raw) -> list[Record]:
    return [rows.shown(row) for row in rows.rows(answer)[0]]


_raws: Final = _each(Raw)


def _each_by(read: Callable[[Raw], Any]) -> Callable[[Raw | str | bytes], list[Any]]:
    return lambda answer: [read(each) for each in _raws(answer)]


_SUCCEEDED: Final = Finished(True, JobState.SUCCEEDED)
_NONE: Final = (b"{}", "{}")


def _added(adds: Sequence[Any], answer: str | bytes) -> list[Added]:
    """The plain ones are new."""
    added = [
        Added(
            add.id,
            JobState.SCHEDULED if add.due > add.now else JobState.AVAILABLE,
            is_new=True,
        )
        for add in adds
    ]
    return _with_rest(added, answer, Added)


def _succeeded(finishes: Sequence[Any], answer: str | bytes) -> list[Finished]:
    return _with_rest([_SUCCEEDED] * len(finishes), answer, Finished)


def _with_rest(results: list[R], answer: str | bytes, kind: type[R]) -> list[R]:
    if answer not in _NONE:
        for position, other in msgspec.json.decode(answer, type=dict[int, kind]).items():  # type: ignore[valid-type]
            results[position] = other
    return results


_plainly: Final[dict[type, Callable[[Sequence[Any], str | bytes], list[Any]]]] = {
    Add: _added,
    Finish: _succeeded,
}


class _Stopped(msgspec.Struct, frozen=True):
    record: Raw
    ended: list[str]
    ready: list[str]


def _stopped(answer: str | bytes) -> list[Stopped | None]:
    stopped: list[Stopped | None] = []
    for each in msgspec.json.decode(answer, type=list[_Stopped | None]):
        found = each and _record(each.record)
        stopped.append(Stopped(found, each.ended, each.ready) if each and found else None)
    return stopped


_READ: Final[dict[type, Callable[[str | bytes], list[Any]]]] = {
    Add: _each(Added),
    Finish: _each(Finished),
    Adopt: _each_by(_records),
    Orphans: _each_by(_records),
    List: _each_by(_records),
    Untold: _each_by(_records),
    Look: _each_by(_record),
    Revive: _each_by(_record),
    Cancel: _stopped,
    Due: _each(Moved),
    Tasks: _each_by(rows.task_words),
    Stats: _each_by(figures),
    Schedules: _each_by(_each_by(rows.schedule)),
}


# -- verbs that take more than one step -----------------------------------------------------------


class _Taken(msgspec.Struct, frozen=True):
    rows: Raw
    more: bool  # there may be more: the jobs that share lanes hid some


def _claimed(
    claims: Sequence[Any], answer: str | bytes
) -> Generator[list[Call], _Answer, list[Any]]:
    """The jobs of each claim. What cannot be read becomes a dead letter, and another is taken."""
    results: list[Any] = []
    size = 0  # of what all of them took
    for claim, first in zip(claims, msgspec.json.decode(answer, type=list[_Taken]), strict=True):
        taken = Claimed()
        got = first
        for left in reversed(range(PASSES)):
            good, bad = _readable(got.rows, claim)
            taken += good
            size += len(got.rows)
            if bad:
                (answer,) = yield [Call("finish", [undecodable(each, claim) for each in bad])]
                for each, end in zip(bad, _READ[Finish](answer), strict=True):
                    taken.ended += [each.job, *end.ended]
                    taken.ready += end.ready
            missing = claim.most - len(taken)
            if missing <= 0 or not (bad or got.more):
                break
            if not left or size > claim.most_bytes / 2:  # another pass might take as many again
                taken.more = True
                break
            (answer,) = yield [_call([msgspec.structs.replace(claim, most=missing)])]
            (got,) = msgspec.json.decode(answer, type=list[_Taken])
        results.append(taken)
    return results


def _readable(answer: Raw, claim: Claim) -> tuple[list[Record], list[rows.Undecodable]]:
    good: list[Record] = []
    found, bad = rows.claimed_rows(answer)
    for row in found:
        try:
            good.append(rows.claimed(row, claim))
        except rows.Undecodable as problem:
            bad.append(problem)
    return good, bad


def _fired(fires: Sequence[Any], answer: str | bytes) -> Generator[list[Call], _Answer, list[Any]]:
    """A schedule's time was this process's to move on: then its job is, too."""
    mine = msgspec.json.decode(answer, type=list[bool])
    jobs = [fire.job for fire, was in zip(fires, mine, strict=True) if was and fire.job]
    added: list[Added] = []
    if jobs:
        call = _call(jobs)
        (answer,) = yield [call]
        added = _added(jobs, answer) if call.query in PLAIN else _READ[Add](answer)
    each = iter(added)
    return [next(each) if was and fire.job else None for fire, was in zip(fires, mine, strict=True)]
