"""An event loop whose time is made up, so that a test of minutes takes none."""

import asyncio
import threading


class Clock:
    """Takes over the time of a running loop.

    When nothing is left to do before the next timer, the clock jumps there at once. While a thread
    or a process of the code under test is at work, it stands still, and the loop waits for them.
    `advance()` moves it by hand.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 1000.0
        self._selector = loop._selector
        self._select = self._selector.select
        self._threads = set(threading.enumerate())
        self._files = len(self._selector.get_map())
        loop.time = lambda: self.now
        self._selector.select = self._select_or_jump

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, timer by timer."""
        await turns()  # who was started just now sets its timers
        until = self.now + seconds
        loop = asyncio.get_running_loop()
        while True:
            due = [handle.when() for handle in loop._scheduled if not handle.cancelled()]
            if not due or min(due) > until:
                break
            self.now = max(self.now, min(due))
            await turns()
        self.now = until
        await turns()

    def _select_or_jump(self, timeout: float | None) -> list:
        if timeout is None or timeout <= 0:
            return self._select(timeout)
        busy = set(threading.enumerate()) - self._threads
        if busy or len(self._selector.get_map()) > self._files:
            return self._select(None)
        events = self._select(0)
        if not events:
            self.now += timeout
        return events


async def turns(count: int = 20) -> None:
    """Let the loop go round, so that what is due has happened."""
    for _ in range(count):
        await asyncio.sleep(0)
