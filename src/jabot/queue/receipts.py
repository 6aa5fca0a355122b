"""Whose outcomes have arrived: told to the store for many jobs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from jabot.alarm import Alarm
from jabot.queue.ledger import Ledger
from jabot.queue.store.verbs import Delivered

_WITHIN: Final = 0.25  # seconds
_MOST: Final = 2000  # that are kept back


class Receipts:
    """Keeps for a moment which outcomes their submitters have.

    It changes only for how long these jobs are kept, so it need not be on disk at once; many
    together cost the store half as much.
    """

    def __init__(self, ledger: Ledger, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self.hand_in)
        self._ids: list[str] = []

    def add(self, job_ids: list[str]) -> None:
        """The submitters of these have their outcomes."""
        self._ids += job_ids
        if len(self._ids) >= _MOST:
            self.hand_in()
        else:
            self._alarm.set(self._loop.time() + _WITHIN)

    def hand_in(self) -> None:
        """Tell the store now."""
        self._alarm.cancel()
        if self._ids:
            self._ledger.do(Delivered(self._ids, self._wall()), _nothing)
            self._ids = []


def _nothing(_: Any) -> None:
    """Nobody waits for that."""
