"""What the other processes on a database should hear of, after verbs were done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jabot.protocol.states import JobState
from jabot.queue.store.verbs import (
    Add,
    Cancel,
    DropSchedule,
    Due,
    Finish,
    Fire,
    News,
    Pause,
    PutSchedule,
    Revive,
    Verb,
    kind_of,
)


def news_of(verbs: Sequence[Verb], results: Sequence[Any]) -> set[News]:
    """Each thing once."""
    return set(_all_news(verbs, results))


def _all_news(verbs: Sequence[Verb], results: Sequence[Any]) -> Iterator[News]:
    for verb, result in zip(verbs, results, strict=True):
        if isinstance(verb, Finish | Cancel | Due):
            if result is not None:
                yield from (News("ready", kind) for kind in result.ready)
        elif isinstance(verb, Add):
            if result.state is JobState.AVAILABLE:
                yield News("ready", kind_of(verb.task, verb.options.where))
        elif isinstance(verb, Revive):
            if result is not None and result.state is JobState.AVAILABLE:
                yield News("ready", kind_of(result.task, result.options.where))
        elif isinstance(verb, Fire):
            yield News("changed", "")
            if result is not None and verb.job is not None:
                yield News("ready", kind_of(verb.job.task, verb.job.options.where))
        elif isinstance(verb, PutSchedule | DropSchedule | Pause):
            yield News("changed", "")
            if isinstance(verb, Pause) and not verb.paused:
                yield News("ready", verb.task)
