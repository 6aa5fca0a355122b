"""What a queue does by itself: what is due, what is over, other nodes of the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jabot.alarm import Alarm
from jabot.moments import Timers
from jabot.queue.attendance import Attendance
from jabot.queue.calendar import Calendar
from jabot.queue.callers import Callers
from jabot.queue.ledger import Ledger
from jabot.queue.ready import Ready
from jabot.queue.store.verbs import Due, Moved, Prune

log = logging.getLogger(__name__)

DAY: Final = 86_400.0
_AT_LEAST: Final = 30.0  # seconds between two looks at what is due; the machine's clock may jump
_PRUNE: Final = 10.0
_PRUNE_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long ended jobs are kept, in seconds."""

    delivered: float = DAY
    """Those whose outcome their submitter has."""
    undelivered: float = 7 * DAY
    failed: float = 30 * DAY
    """Dead letters."""


class Upkeep:
    """Timers around the store. `pulse` is how often the other nodes of a queue are looked after, in
    seconds; None: there can be no others."""

    def __init__(
        self,
        ledger: Ledger,
        ready: Ready,
        attendance: Attendance,
        callers: Callers,
        calendar: Calendar,
        *,
        keeping: Keeping,
        pulse: float | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._ready = ready
        self._attendance = attendance
        self._callers = callers
        self._calendar = calendar
        self._keeping = keeping
        self._pulse = pulse
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._ring)
        self._timers: Timers[str] = Timers()
        self._due = float("inf")  # when "due" rings

    def start(self) -> None:
        """Begin."""
        now = self._loop.time()
        self._timers.set("due", now)
        self._timers.set("prune", now + _PRUNE)
        if self._pulse is not None:
            self._timers.set("pulse", now + self._pulse)
        self._attendance.take_over()
        self._calendar.reload()
        self._alarm.set(now)

    def close(self) -> None:
        """Stop."""
        self._alarm.cancel()

    def due_at(self, moment: float) -> None:
        """Something is due at a moment of the machine's clock."""
        self._soon("due", self._loop.time() + max(0.0, moment - self._wall()))

    # -- within -------------------------------------------------------------------------------

    def _soon(self, name: str, at: float) -> None:
        self._timers.set(name, at) if name != "due" else self._earlier(at)
        self._alarm.set(at)

    def _earlier(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self._timers.set("due", at)

    def _ring(self) -> None:
        now = self._loop.time()
        for name in self._timers.due(now):
            if name == "due":
                self._due = float("inf")
                self._ledger.do(Due(self._wall()), self._moved, self._again)
            elif name == "prune":
                self._prune()
            else:
                self._attendance.take_over()
                self._soon("pulse", now + (self._pulse or 1.0))
        self._alarm.set(self._timers.next())

    def _moved(self, moved: Moved) -> None:
        self._ready.look_for(*moved.ready)
        self._callers.tell_of(moved.ended)
        now, wall = self._loop.time(), self._wall()
        wait = _AT_LEAST if moved.next is None else min(_AT_LEAST, max(0.0, moved.next - wall))
        self._soon("due", now + wait)

    def _again(self, error: Exception) -> None:
        self._soon("due", self._loop.time() + 1.0)

    def _prune(self) -> None:
        keeping = self._keeping
        verb = Prune(
            self._wall(), keeping.delivered, keeping.undelivered, keeping.failed, _PRUNE_MOST
        )
        self._ledger.do(verb, self._pruned, lambda _: self._soon("prune", self._next_prune))

    @property
    def _next_prune(self) -> float:
        return self._loop.time() + _PRUNE

    def _pruned(self, count: int) -> None:
        full = count >= _PRUNE_MOST
        self._soon("prune", self._loop.time() + 0.1 if full else self._next_prune)
