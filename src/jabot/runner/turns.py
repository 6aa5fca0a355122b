"""Jobs in Tasks of asyncio: many in one, where they wait for nothing."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from jabot.runner.job import Job
from jabot.tasks import Kind, Task


class Turns:
    """Runs jobs: each begins in a later turn of the loop than its `start()`.

    To make a Task takes longer than a short job. So the jobs of coroutine functions begin in one
    Task, one after the other. When one of them waits for something that Task is its own from then
    on; and so that nobody waits behind it, each later job of that function has one from the start.
    Each job has a context (`contextvars`) of its own.

    `run(job)` is what a job does. `tasks` holds those that have begun, and the Task of each.
    """

    def __init__(self, run: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
        self.tasks: dict[Job, asyncio.Task[None]] = {}
        self._run = run
        self._context = contextvars.copy_context()
        self._waited: set[Task[..., Any]] = set()  # of which a job has waited for something
        self._ready: deque[Job] = deque()  # for the one Task
        self._together: asyncio.Task[None] | None = None

    def start(self, job: Job) -> None:
        """Begin with a job in the next turn."""
        if job.task.kind is not Kind.COROUTINE or job.task in self._waited:
            name, context = f"job {job.id}", self._context.copy()
            loop = asyncio.get_running_loop()
            loop.create_task(self._alone(job), name=name, context=context)  # noqa: RUF006 - `tasks`
            return
        self._ready.append(job)
        if self._together is None:
            self._next_together()

    def _next_together(self) -> None:
        loop = asyncio.get_running_loop()
        self._together = loop.create_task(self._all_ready(), name="jobs") if self._ready else None

    async def _alone(self, job: Job) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is this one
        self.tasks[job] = task
        try:
            await self._run(job)
        finally:
            del self.tasks[job]

    async def _all_ready(self) -> None:
        task = self._together
        assert task is not None  # noqa: S101 - it is this one
        # What becomes ready meanwhile is for the next turn: the loop has other things to do, too.
        for _ in range(len(self._ready)):
            job = self._ready.popleft()
            self.tasks[job] = task
            context, coroutine = self._context.copy(), self._run(job)
            try:
                waits_for = context.run(coroutine.send, None)
            except StopIteration:
                del self.tasks[job]
                if task.cancelling():  # by the job, which did not wait for it
                    break
            except BaseException:
                del self.tasks[job]
                self._next_together()
                raise
            else:
                task.set_name(f"job {job.id}")
                self._has_waited(job.task)
                try:
                    await _rest(coroutine, context, waits_for)
                finally:
                    del self.tasks[job]
                return
        self._next_together()

    def _has_waited(self, function: Task[..., Any]) -> None:
        """The one Task is not for its jobs any more, and what is left for it is for another one."""
        self._waited.add(function)
        ready, self._ready, self._together = self._ready, deque(), None
        for job in ready:
            self.start(job)


@types.coroutine
def _rest(
    coroutine: Coroutine[Any, Any, None], context: contextvars.Context, waits_for: Any
) -> Generator[Any, Any, None]:
    """`await` for a coroutine that has begun; each of its steps is done in its context."""
    try:
        while True:
            try:
                woken = yield waits_for
            except GeneratorExit:
                context.run(coroutine.close)
                raise
            except BaseException as error:
                waits_for = context.run(coroutine.throw, error)
            else:
                waits_for = context.run(coroutine.send, woken)
    except StopIteration:
        return
