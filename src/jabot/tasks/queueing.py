"""What a task or a submit says for queues: as users write it, and as it travels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypedDict, TypeVar

import msgspec

from jabot.errors import ConfigError
from jabot.protocol.options import THIS, JobOptions, Lane, RetryOptions
from jabot.schedule import UNITS, parse_duration
from jabot.tasks.retry import Retry
from jabot.tasks.signature import shorten

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|h|d)\s*")
_FIELD = re.compile(r"`\$\.(\w+)")  # where msgspec says that something stands


S = TypeVar("S", bound=msgspec.Struct)


class CommonOptions(TypedDict, total=False):
    """What the author of a task may say of all of its jobs, and a caller of one. A duration is in
    seconds, or a text as `"5m"`."""

    expires: float | str | None
    """The job fails with `Expired` when it was not begun so long after it was due."""
    priority: int | None
    """The higher ones first, from -100 to 100."""
    unique: bool | str | None
    """One waits and one runs at most, of this name; True: of this task with these arguments. False
    and an empty text are as None."""
    rate: float | str | None
    """How many are begun in the whole pool: `"10/m"`, or a number in a second."""


def duration(name: str) -> Callable[[Any], float]:
    """Reads the option of that name."""

    def read(value: Any) -> float:
        try:
            return parse_duration(value)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None

    return read


def as_it_is(value: Any) -> Any:
    """Reads what travels as it was written."""
    return value


def _unique(value: Any) -> Any:
    return THIS if value is True else value or None


READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "expires": duration("expires"),
    "priority": as_it_is,
    "unique": _unique,
}
"""By the names of common options, what makes of them what travels; `rate` is in a `lane`."""


def job_options(
    given: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]], **more: Any
) -> JobOptions:
    """The options that have a reader, and `more` as it is; None is as if it were not given.

    Raises `ConfigError`, naming the option.
    """
    values = {
        name: readers[name](value)
        for name, value in given.items()
        if name in readers and value is not None
    }
    return _made(JobOptions, **values, **more)


def lane(
    slots: int | None,
    rate: float | str | None,
    name: str | None = None,
    *,
    slots_option: str = "concurrency",
) -> Lane | None:
    """Limits over the whole pool: `slots` jobs at once, `rate` of them begun, of all that share
    `name` (None: of the task). Raises `ConfigError`, naming the option."""
    if slots is None and rate is None:
        return None
    starts = None if rate is None else _rate(rate)
    options = {"name": "limit_key", "slots": slots_option}
    return _made(Lane, options, name=name or THIS, slots=slots, rate=starts)


def policy(retry: Retry) -> RetryOptions:
    """Raises `ConfigError` for a policy that cannot travel."""
    return _made(
        RetryOptions,
        {name: f"retries: {name}" for name in RetryOptions.__struct_fields__},
        attempts=retry.attempts,
        backoff=retry.backoff,
        factor=retry.factor,
        most=retry.most,
        jitter=retry.jitter,
        on=retry.names(),
    )


def _made(kind: type[S], options: Mapping[str, str] = MappingProxyType({}), /, **values: Any) -> S:
    """Checked as by who reads it. `options` are the names by which users know the fields."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at ")
        field = _FIELD.findall(path)[0]
        given = shorten(values[field])
        raise ConfigError(f"{options.get(field, field)}={given}: {text}") from None


def _rate(value: Any) -> float:
    if isinstance(value, str):
        match = _RATE.fullmatch(value)
        if match is None:
            raise ConfigError(f"rate: {value!r}; write 5/s, 10/m, 100/h or 1000/d")
        return float(match[1]) / UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"rate: {value!r}; write 5/s, 10/m, 100/h or 1000/d")
    return float(value)
