"""The answer to a batch, which waits for the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from jabot.errors import StoreUnavailable
from jabot.queue.ledger import Ledger
from jabot.queue.store.verbs import Verb


class Promise:
    """Kept when the store has done all that a batch asks for, and what holds it is over; broken
    when the store cannot."""

    def __init__(self) -> None:
        self._left = 0
        self.future: asyncio.Future[None] | None = None
        """None when nothing has to be waited for."""
        self._broken: list[Callable[[], None]] = []

    def wait(
        self,
        ledger: Ledger,
        verb: Verb,
        done: Callable[[Any], None],
        impossible: Callable[[Exception], None] | None = None,
    ) -> None:
        """Have one more thing done, and `done(answer)` called before the batch is answered.

        `impossible(error)` is called instead when it can never be done; without it, that breaks the
        promise, as it does that the store is away: then all is said again later.
        """
        self.hold()
        ledger.do(verb, partial(self._done, done), partial(self._failed, impossible))

    def hold(self) -> None:
        """Wait for one more thing, until `release()`."""
        if self.future is None:
            self.future = asyncio.get_running_loop().create_future()
        self._left += 1

    def release(self) -> None:
        """It is over. With nothing left to wait for, the promise is kept."""
        self._left -= 1
        if not self._left and self.future is not None and not self.future.done():
            self.future.set_result(None)

    def on_failure(self, call: Callable[[], None]) -> None:
        """Call this when the promise cannot be kept."""
        self._broken.append(call)

    def _done(self, done: Callable[[Any], None], answer: Any) -> None:
        try:
            done(answer)
        finally:
            self.release()

    def _failed(self, impossible: Callable[[Exception], None] | None, error: Exception) -> None:
        if impossible is not None and not isinstance(error, StoreUnavailable):
            self._done(impossible, error)
            return
        broken, self._broken = self._broken, []
        for call in broken:
            call()
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)
