"""What a task or a submit says for queues, as it travels."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from jabot.errors import ConfigError
from jabot.protocol.options import THIS, Lane, RetryOptions
from jabot.tasks.retry import Retry

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|h|d)\s*")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def lane(slots: int | None, rate: float | str | None, name: str | None = None) -> Lane | None:
    """Limits over the whole pool: `slots` jobs at once, `rate` of them begun, of all that share
    `name` (None: of the task). Raises `ConfigError` for what cannot be used."""
    if slots is None and rate is None:
        return None
    starts = None if rate is None else _rate(rate)
    try:
        return msgspec.convert({"name": name or THIS, "slots": slots, "rate": starts}, Lane)
    except msgspec.ValidationError as error:
        raise ConfigError(f"at once: {slots!r}, rate: {rate!r}: {error}") from None


def policy(retry: Retry) -> RetryOptions:
    """Raises `ConfigError` for a policy that cannot travel."""
    return RetryOptions(
        retry.attempts, retry.backoff, retry.factor, retry.most, retry.jitter, retry.names()
    )


def _rate(value: Any) -> float:
    if isinstance(value, str):
        match = _RATE.fullmatch(value)
        if match is None:
            raise ConfigError(f"rate: {value!r}; write 5/s, 10/m, 100/h or 1000/d")
        return float(match[1]) / _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"rate: {value!r}; write 5/s, 10/m, 100/h or 1000/d")
    return float(value)
