"""Who greeted a node, and is shown what it offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jabot.jid import JID

# Each of them is sent a presence whenever the load changes.
MOST_OF_ONE: Final = 1_000  # of one account
MOST: Final = 5_000


class Watchers:
    """Full addresses, so many of one account, and so many of all."""

    def __init__(self) -> None:
        self._watchers: dict[JID, None] = {}
        self._counts: dict[str, int] = {}  # by account

    def __iter__(self) -> Iterator[JID]:
        return iter(self._watchers)

    def __contains__(self, jid: JID) -> bool:
        return jid in self._watchers

    def add(self, jid: JID) -> bool:
        """Whether it is one of them now; False where there are too many."""
        if jid in self._watchers:
            return True
        count = self._counts.get(jid.bare, 0)
        if count >= MOST_OF_ONE or len(self._watchers) >= MOST:
            return False
        self._watchers[jid] = None
        self._counts[jid.bare] = count + 1
        return True

    def discard(self, jid: JID) -> None:
        """It is gone; nothing happens when it was none of them."""
        if jid in self._watchers:
            del self._watchers[jid]
            self._counts[jid.bare] -= 1
            if not self._counts[jid.bare]:
                del self._counts[jid.bare]

    def clear(self) -> None:
        """All are gone."""
        self._watchers.clear()
        self._counts.clear()
