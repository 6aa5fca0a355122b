"""What a task takes and gives, as its node describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from jabot.errors import RemoteProtocolError


@dataclass(frozen=True)
class Description:
    """One task of a node."""

    doc: str
    """The docstring."""
    args: dict[str, Any]
    """The JSON Schema of the arguments: an object with a property for each parameter, in order."""
    result: dict[str, Any]
    """The JSON Schema of the result."""


_Found = dict[str, Description] | None
_decoder: msgspec.json.Decoder[_Found] = msgspec.json.Decoder(_Found)


def read_descriptions(tasks: msgspec.Raw) -> _Found:
    """What a `description` frame holds; None when there is no such task.

    Raises `RemoteProtocolError`.
    """
    try:
        return _decoder.decode(tasks)
    except msgspec.DecodeError as error:
        raise RemoteProtocolError(f"a description that cannot be read: {error}") from None
