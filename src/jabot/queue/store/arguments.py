"""What a named query is told of each verb: one flat JSON object, in which JSON is text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from jabot.protocol.options import NO_OPTIONS
from jabot.queue.store import verbs
from jabot.queue.store.records import Failure
from jabot.queue.store.rows import Undecodable

LARGE: Final = 2000  # characters of arguments that are kept apart from the job's own row
_ERROR: Final = 1000  # characters of an error that are kept in a job's history

_encode = msgspec.json.Encoder(order="deterministic").encode


class AddArguments(Struct, frozen=True, gc=False):
    """A job to keep, with what the options mean for it worked out."""

    id: str
    owner: str
    task: str
    kind: str
    args: str
    kwargs: str
    options: str
    meta: str
    reply_to: str
    now: float
    due: float
    priority: int
    deadline: float | None = None
    expires: float | None = None
    most: int | None = None
    plain: bool = True  # small, no limits, key, parents or person: what is above is all
    large: bool = False
    key: str | None = None
    key_until: float | None = None
    unique_name: str | None = None
    lane: str | None = None
    slots: int | None = None
    gap: float | None = None  # seconds between starts, by the lane's rate
    burst: int = 1
    after: list[str] | None = None
    person: str | None = None
    teller: str | None = None
    most_same: int | None = None


def _add(verb: verbs.Add) -> AddArguments:
    options = verb.options
    args, kwargs = _text(verb.args), _text(verb.kwargs)
    large = len(args) + len(kwargs) > LARGE
    if options is NO_OPTIONS and verb.timeout is None and not large and not verb.person:
        return AddArguments(
            verb.id,
            verb.owner,
            verb.task,
            verb.task,
            args,
            kwargs,
            "{}",
            _encode(verb.meta).decode() if verb.meta else "{}",
            verb.reply_to,
            verb.now,
            verb.now,
            0,
            None,
            None,
            verb.most,
        )
    lane = options.lane
    deadline = None if verb.timeout is None else verb.now + verb.timeout
    return AddArguments(
        id=verb.id,
        owner=verb.owner,
        task=verb.task,
        kind=verb.kind,
        args=args,
        kwargs=kwargs,
        options=_encode(options).decode(),
        meta=_encode(verb.meta).decode(),
        reply_to=verb.reply_to,
        now=verb.now,
        due=verb.due,
        priority=options.priority or 0,
        plain=not (large or options.key or options.unique or lane or options.after or verb.person),
        deadline=deadline,
        expires=options.expires,
        most=verb.most,
        large=large,
        key=options.key,
        key_until=None if options.key is None else verb.now + options.key_for,
        unique_name=options.unique,
        lane=lane.name if lane else None,
        slots=lane.slots if lane else None,
        gap=1 / lane.rate if lane and lane.rate else None,
        burst=lane.burst if lane else 1,
        after=options.after or None,
        person=verb.person or None,
        teller=verb.teller or None,
        most_same=verb.most_same if options.key or options.unique else None,
    )


def _claim(verb: verbs.Claim) -> dict[str, Any]:
    return {
        "node": verb.node,
        "worker": verb.worker,
        # each with the task that it is of, because tasks are paused
        "kinds": [[kind, kind.partition(" ")[0]] for kind in dict.fromkeys(verb.kinds)],
        "most": verb.most,
        "now": verb.now,
        "most_bytes": verb.most_bytes,
    }


class FinishArguments(Struct, frozen=True, gc=False):
    """The end of an attempt."""

    id: str
    attempt: int
    worker: str | None
    now: float
    result: str | None
    event: str = "succeed"  # then what is above is all
    failure: str | None = None  # JSON
    at: float = 0.0
    outcome: str = ""
    error: str = ""  # for the history
    node: str | None = None


OUTCOMES: Final = {"fail": "failed", "retry": "failed", "cancel": "cancelled"}


def _finish(verb: verbs.Finish) -> FinishArguments:
    if verb.event == "succeed":
        result = "null" if verb.result is None else _text(verb.result)
        return FinishArguments(verb.id, verb.attempt, verb.worker, verb.now, result)
    failure = verb.failure
    return FinishArguments(
        verb.id,
        verb.attempt,
        verb.worker,
        verb.now,
        None,
        verb.event,
        None if failure is None else _encode(failure).decode(),
        verb.at,
        "released" if verb.event == "release" else verb.outcome or OUTCOMES.get(verb.event, ""),
        "" if failure is None else failure.text[:_ERROR],
        verb.node,
    )


def undecodable(problem: Undecodable, claim: verbs.Claim) -> FinishArguments:
    """What makes a row that cannot be given to a worker a dead letter."""
    if problem.code == "undecodable":
        text = f"the stored job cannot be read: {problem.reason}"
        failure = Failure("Undecodable", text, code=problem.code)
    else:
        failure = Failure("TooLarge", problem.reason, code=problem.code)
    return _finish(verbs.Finish(problem.job, problem.attempt, "fail", claim.now, failure=failure))


def _filter(chosen: verbs.Filter) -> dict[str, Any]:
    return {
        "owner": chosen.owner,
        "states": [state.value for state in chosen.states] or None,
        "task": chosen.task,
        "labels": list(chosen.labels.items()) or None,
        "before": chosen.before,
        "ended_before": chosen.ended_before,
        "ending": chosen.ending,
    }


def _list(verb: verbs.List) -> dict[str, Any]:
    return {**_filter(verb.filter), "ended": None, "most": verb.most, "within": verb.within}


def _ended(verb: verbs.Purge | verbs.Count) -> dict[str, Any]:
    return {**_filter(verb.filter), "ended": True, "most": verb.most, "within": None}


def _learn(verb: verbs.Learn) -> dict[str, Any]:
    return {
        "tasks": [
            {
                "name": word.name,
                "options": _encode(word.options).decode(),
                "version": word.version,
                "description": None if word.description is None else _text(word.description),
            }
            for word in sorted(verb.words, key=lambda word: word.name)
        ],
        "now": verb.now,
        "oldest": verb.now - verb.unheard,
        "most": verb.most,
    }


def _put_schedule(verb: verbs.PutSchedule) -> dict[str, Any]:
    schedule = verb.schedule
    fields = msgspec.structs.asdict(schedule)
    return {
        **fields,
        "args": _text(schedule.args),
        "kwargs": _text(schedule.kwargs),
        "options": _encode(schedule.options).decode(),
        "by": verb.owner,
    }


def _fire(verb: verbs.Fire) -> dict[str, Any]:
    return {
        "name": verb.name,
        "planned": verb.planned,
        "next": verb.next,
        "problem": verb.problem,
        "fires": verb.job is not None,
    }


def _text(json: Raw) -> str:
    return str(json, "utf-8")


ARGUMENTS: Final[dict[type, Callable[[Any], Any]]] = {
    verbs.Add: _add,
    verbs.Claim: _claim,
    verbs.Finish: _finish,
    verbs.Learn: _learn,
    verbs.Purge: _ended,
    verbs.Count: _ended,
    verbs.List: _list,
    verbs.PutSchedule: _put_schedule,
    verbs.Fire: _fire,
}
"""Of the other verbs, queries are told the fields as they are."""
