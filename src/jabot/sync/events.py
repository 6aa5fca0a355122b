"""What is published, as a program without an event loop follows it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator
from typing import Self

import jabot.client
from jabot.client import follow_with
from jabot.errors import ConnectionFailed
from jabot.sync.thread import ClientThread
from jabot.topics import Event, Follower


class Events(Iterator[Event]):
    """The events of the topics that are followed, as they come; it ends with `close()`, from any
    thread, and with the `with` that it is used in.

    When the client is closed, or refused for good, the iteration raises `ConnectionFailed`.
    """

    def __init__(self, thread: ClientThread, follower: Follower) -> None:
        async def follow(app: jabot.client.Client) -> Callable[[], None]:
            return follow_with(app, follower)

        self._thread = thread
        self._follower = follower
        self._closed = False
        # Where this is left and forgotten, nothing is kept for it any more.
        self._leave = weakref.finalize(self, thread.on_loop, thread.call(follow))
        self._leave.atexit = False

    def __next__(self) -> Event:
        return self.next()

    def next(self, timeout: float | None = None) -> Event:
        """The next event. Raises `TimeoutError` when none comes within so many seconds, and the
        iteration may go on; `StopIteration` after `close()`."""

        async def wait(_: jabot.client.Client) -> Event:
            async with asyncio.timeout(timeout):
                return await self._follower.next()

        if self._closed:
            raise StopIteration
        try:
            event = self._thread.call(wait)
        except ConnectionFailed:
            if not self._closed:
                raise
        if self._closed:
            raise StopIteration
        return event

    def close(self) -> None:
        """Follow no more. Who waits for the next event in another thread is told at once."""
        self._closed = True
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
