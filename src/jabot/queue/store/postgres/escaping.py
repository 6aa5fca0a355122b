"""JSON without U+0000, for which PostgreSQL has no place, and back."""

from __future__ import annotations

import re
from typing import Final

_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_STAND_IN: Final = "\U000f0000"  # of a private use area; doubled where it stands for itself


def escaped(json: str) -> str:
    """JSON in which no text has U+0000."""
    if _STAND_IN in json:
        json = json.replace(_STAND_IN, _STAND_IN + "=")
    if "\\u0000" in json:
        json = _NUL.sub(rf"\g<1>{_STAND_IN}0", json)
    return json


def unescaped(json: bytes) -> bytes:
    """The JSON that it was."""
    stand_in = _STAND_IN.encode()
    if stand_in not in json:
        return json
    return json.replace(stand_in + b"0", b"\\u0000").replace(stand_in + b"=", stand_in)
