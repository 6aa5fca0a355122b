"""One answer made of those of many nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from jabot.chat import texts
from jabot.xmpp.shares import Status

Heard: TypeAlias = Status | Literal["left", "silent", "unheard"]

_OPEN: Final = frozenset({"unheard", "running"})
_NAMES: Final = 5  # that are written out
_MOST: Final = 2_000  # characters of one group's text, where there are several


class Collection:
    """What the nodes that were addressed have said, by nick. Each counts once."""

    def __init__(self, nicks: Iterable[str]) -> None:
        self._heard: dict[str, tuple[Heard, str]] = dict.fromkeys(sorted(nicks), ("unheard", ""))
        self._open = len(self._heard)  # of which more is to come

    def add(self, nick: str, status: Heard, text: str = "") -> None:
        """Take a node's share, the first that is not only that it runs."""
        if self._heard[nick][0] in _OPEN:
            self._heard[nick] = (status, text)
            self._open -= status not in _OPEN

    def left(self, nick: str) -> None:
        """It has left the room; what it had said before counts."""
        self.add(nick, "left")

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is to come."""
        return not self._open

    @property
    def runs(self) -> bool:
        """Whether a job runs that has no outcome yet."""
        return bool(self._with("running"))

    @property
    def has_answers(self) -> bool:
        """Whether anybody does anything for who asks."""
        return bool(self._with("answered", "failed", "refused", "running"))

    @property
    def is_for_nobody(self) -> bool:
        """Whether nobody has anything to say to it."""
        return len(self._with("nothing")) == len(self._heard)

    def text(self) -> str:
        """What is said in the room; empty when nobody has anything to say."""
        concerned = [nick for nick, (status, _) in self._heard.items() if status != "nothing"]
        parts = [self._group(concerned, nicks, said) for said, nicks in self._groups("answered")]
        for said, nicks in self._groups("failed"):
            who = f"{_names(nicks)}: " if len(concerned) > 1 else ""
            parts.append(f"{who}failed: {self._cut(said)}")
        if refused := self._with("refused", "stranger"):
            parts.append(
                f"{len(refused)} refused" if len(concerned) > 1 else "You may not do that."
            )
        for status, words in (
            ("running", "still running"),
            ("silent", "silent"),
            ("left", "left before there was an answer"),
        ):
            if nicks := self._with(status, "unheard" if status == "silent" else status):
                parts.append(f"{words}: {_names(nicks)}")
        return "\n".join(parts)

    def _group(self, concerned: list[str], nicks: list[str], said: str) -> str:
        if len(concerned) == 1:
            return said
        who = nicks[0] if len(nicks) == 1 else f"{len(nicks)} of {len(concerned)}"
        if nicks == concerned:
            who = f"all {len(nicks)}"
        said = self._cut(said)
        return f"{who}:{chr(10) if chr(10) in said else ' '}{said}"

    def _cut(self, said: str) -> str:
        return texts.cut(said, _MOST) if len(self._heard) > 1 else said

    def _groups(self, status: Heard) -> list[tuple[str, list[str]]]:
        """Who has said the same; the largest group first."""
        groups: dict[str, list[str]] = {}
        for nick in self._with(status):
            groups.setdefault(self._heard[nick][1], []).append(nick)
        return sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))

    def _with(self, *statuses: str) -> list[str]:
        return [nick for nick, (status, _) in self._heard.items() if status in statuses]


def _names(nicks: list[str]) -> str:
    more = len(nicks) - _NAMES
    return ", ".join(nicks[:_NAMES]) + (f" and {more} more" if more > 0 else "")
