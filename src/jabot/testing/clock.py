"""The made-up time of a running event loop."""

from __future__ import annotations

import asyncio
import math
import os
import stat
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

from jabot.errors import ConfigError
from jabot.runner.threads import TaskThread

_MOST: Final = 86_400.0  # seconds that pass by themselves before somebody has to say so
# Times are multiples of that, about a microsecond: then sums and differences of them are exact,
# with the date, too. Else a moment that has come would be 1e-12 s away for ever: no time passes by
# the way, as it does in the world.
_GRID: Final = 2.0**-20
_TURNS: Final = 100  # of the loop, that take as long as that; so what asks again and again moves on
_CHILD_THREADS: Final = ("waitpid-", "asyncio-waitpid-")  # wait for a process, up to Python 3.11


class Clock:
    """Takes over the time of an event loop: `loop.time()`, and so timers, `asyncio.sleep` and time
    limits of all that runs there.

    Time passes when everything waits for it, and then at once: the clock jumps to the next timer.
    What the loop has to do takes no time. `advance()` lets a span of time pass in any case.

    What works outside the loop cannot be hurried: for threads (those of tasks and hooks, and those
    of `asyncio.to_thread`) and processes the clock stands still, and after `patience` goes as the
    real one does, until they are done; `advance()` goes on without them then. While
    `anybody_runs()`, time passes as it really does for open sockets, too, but for `advance()`.

    It ends a test that waits for what never comes: after a day that nobody asked for, the loop
    raises a `TimeoutError` with what `explain()` says.

    It needs asyncio's own loop: raises `ConfigError` on another one, such as uvloop's.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, date: float | None = None, *, patience: float = 2.0
    ) -> None:
        selector = getattr(loop, "_selector", None)
        if selector is None or not hasattr(loop, "_ssock"):
            raise ConfigError(
                f"the time of {type(loop).__module__}.{type(loop).__name__} cannot be made up; run "
                "tests on asyncio's own event loop"
            )
        if "select" in vars(selector):
            raise ConfigError("a clock is made up already on this loop; make up one at a time")
        self.now = _on_grid(loop.time())
        self._loop = cast(Any, loop)  # its methods are replaced
        self._selector = selector
        self._select: Callable[[float | None], list[Any]] = selector.select
        self._run_in_executor = loop.run_in_executor
        self._zero = _on_grid(time.time() if date is None else date) - self.now
        self._turns = 0
        # What was there before is none of this test's.
        self._old_threads = set(threading.enumerate())
        self._old_files = set(selector.get_map())
        self._patience_for = patience  # real seconds
        self._held = True  # made up; else it goes on as the real one, from where it stood
        self._advancing = 0
        self._calls = 0  # of the loop's own executor, under way
        self._stores: dict[asyncio.Future[Any], float] = {}  # calls of others, and since when
        self._worked_since: float | None = None  # when something began outside, in real time
        self._resting: list[asyncio.Future[None]] = []
        self._limit = self.now + _MOST
        self.anybody_runs: Callable[[], bool] = lambda: False
        self.explain: Callable[[], str] = lambda: ""
        self._loop.time = self.time
        self._loop.run_in_executor = self._called
        selector.select = self._wait

    def time(self) -> float:
        """The loop's time."""
        return self.now if self._held else self.now + time.monotonic()

    def wall(self) -> float:
        """The date, in seconds since 1970."""
        return self._zero + self.time()

    @property
    def date(self) -> datetime:
        """The date, in UTC. It can be set."""
        return datetime.fromtimestamp(self.wall(), UTC)

    @date.setter
    def date(self, date: datetime) -> None:
        self._zero = _on_grid(moment(date)) - self.time()

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, timer by timer, and all that comes of it happen."""
        self._advancing += 1
        passed = self._loop.create_future()
        timer = self._loop.call_at(self.now + seconds, _done, passed)
        try:
            await passed
            await self.settle()
        finally:
            timer.cancel()
            self._advancing -= 1
            self._limit = self.now + _MOST

    async def settle(self) -> None:
        """Let all happen that needs no time: until the loop has nothing to do, and within
        `patience` no thread and no process is at work."""
        rest = self._loop.create_future()
        self._resting.append(rest)
        await rest

    def release(self) -> None:
        """Let the loop's time go on by itself, from where it stands: timers that were set meanwhile
        come as they should. Does nothing the second time."""
        if self._held:
            self._held = False
            self.now -= time.monotonic()
            del self._selector.select, self._loop.run_in_executor

    # -- within -------------------------------------------------------------------------------

    def _wait(self, timeout: float | None = None) -> list[Any]:
        """In place of the selector's `select`: the loop has nothing to do for so many seconds."""
        if timeout is not None and timeout <= 0:
            self._turns += 1
            if self._turns >= _TURNS:
                self._pass(_GRID)
            return self._select(timeout)
        working = self._is_working()  # before the look: what ends after it has called the loop
        events = self._select(0)
        if events:
            return events
        if working and (patience := self._patience()) > 0:
            return self._select(patience)
        if self._resting:
            resting, self._resting = self._resting, []
            for rest in resting:
                _done(rest)
            return []
        if timeout is None:
            return self._select(None)
        if not self._advancing and (working or self._may_hear()):
            begun = time.monotonic()
            events = self._select(timeout)
            self._pass(min(timeout, time.monotonic() - begun))
            return events
        self._jump(timeout)
        return []

    def _jump(self, seconds: float) -> None:
        if not self._advancing and self.now > self._limit:
            self._limit = self.now + _MOST
            raise TimeoutError(
                "the test waits for what has not come within a day that passed at once. Call "
                f"advance() to let more time pass. {self.explain()}".rstrip()
            )
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self.now = _on_grid(self.now + seconds)
        self._turns = 0

    def _is_working(self) -> bool:
        """Whether a thread or a process is at work that will tell the loop when it is done."""
        working = (
            self._calls > 0
            or any(
                isinstance(thread, TaskThread) or thread.name.startswith(_CHILD_THREADS)
                for thread in threading.enumerate()
                if thread not in self._old_threads
            )
            or any(not _is_socket(fd) for fd in self._files() if fd not in self._old_files)
        )
        if not working:
            self._worked_since = None
        elif self._worked_since is None:
            self._worked_since = time.monotonic()
        return working or bool(self._stores)

    def _patience(self) -> float:
        """For what began last. A store has its own executor: however many calls follow each other,
        each of them gets its time; of what else works, one thing after another is one."""
        begun = [*self._stores.values()]
        if self._worked_since is not None:
            begun.append(self._worked_since)
        return max(begun) + self._patience_for - time.monotonic()

    def _may_hear(self) -> bool:
        """Whether a task may be waiting for somebody on a socket."""
        return any(_is_socket(fd) for fd in self._files()) and self.anybody_runs()

    def _files(self) -> list[int]:
        """All that the loop listens to, but for its own socket. Pipes are those of processes."""
        own = self._loop._ssock.fileno()
        return [fd for fd in self._selector.get_map() if fd != own]

    def _called(self, executor: Any, function: Callable[..., Any], *args: Any) -> Any:
        future = self._run_in_executor(executor, function, *args)
        if executor is None:
            self._calls += 1
            future.add_done_callback(self._returned)
        else:
            self._stores[future] = time.monotonic()
            future.add_done_callback(self._stores.pop)
        return future

    def _returned(self, _: object) -> None:
        self._calls -= 1


def moment(date: datetime) -> float:
    """A date in seconds since 1970. Raises `ConfigError` for one without a time zone."""
    if date.tzinfo is None:
        raise ConfigError(f"{date!r}: give it a time zone, as in datetime(..., tzinfo=UTC)")
    return date.timestamp()


def _is_socket(fd: int) -> bool:
    return stat.S_ISSOCK(os.fstat(fd).st_mode)


def _on_grid(seconds: float) -> float:
    return math.ceil(seconds / _GRID) * _GRID


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
