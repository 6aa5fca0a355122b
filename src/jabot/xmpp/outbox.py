"""Texts that must not be lost: kept until the server says that it has them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

log = logging.getLogger(__name__)

Arrived = Callable[[bool], None]
"""Called with True when the server has a text, with False when it was given up."""


@dataclass(frozen=True)
class _Kept:
    text: ET.Element
    size: int  # bytes, nearly
    arrived: Arrived | None

    def tell(self, arrived: bool) -> None:
        """Let its sender know."""
        if self.arrived is None:
            return
        try:
            self.arrived(arrived)
        except Exception:  # the other texts are not to suffer
            log.exception("what became of a text to %s could not be noted", self.text.get("to"))


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

    def add(self, text: ET.Element, arrived: Arrived | None = None) -> None:
        """Keep a text; past `limit`, the oldest that waits is given up, and logged."""
        size = len(ET.tostring(text))
        self._waiting.append(_Kept(text, size, arrived))
        if len(self._waiting) > self.limit:
            dropped = self._waiting.popleft()
            to = dropped.text.get("to")
            log.error("over %d texts wait; gave up the one to %s", self.limit, to)
            dropped.tell(False)

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
        arrived = self._under_way[:mark]
        del self._under_way[:mark]
        for kept in arrived:
            kept.tell(True)

    def rewind(self) -> None:
        """A new connection: all that was under way waits again."""
        self._waiting.extendleft(reversed(self._under_way))
        self._under_way.clear()
