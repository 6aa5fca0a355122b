"""Texts that must not be lost: kept until the server says that it has them."""

from __future__ import annotations

import logging
from xml.etree import ElementTree as ET

log = logging.getLogger(__name__)


class Outbox:
    """Texts in order, each kept until the server took it.

    A socket takes bytes also when the line behind it is dead, so "sent" proves nothing. A ping that
    comes back proves that the server has read all that was sent before it: `mark()` before the
    ping, `confirm(mark)` after it. After a reconnect, all that is left is sent again; a text that
    the server did take, but did not get to confirm, then arrives twice, under one id.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self._texts: dict[int, ET.Element] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: ET.Element) -> None:
        """Keep a text; when there are `limit` of them, the oldest is given up, and logged."""
        self._texts[self._next] = text
        self._next += 1
        if len(self._texts) > self.limit:
            oldest = next(iter(self._texts))
            dropped = self._texts.pop(oldest)
            log.error(
                "%d texts wait to be sent; gave up the one to %s", self.limit, dropped.get("to")
            )

    def pending(self) -> list[ET.Element]:
        """What is not confirmed, oldest first."""
        return list(self._texts.values())

    def mark(self) -> int:
        """A point in the order of texts: everything up to now."""
        return self._next

    def confirm(self, mark: int) -> None:
        """Forget the texts that were there at the mark."""
        for number in [n for n in self._texts if n < mark]:
            del self._texts[number]
