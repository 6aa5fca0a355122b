"""A job that was given away: the handle that its caller holds."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Self, TypeVar

import msgspec

from jabot.deferrable import Deferrable
from jabot.errors import RemoteProtocolError
from jabot.tasks import Step

log = logging.getLogger(__name__)

R = TypeVar("R")

_STEPS = 1000  # of progress that wait for one reader; past it the oldest are left out


class Job(Deferrable[R]):
    """A job somewhere else: a deferrable, to be awaited or given callbacks and errbacks.

    It succeeds with the task's result, or fails with `TaskFailed`, `JobCancelled`, `JobTimeout`,
    `WorkerLost` or another `JabotError`. It survives reconnects.
    """

    def __init__(
        self,
        job_id: str,
        task: str,
        to: str,
        *,
        result_type: Any = Any,
        cancel: Callable[[str, str], None],
    ) -> None:
        self.id = job_id
        self.task = task
        self.to = to
        """The address that it was given to: of a pool, a queue or a node."""
        self.peer: str | None = None
        """The full address of the node that took it last."""
        self.attempt = 0
        """The number of its newest offer that was taken; 0 until one was."""
        self.step: Step | None = None
        """The newest progress."""
        self._result_type = result_type
        self._cancel = cancel
        self._taken: asyncio.Future[None] | None = None
        self._readers: tuple[_Steps, ...] = ()

    @property
    def short_id(self) -> str:
        """The end of the id, as people are told it in chat."""
        return self.id[-4:]

    @property
    def progress(self) -> AsyncIterator[Step]:
        """The steps of the job as they come, the newest known one first; ends with the job."""
        reader = _Steps(self.step)
        if self._status == "unknown":
            self._readers = (*self._readers, reader)
        else:
            reader.end()
        return reader

    def cancel(self, reason: str = "") -> None:
        """Ask for the job to be stopped. Its outcome tells whether it was: `JobCancelled`, or what
        it had come to before."""
        if self.status == "unknown":
            self._cancel(self.id, reason)

    def __repr__(self) -> str:
        return f"<Job {self.task} {self.id} {self.status}>"

    # -- what the caller's end tells -------------------------------------------------------------

    async def taken(self) -> None:
        """Wait until somebody is responsible for it, or it is over. For one waiter."""
        if self.peer is None and self._status == "unknown":
            self._taken = asyncio.get_running_loop().create_future()
            await self._taken

    def was_taken(self, peer: str, attempt: int) -> None:
        """A node is responsible for it."""
        self.peer, self.attempt = peer, attempt
        self._wake()

    def stepped(self, step: Step) -> None:
        """It has got on."""
        self.step = step
        for reader in self._readers:
            reader.add(step)

    def ended(self, result: msgspec.Raw | None, error: BaseException | None) -> None:
        """It has its outcome: a result as JSON, or an error."""
        if error is None:
            try:
                value = msgspec.json.decode(result or b"null", type=self._result_type)
            except Exception as problem:  # also what a user's own type raises
                error = RemoteProtocolError(f"the result of {self.task} {self.id}: {problem}")
        if error is None:
            self.succeed(value)
        else:
            self.fail(error)
        self._wake()
        for reader in self._readers:
            reader.end()
        self._readers = ()

    def _wake(self) -> None:
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)


class _Steps(AsyncIterator[Step]):
    """One reader of a job's progress."""

    def __init__(self, newest: Step | None) -> None:
        self._waiting: deque[Step] = deque([] if newest is None else [newest], _STEPS)
        self._news = asyncio.Event()
        self._over = False

    def add(self, step: Step) -> None:
        self._waiting.append(step)
        self._news.set()

    def end(self) -> None:
        self._over = True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step:
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
