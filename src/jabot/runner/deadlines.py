"""How long the callers of jobs still wait."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from jabot.alarm import Alarm
from jabot.runner.job import Job

_SPARE = 100  # ended jobs that may be remembered in any case


class Deadlines:
    """Calls `over(job)` for each job that has not ended by its `deadline`.

    Nearly all jobs end in time, so this is made for giving deadlines up: one timer for all, and a
    heap that is tidied when most of it is over. A timer of asyncio's for each job costs some 13
    microseconds, this some 3 (measured with 1,000 jobs at a time).
    """

    def __init__(self, over: Callable[[Job], None]) -> None:
        self._over = over
        self._numbers = itertools.count()  # so that jobs themselves are never compared
        self._heap: list[tuple[float, int, Job]] = []
        self._live = 0
        self._alarm: Alarm | None = None  # made when there is a loop

    def add(self, job: Job, seconds: float) -> None:
        """Watch a job, from now on the loop's clock."""
        job.deadline = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._heap, (job.deadline, next(self._numbers), job))
        self._live += 1
        if self._alarm is None:
            self._alarm = Alarm(self._ring)
        self._alarm.set(self._heap[0][0])

    def remove(self, job: Job) -> None:
        """A job that is watched has its outcome."""
        self._live -= 1
        if len(self._heap) > 2 * self._live + _SPARE:
            self._heap = [entry for entry in self._heap if entry[2].status == "unknown"]
            heapq.heapify(self._heap)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].status != "unknown"):
            _, _, job = heapq.heappop(self._heap)
            if job.status == "unknown":
                self._over(job)
        if self._heap and self._alarm is not None:
            self._alarm.set(self._heap[0][0])
