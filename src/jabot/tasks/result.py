"""What a task returned, as JSON."""

from __future__ import annotations

import math
from typing import Any

import msgspec


def encode_result(value: Any) -> bytes:
    """The JSON of a JSON-shaped value.

    JSON has no NaN and no infinity. msgspec writes `null` for them, which nobody would notice; so
    where there is a `null`, and only there, the value is looked through. Raises `ValueError`, which
    says where it stands, and what msgspec raises.
    """
    text = msgspec.json.encode(value)
    if b"null" in text:
        _check(value, "$")
    return text


def _check(value: Any, path: str) -> None:
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(
                f"JSON has no {value} (at `{path}` of the result); give None or a text"
            )
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            if member is not None:
                _check(member, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, member in value.items():
            if member is not None:
                _check(member, f"{path}.{name}")
