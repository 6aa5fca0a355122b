"""Jobs, as a program without an event loop has them."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar

import jabot.client
from jabot.calls import Job as AsyncJob
from jabot.errors import ConnectionFailed, JabotError
from jabot.sync.thread import ClientThread, next_of
from jabot.tasks import Step

R = TypeVar("R")


class Job(concurrent.futures.Future[R]):
    """A job somewhere else, as a `concurrent.futures.Future`: `result()`, `exception()`,
    `add_done_callback()`, and what `concurrent.futures.wait` and `as_completed` do.

    `result(timeout)` raises `TimeoutError` when the job is not over by then; it goes on.
    """

    def __init__(self, job: AsyncJob[R], thread: ClientThread) -> None:
        super().__init__()
        self.id = job.id
        self.task = job.task
        self.to = job.to
        self._job = job
        self._thread = thread
        self.set_running_or_notify_cancel()
        job.completion(self._settle)

    @property
    def step(self) -> Step | None:
        """The newest progress."""
        return self._job.step

    @property
    def progress(self) -> Iterable[Step]:
        """The steps as they come, the newest known one first; ends with the job.

        Each `for` reads them anew; what is not iterated costs nothing.
        """
        return _Progress(self._steps)

    def result(self, timeout: float | None = None) -> R:
        """See `concurrent.futures.Future.result`; not in a callback of another job that has not
        ended, which would keep this one from ending: raises `JabotError` there."""
        self._check()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `concurrent.futures.Future.exception`, and `result`."""
        self._check()
        return super().exception(timeout)

    def _steps(self) -> Iterator[Step]:
        """Gone through on the loop; of a job that is over, the newest one needs no loop."""
        self._check()
        if self.done():
            yield from () if self.step is None else (self.step,)
            return

        async def first(_: jabot.client.Client) -> AsyncIterator[Step]:
            return aiter(self._job.progress)

        try:
            steps = self._thread.call(first)
            while True:
                yield self._thread.call(lambda _: next_of(steps))
        except StopAsyncIteration:
            return
        except ConnectionFailed:
            if not self.done():
                raise

    def _check(self) -> None:
        """Raises `JabotError` where it would be waited for in vain."""
        if self._job.status != "unknown":  # a lock may be held for ever in a forked process
            return
        self._check_process()
        self._thread.check()

    def _check_process(self) -> None:
        if self._thread.pid != os.getpid():
            raise JabotError(
                f"job {self.id} was submitted before this process was forked, and is followed in "
                "the other one; ask for it here by its id: app.job(id)"
            )

    def cancel(self, reason: str = "") -> bool:
        """Ask for the job to be stopped; False when it is over already.

        Its outcome tells whether it was stopped: `result()` raises `JobCancelled` then.
        """
        if self._job.status == "unknown":
            self._check_process()
        return not self.done() and self._thread.on_loop(lambda: self._job.cancel(reason))

    def _settle(self, job: AsyncJob[Any]) -> None:
        if job.error is not None:
            self.set_exception(job.error)
        else:
            self.set_result(job.value)


class _Progress(Iterable[Step]):
    """What may be iterated: not a reader yet, so that to look at it changes nothing."""

    def __init__(self, read: Callable[[], Iterator[Step]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Step]:
        return self._read()
