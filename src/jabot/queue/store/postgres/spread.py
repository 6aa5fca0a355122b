"""What the other processes on a database should hear of, after verbs were done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from jabot.protocol.states import JobState
from jabot.queue.store.store import News
from jabot.queue.store.verbs import (
    Add,
    Cancel,
    Claim,
    DropSchedule,
    Due,
    Finish,
    Fire,
    Learn,
    Pause,
    PutSchedule,
    Revive,
    Verb,
)


def news_of(verbs: Sequence[Verb], results: Sequence[Any]) -> set[News]:
    """Each thing once."""
    return set(_all_news(verbs, results))


_CHANGES: Final = {
    Fire: "schedules",
    PutSchedule: "schedules",
    DropSchedule: "schedules",
    Learn: "tasks",
}


def _all_news(verbs: Sequence[Verb], results: Sequence[Any]) -> Iterator[News]:
    for verb, result in zip(verbs, results, strict=True):
        if type(verb) in _CHANGES:
            yield News("changed", _CHANGES[type(verb)])
        yield from (News("ready", kind) for kind in _ready(verb, result))


def _ready(verb: Verb, result: Any) -> list[str]:
    """Kinds of which there may be jobs to be claimed now."""
    match verb:
        case Claim() | Finish() | Cancel() | Due() if result is not None:
            kinds: list[str] = result.ready
            return kinds
        case Add() if result.state is JobState.AVAILABLE:
            return [verb.kind]
        case Revive() if result is not None and result.state is JobState.AVAILABLE:
            return [result.kind]
        case Fire() if result is not None and verb.job is not None:
            return [verb.job.kind]
        case Pause() if not verb.paused:
            return [verb.task]
    return []
