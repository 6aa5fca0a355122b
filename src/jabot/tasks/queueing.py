"""What a task or a submit says for queues, as it travels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import msgspec

from jabot.errors import ConfigError
from jabot.protocol.options import THIS, JobOptions, Lane, RetryOptions
from jabot.schedule import parse_duration
from jabot.tasks.retry import Retry

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|h|d)\s*")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


S = TypeVar("S", bound=msgspec.Struct)


def defaults(
    *,
    priority: int | None,
    expires: float | str | None,
    unique: Literal[True] | str | None,
    rate: float | str | None,
    pool_concurrency: int | None,
    retry: Retry | None,
) -> JobOptions:
    """What the author of a task says of its jobs. Raises `ConfigError`, naming the option.

    A policy with a function is left out: it holds for direct jobs only.
    """
    try:
        seconds = None if expires is None else parse_duration(expires)
    except ConfigError as error:
        raise ConfigError(f"expires: {error}") from None
    name = THIS if unique is True else unique
    return msgspec.structs.replace(
        _made(JobOptions, priority=priority, expires=seconds, unique=name),
        lane=lane(pool_concurrency, rate, slots_option="pool_concurrency"),
        retry=policy(retry) if retry is not None and retry.travels else None,
    )


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
        text, _, path = str(error).partition(" - at `$.")
        field = path.rstrip("`").partition("[")[0]
        raise ConfigError(f"{options.get(field, field)}={values.get(field)!r}: {text}") from None


def _rate(value: Any) -> float:
    if isinstance(value, str):
        match = _RATE.fullmatch(value)
        if match is None:
            raise ConfigError(f"rate: {value!r}; write 5/s, 10/m, 100/h or 1000/d")
        return float(match[1]) / _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"rate: {value!r}; write 5/s, 10/m, 100/h or 1000/d")
    return float(value)
