"""The event loop of a blocking client, in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import jabot.client
from jabot.calls.calls import closed
from jabot.errors import JabotError

T = TypeVar("T")


class ClientThread:
    """An event loop in a thread of its own, with a client that is signed in."""

    def __init__(self, client: jabot.client.Client) -> None:
        self.pid = os.getpid()
        self.client = client
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="jabot client", daemon=True)
        self._thread.start()
        try:
            self.call(lambda app: app.__aenter__())
        except BaseException:
            self._end()
            raise
        atexit.register(self.close)

    def call(self, function: Callable[[jabot.client.Client], Coroutine[Any, Any, T]]) -> T:
        """What a coroutine of the client returns; when this is interrupted, so is that."""
        if self.pid != os.getpid():
            raise JabotError(
                "this was begun before this process was forked, and goes on in the other one; "
                "begin it anew here"
            )
        self.check()
        with self._lock:
            if self._closed:
                raise closed("the client")
            future = asyncio.run_coroutine_threadsafe(function(self.client), self.loop)
        return self._wait(future)

    def on_loop(self, function: Callable[[], object]) -> bool:
        """Call a function there; False when it is closed, or in another process."""
        if self.pid != os.getpid():  # where the lock may be held for ever
            return False
        with self._lock:
            if not self._closed:
                self.loop.call_soon_threadsafe(function)
            return not self._closed

    def _wait(self, future: concurrent.futures.Future[T]) -> T:
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._closed:  # in that moment
                raise closed("the client") from None
            raise
        except BaseException:
            future.cancel()
            raise

    def check(self) -> None:
        """Raises `JabotError` in the client's own thread, which must not wait for itself."""
        if threading.current_thread() is self._thread:
            raise JabotError(
                "this would wait for itself: it was called in the client's own thread (a callback "
                "of a job?); do it in another thread"
            )

    def close(self) -> None:
        """Sign out and end the thread; nothing in a process that was forked since."""
        if self.pid != os.getpid():
            return
        self.check()
        atexit.unregister(self.close)
        with self._lock:  # what others have begun is on the loop by now, and ends with it
            if self._closed:
                return
            self._closed = True
        leave = self.client.__aexit__()
        try:
            self._wait(asyncio.run_coroutine_threadsafe(leave, self.loop))
        finally:
            self._end()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


async def next_of(items: AsyncIterator[T]) -> T:
    """For the other thread."""
    return await anext(items)
