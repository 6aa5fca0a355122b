"""What a queue does by itself: what is due, what is over, other nodes of the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jabot.alarm import Alarm
from jabot.queue.attendance import Attendance
from jabot.queue.calendar import Calendar
from jabot.queue.callers import Callers
from jabot.queue.ledger import Ledger
from jabot.queue.ready import Ready
from jabot.queue.store.verbs import Due, Moved, Prune

_AT_LEAST: Final = 30.0  # seconds between two looks at what is due; the machine's clock may jump
_PRUNE: Final = 10.0
_PRUNE_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long ended jobs are kept, in seconds."""

    delivered: float  # those whose outcome their submitter has
    undelivered: float
    failed: float  # dead letters


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
        wall: Callable[[], float],
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
        self._due = Alarm(self._bring)
        self._old = Alarm(self._prune)
        self._others = Alarm(self._take_over)

    def start(self) -> None:
        """Begin."""
        now = self._loop.time()
        self._due.set(now)
        self._old.set(now + _PRUNE)
        self._take_over()
        self._calendar.reload()

    def close(self) -> None:
        """Stop."""
        for alarm in (self._due, self._old, self._others):
            alarm.cancel()

    def due_at(self, moment: float) -> None:
        """Something is due at a moment of the machine's clock."""
        self._due.set(self._loop.time() + max(0.0, moment - self._wall()))

    # -- within -------------------------------------------------------------------------------

    def _bring(self) -> None:
        self._ledger.do(Due(self._wall()), self._brought, lambda _: self._due_in(1.0))

    def _brought(self, moved: Moved) -> None:
        self._ready.look_for(*moved.ready)
        self._callers.tell_of(moved.ended)
        wait = _AT_LEAST if moved.next is None else max(0.0, moved.next - self._wall())
        self._due_in(min(_AT_LEAST, wait))

    def _due_in(self, seconds: float) -> None:
        self._due.set(self._loop.time() + seconds)

    def _prune(self) -> None:
        keeping = self._keeping
        verb = Prune(
            self._wall(), keeping.delivered, keeping.undelivered, keeping.failed, _PRUNE_MOST
        )
        self._ledger.do(verb, self._pruned, lambda _: self._pruned(0))

    def _pruned(self, count: int) -> None:
        self._old.set(self._loop.time() + (0.1 if count >= _PRUNE_MOST else _PRUNE))

    def _take_over(self) -> None:
        self._attendance.take_over()
        if self._pulse is not None:
            self._others.set(self._loop.time() + self._pulse)
