"""Texts that must not be lost: kept until the server says that it has them."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from xml.etree import ElementTree as ET

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kept:
    text: ET.Element
    size: int  # bytes, nearly


class Outbox:
    """Texts in order, each kept until the server took it.

    A socket takes bytes also when the line behind it is dead, so "sent" proves nothing. A ping that
    comes back proves that the server has read all that was sent before it: `take()` before the
    ping, `confirm()` after it. At most `window` bytes are under way unconfirmed (one text may be
    larger), so that a slow line gets on step by step. After a reconnect, `rewind()`: what was not
    confirmed goes again; a text that the server did take then arrives twice, under one id.
    """

    def __init__(self, limit: int = 10_000, window: int = 8_192) -> None:
        self.limit = limit
        self.window = window
        self._waiting: deque[_Kept] = deque()
        self._under_way: list[_Kept] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    @property
    def bytes_under_way(self) -> int:
        """How much was sent and is not confirmed."""
        return sum(kept.size for kept in self._under_way)

    def add(self, text: ET.Element) -> None:
        """Keep a text; past `limit`, the oldest that waits is given up, and logged."""
        size = len(ET.tostring(text))
        self._waiting.append(_Kept(text, size))
        if len(self._waiting) > self.limit:
            dropped = self._waiting.popleft().text
            log.error("over %d texts wait; gave up the one to %s", self.limit, dropped.get("to"))

    def take(self) -> list[ET.Element]:
        """What may be sent now."""
        taken = []
        room = self.window - self.bytes_under_way
        while self._waiting and (self._waiting[0].size <= room or not self._under_way):
            kept = self._waiting.popleft()
            room -= kept.size
            self._under_way.append(kept)
            taken.append(kept.text)
        return taken

    def mark(self) -> int:
        """How many texts are under way: those that a ping sent now will confirm."""
        return len(self._under_way)

    def confirm(self, mark: int) -> None:
        """Forget the texts that were under way at the mark."""
        del self._under_way[:mark]

    def rewind(self) -> None:
        """A new connection: all that was under way waits again."""
        self._waiting.extendleft(reversed(self._under_way))
        self._under_way.clear()
