"""The options of `submit` that only a queue knows, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from jabot.errors import ConfigError
from jabot.peers import Where
from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane
from jabot.tasks import Retry, queueing
from jabot.tasks.queueing import READERS, CommonOptions, as_it_is, duration, lane, policy


class Submitted(Protocol):
    """A job that was given to a queue: any handle."""

    @property
    def id(self) -> str: ...


class QueueOptions(CommonOptions, total=False):
    """What a queue can do for a job."""

    delay: float | str
    """Not before so long from now."""
    at: datetime | float
    """Not before that moment: a datetime with a time zone, or seconds since 1970."""
    key: str
    """A submit with a key that was used before is that job again, for `key_for` (a day)."""
    key_for: float | str
    concurrency: int
    """How many run at once in the whole pool: of this task, or of all that share `limit_key`."""
    limit_key: str
    """What those jobs share that have these limits together; without it, they are of one task."""
    after: Submitted | str | Iterable[Submitted | str]
    """Run when these have succeeded; `ctx.parents` are their results."""
    labels: Mapping[str, str]
    """Of the job, to find it by."""


NAMES: Final = frozenset(QueueOptions.__annotations__)


def split(kwargs: dict[str, Any]) -> tuple[QueueOptions, dict[str, Any]]:
    """The options among named arguments, and the task's own: those in `arguments`, and the rest."""
    if not kwargs or (not kwargs.keys() & NAMES and "arguments" not in kwargs):
        return {}, kwargs
    given = {name: value for name, value in kwargs.items() if name in NAMES}
    own = {k: v for k, v in kwargs.items() if k not in NAMES and k != "arguments"}
    more = kwargs.get("arguments", {})
    if not isinstance(more, Mapping) or not all(isinstance(name, str) for name in more):
        raise ConfigError(f"arguments={more!r}: give a mapping of parameters to values")
    if twice := own.keys() & more.keys():
        raise ConfigError(f"{', '.join(sorted(twice))}: given by name, and in arguments= as well")
    return given, {**own, **more}  # type: ignore[return-value]


def job_options(given: QueueOptions) -> JobOptions:
    """As they travel; None is as if it were not given. Raises `ConfigError`, naming the option."""
    if unknown := given.keys() - NAMES:
        raise ConfigError(f"{', '.join(sorted(unknown))}: there is no such option")
    options = queueing.job_options(given, _READERS, lane=_lane(given))
    return NO_OPTIONS if options == NO_OPTIONS else options


def for_any(options: JobOptions) -> bytes:
    """What is said to whoever gets the job."""
    return b"null" if options is NO_OPTIONS else msgspec.json.encode(options)


def for_queue(options: JobOptions, retry: Retry | None, where: Where) -> bytes:
    """What is said to a queue, which runs a job again by itself, and looks for its worker.

    Raises `ConfigError` for a policy that cannot travel.
    """
    if retry is None and not where:
        return for_any(options)
    try:
        wanted = {k: [v] if isinstance(v, str) else list(v) for k, v in where.items()}
    except TypeError:
        raise ConfigError("where: a queue is told values; give a text, or a list of some") from None
    full = msgspec.structs.replace(
        options, retry=None if retry is None else policy(retry), where=wanted
    )
    return msgspec.json.encode(full)


def _delay(value: Any) -> float:
    return 0.0 if not isinstance(value, bool) and value == 0 else duration("delay")(value)


def _moment(value: Any) -> float:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigError(f"at: {value} has no time zone; give datetime(..., tzinfo=...)")
        return value.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"at: {value!r} is neither a datetime nor seconds since 1970")
    if not math.isfinite(value):
        raise ConfigError(f"at: {value!r} is no moment")
    return float(value)


def _parents(value: Any) -> list[str]:
    one = isinstance(value, str) or hasattr(value, "id") or not isinstance(value, Iterable)
    return [_id_of(job) for job in ([value] if one else value)]


def _id_of(job: Any) -> str:
    job_id = job if isinstance(job, str) else getattr(job, "id", None)
    if not isinstance(job_id, str):
        raise ConfigError(f"after: {job!r} is neither a job nor the id of one")
    return job_id


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"labels: {value!r} is no mapping of names to values")
    return dict(value)


def _lane(given: QueueOptions) -> Lane | None:
    slots, rate, name = given.get("concurrency"), given.get("rate"), given.get("limit_key")
    if name is not None and slots is None and rate is None:
        raise ConfigError("limit_key: give concurrency= or rate= with it")
    return lane(slots, rate, name)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **READERS,
    "delay": _delay,
    "at": _moment,
    "key": as_it_is,
    "key_for": duration("key_for"),
    "after": _parents,
    "labels": _labels,
}
