"""A job that was given away: the handle that its caller holds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec

from jabot.deferrable import Deferrable
from jabot.errors import RemoteProtocolError
from jabot.runner.job import short_id
from jabot.tasks import Step

R = TypeVar("R")

_STEPS = 1000  # of progress that wait for one reader; past it the oldest are left out


class Job(Deferrable[R]):
    """A job somewhere else: a deferrable, to be awaited or given callbacks and errbacks.

    It succeeds with the task's result, or fails with `TaskFailed`, `JobCancelled`, `JobTimeout`,
    `WorkerLost` or another `JabotError`. It survives reconnects.
    """

    # Class-level defaults stand in for what comes later, or never.
    peer: str | None = None
    """The full address of the node that took it last."""
    attempt: int = 0
    """The number of its newest offer that was taken; 0 until one was."""
    step: Step | None = None
    """The newest progress."""
    _waiters: tuple[asyncio.Future[None], ...] = ()  # for somebody to be responsible
    _readers: tuple[_Reader, ...] = ()

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
        self._result_type = result_type
        self._cancel = cancel

    @property
    def short_id(self) -> str:
        """The end of the id, as people are told it in chat."""
        return short_id(self.id)

    @property
    def progress(self) -> AsyncIterable[Step]:
        """The steps of the job as they come, the newest known one first; ends with the job.

        Each `async for` reads them anew; what is not iterated costs nothing.
        """
        return _Progress(self._read)

    def cancel(self, reason: str = "") -> None:
        """Ask for the job to be stopped. Its outcome tells whether it was: `JobCancelled`, or what
        it had come to before."""
        if self.status == "unknown":
            self._cancel(self.id, reason)

    def __repr__(self) -> str:
        return f"<Job {self.task} {self.id} {self.status}>"

    # -- what the caller's end tells -------------------------------------------------------------

    def taken(self) -> asyncio.Future[None]:
        """Done when somebody is responsible for it, or it is over. Each who waits has one."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.peer is None and self._status == "unknown":
            self._waiters = (*self._waiters, future)
        else:
            future.set_result(None)
        return future

    def was_taken(self, peer: str, attempt: int) -> None:
        """A node is responsible for it."""
        self.peer, self.attempt = peer, attempt
        self._wake()

    def stepped(self, step: Step) -> None:
        """It has got on."""
        self.step = step
        if self._readers:
            self._readers = tuple(reader for reader in self._readers if reader.add(step))

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
        waiters, self._waiters = self._waiters, ()
        for future in waiters:
            if not future.done():
                future.set_result(None)

    def _read(self) -> AsyncIterator[Step]:
        reader = _Reader(self.step)
        if self._status == "unknown":
            self._readers = (*self._readers, reader)
        else:
            reader.end()
        return _Steps(reader)


class _Progress(AsyncIterable[Step]):
    """What may be iterated: not a reader yet, so that to look at it changes nothing."""

    def __init__(self, read: Callable[[], AsyncIterator[Step]]) -> None:
        self._read = read

    def __aiter__(self) -> AsyncIterator[Step]:
        return self._read()


class _Reader:
    """The steps that one reader has not had yet."""

    def __init__(self, newest: Step | None) -> None:
        self.left = False
        self._waiting: deque[Step] = deque([] if newest is None else [newest], _STEPS)
        self._news = asyncio.Event()
        self._over = False

    def add(self, step: Step) -> bool:
        """False when nobody reads any more."""
        if self.left:
            return False
        self._waiting.append(step)
        self._news.set()
        return True

    def end(self) -> None:
        self._over = True
        self._news.set()

    async def next(self) -> Step:
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class _Steps(AsyncIterator[Step]):
    """The iteration of one reader. When its loop is left, the reader has nobody to read for."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def __anext__(self) -> Step:
        return await self._reader.next()

    def __del__(self) -> None:
        self._reader.left = True  # nothing more: this may be in any thread
