"""Whom a line in a room is for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

_ALL: Final = re.compile(r"all\s*:", re.IGNORECASE)
_LABEL: Final = re.compile(r"@(?P<label>[^\s:=@]+)(?:=(?P<value>[^\s:]+))?\s*:")
_AFTER_NICK: Final = re.compile(r"\s*[:,]")


@dataclass(frozen=True)
class Address:
    """Everybody, one nick, or those with a label; and what is said to them."""

    line: str
    nick: str = ""
    label: str = ""
    value: str | None = None  # None: any

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels is meant, if the line is not for a nick."""
        if not self.label:
            return True
        return self.label in labels and self.value in (None, labels[self.label])


def read_address(text: str, nicks: Collection[str]) -> Address | None:
    """`all: LINE`, `NICK: LINE`, `NICK, LINE`, `@LABEL: LINE`, `@LABEL=VALUE: LINE`; None for a
    line that is for nobody in particular.

    Every node of the room must read the same: the longest nick that fits is meant, written as it is
    or else the first in another case.
    """
    text = text.strip()
    if match := _ALL.match(text):
        return _address(text[match.end() :])
    if match := _LABEL.match(text):
        return _address(text[match.end() :], label=match["label"], value=match["value"])
    fitting = [nick for nick in nicks if nick and _end(text, nick) is not None]
    if not fitting:
        return None
    nick = min(fitting, key=lambda nick: (-len(nick), not text.startswith(nick), nick))
    return _address(text[_end(text, nick) :], nick=nick)


def _address(
    line: str, *, nick: str = "", label: str = "", value: str | None = None
) -> Address | None:
    line = line.strip()
    return Address(line, nick, label, value) if line else None


def _end(text: str, nick: str) -> int | None:
    """Where the line begins that is for a nick; None when it is not for that one."""
    if text[: len(nick)].casefold() != nick.casefold():
        return None
    match = _AFTER_NICK.match(text, len(nick))
    return match.end() if match else None
