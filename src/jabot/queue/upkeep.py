"""What a queue does by itself: what is due, what is over, schedules, other nodes of the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from jabot.alarm import Alarm
from jabot.errors import ConfigError
from jabot.moments import Timers
from jabot.queue import timetable
from jabot.queue.attendance import Attendance
from jabot.queue.callers import Callers
from jabot.queue.ledger import Ledger
from jabot.queue.outcomes import Outcomes
from jabot.queue.ready import Ready
from jabot.queue.store.verbs import (
    Add,
    Added,
    Due,
    Fire,
    Moved,
    News,
    Prune,
    Schedule,
    Schedules,
    kind_of,
)
from jabot.runner.job import new_job_id

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
        outcomes: Outcomes,
        callers: Callers,
        *,
        keeping: Keeping,
        pulse: float | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._ready = ready
        self._attendance = attendance
        self._outcomes = outcomes
        self._callers = callers
        self._keeping = keeping
        self._pulse = pulse
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._ring)
        self._timers: Timers[str] = Timers()
        self._schedules: dict[str, Schedule] = {}

    def start(self) -> None:
        """Begin."""
        now = self._loop.time()
        self._timers.set("due", now)
        self._timers.set("prune", now + _PRUNE)
        if self._pulse is not None:
            self._timers.set("pulse", now + self._pulse)
        self._attendance.take_over()
        self.reload()
        self._alarm.set(now)

    def close(self) -> None:
        """Stop."""
        self._alarm.cancel()

    def due_at(self, moment: float) -> None:
        """Something is due at a moment of the machine's clock."""
        self._soon("due", self._loop.time() + max(0.0, moment - self._wall()))

    def reload(self) -> None:
        """The schedules have changed."""
        self._ledger.do(Schedules(), self._loaded)

    def heard(self, news: News) -> None:
        """Another process on the same store did something."""
        if news.kind == "ready":
            self._ready.look_for(news.what)
        elif news.kind == "cancelling":
            self._outcomes.cancel(news.what, news.detail)
        elif news.kind in ("ended", "progress"):
            self._callers.heard(news)
        elif news.kind == "changed":
            self.reload()

    # -- within -------------------------------------------------------------------------------

    def _soon(self, name: str, at: float) -> None:
        self._timers.set(name, at) if name != "due" else self._earlier(at)
        self._alarm.set(at)

    def _earlier(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self._timers.set("due", at)

    _due = float("inf")

    def _ring(self) -> None:
        now = self._loop.time()
        for name in self._timers.due(now):
            if name == "due":
                self._due = float("inf")
                self._ledger.do(Due(self._wall()), self._moved, self._again)
            elif name == "prune":
                self._prune()
            elif name == "pulse":
                self._attendance.take_over()
                self._soon("pulse", now + (self._pulse or 1.0))
            else:
                self._fire(name)
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

    # -- schedules ----------------------------------------------------------------------------

    def _loaded(self, schedules: list[Schedule]) -> None:
        for name in self._schedules:
            self._timers.cancel(f"schedule {name}")
        self._schedules = {schedule.name: schedule for schedule in schedules}
        for schedule in schedules:
            self._set(schedule)

    def _set(self, schedule: Schedule) -> None:
        if schedule.next is not None and not schedule.paused:
            wait = max(0.0, min(schedule.next - self._wall(), _AT_LEAST))
            self._soon(f"schedule {schedule.name}", self._loop.time() + wait)

    def _fire(self, timer: str) -> None:
        schedule = self._schedules.get(timer.removeprefix("schedule "))
        if schedule is None or schedule.next is None:
            return
        now = self._wall()
        if schedule.next > now:
            self._set(schedule)
            return
        problem = ""
        try:
            submit, following = timetable.firing(schedule, now)
        except ConfigError as error:  # a time zone that is no more, for one
            submit, following, problem = False, None, str(error)
            log.error("%s", error)
        job = _job_of(schedule, now) if submit else None
        verb = Fire(schedule.name, schedule.next, following, job, problem)
        self._ledger.do(
            verb, partial(self._fired, schedule), lambda _: self._soon(timer, self._retry_at)
        )

    @property
    def _retry_at(self) -> float:
        return self._loop.time() + 1.0

    def _fired(self, schedule: Schedule, added: Added | None) -> None:
        if added is not None:
            log.info("schedule %s: job %s", schedule.name, added.id)
            self._ready.look_for(kind_of(schedule.task, schedule.options.where))
        self.reload()


def _job_of(schedule: Schedule, now: float) -> Add:
    return Add(
        new_job_id(),
        schedule.owner,
        schedule.task,
        schedule.args,
        schedule.kwargs,
        schedule.options,
        {},
        now,
    )
