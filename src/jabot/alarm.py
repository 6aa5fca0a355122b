"""One timer of the event loop, for what has many moments of which the earliest counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` at the earliest moment that was set since it rang last.

    It may ring too early when a moment was given up meanwhile: `ring` looks what is due.
    """

    late = 0.0
    """By how many seconds it rang too late the last time: the program was stopped, or busy."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it will ring at all."""
        return self._handle is not None

    def set(self, at: float | None) -> None:
        """Ring at `at` on the loop's clock, or sooner when that was asked for; None: no wish."""
        if at is None:
            return
        if self._handle is not None:
            if self._handle.when() <= at:
                return
            self._handle.cancel()
        self._handle = self._loop.call_at(at, self._rings)

    def cancel(self) -> None:
        """Be silent until it is set again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _rings(self) -> None:
        if self._handle is not None:
            self.late = self._loop.time() - self._handle.when()
        self._handle = None
        self._ring()
