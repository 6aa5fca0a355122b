"""Who waits for a slot, and whose turn it is."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Any, TypeAlias

from jabot.runner.job import Job
from jabot.tasks import Task

_Line: TypeAlias = OrderedDict[Job, int]  # jobs and their numbers, in the order of arrival


class Waiting:
    """Jobs in the order of arrival, of which those whose task is at its limit are passed over.

    All operations cost the same however many wait; only tasks with a limit of their own that have
    jobs waiting are looked at one by one.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._line: _Line = OrderedDict()  # of all tasks without a limit
        self._lines: dict[Task[..., Any], _Line] = {}  # of those with one; none is empty
        self._running: dict[Task[..., Any], int] = {}  # of those with one; none is 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, job: Job) -> None:
        """Stand in line, behind all others."""
        if job.task.concurrency is None:
            line = self._line
        else:
            line = self._lines.setdefault(job.task, OrderedDict())
        line[job] = next(self._numbers)
        self._count += 1

    def remove(self, job: Job) -> None:
        """Leave the line; nothing happens when the job is in none."""
        line = self._line if job.task.concurrency is None else self._lines.get(job.task)
        if line and line.pop(job, None) is not None:
            self._count -= 1
            self._tidy(job.task)

    def take(self) -> Job | None:
        """The first job that may run now. Its task has one more running, until `ended()`."""
        line = self._first_line() if self._lines else self._line
        if not line:
            return None
        job, _ = line.popitem(last=False)
        self._count -= 1
        if job.task.concurrency is not None:
            self._running[job.task] = self._running.get(job.task, 0) + 1
            self._tidy(job.task)
        return job

    def ended(self, task: Task[..., Any]) -> None:
        """A job of that task has freed its slot."""
        if task.concurrency is not None:
            self._running[task] -= 1
            if not self._running[task]:
                del self._running[task]

    def _first_line(self) -> _Line:
        """The line whose first job came before those of all others that may go on."""
        lines = [
            line
            for task, line in self._lines.items()
            if self._running.get(task, 0) < (task.concurrency or 0)
        ]
        if self._line:
            lines.append(self._line)
        return min(lines, key=lambda line: next(iter(line.values())), default=self._line)

    def _tidy(self, task: Task[..., Any]) -> None:
        if task in self._lines and not self._lines[task]:
            del self._lines[task]
