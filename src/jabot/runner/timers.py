"""Functions that a node runs by the clock."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from jabot.runner.threads import run_in_thread

log = logging.getLogger(__name__)


class Schedule(Protocol):
    """When a timer is due (`schedule.py`)."""

    def delay(self, now: datetime, started: datetime) -> float:
        """Seconds from `now` to the next time; infinite when there is none."""


class Timer:
    """One function and its schedule.

    A tick that comes while the function still runs is left out. What it raises is logged, and the
    next tick comes all the same.
    """

    def __init__(self, function: Callable[[], Any], schedule: Schedule) -> None:
        self.function = function
        self.schedule = schedule
        self._cancelled = asyncio.Event()

    def cancel(self) -> None:
        """No more ticks; the function may cancel its own timer. On the event loop only."""
        self._cancelled.set()

    async def run(self, wall: Callable[[], float] = time.time) -> None:
        """Tick until it is cancelled. `wall` tells the date, in seconds since 1970."""
        started = ticked = _date(wall())
        while not self._cancelled.is_set():
            # A clock that was set back meanwhile must not bring the same tick again.
            now = max(_date(wall()), ticked)
            delay = self.schedule.delay(now, started)
            if delay == float("inf"):
                log.warning("the timer %s is never due again", self._name)
                return
            try:
                async with asyncio.timeout(delay):
                    await self._cancelled.wait()
            except TimeoutError:
                ticked = now + timedelta(seconds=delay)
                await self._tick()

    async def _tick(self) -> None:
        try:
            await call(self.function, name=f"jabot timer {self._name}")
        except Exception:
            log.exception("the timer %s raised", self._name)

    @property
    def _name(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))


def _date(seconds: float) -> datetime:
    """In the machine's time zone."""
    return datetime.fromtimestamp(seconds).astimezone()


async def call(function: Callable[..., Any], *args: Any, name: str) -> Any:
    """Call a function of the user's without blocking the loop: a plain one runs in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*args)
    return await run_in_thread(lambda: function(*args), name)
