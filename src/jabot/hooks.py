"""What the author of a node has called while it is served: hooks and timers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from jabot.chat import Message
from jabot.definition import Definition
from jabot.runner.timers import Timer, call

log = logging.getLogger(__name__)


class Hooks:
    """Calls them. `wall` tells the date, in seconds since 1970."""

    def __init__(self, definition: Definition, wall: Callable[[], float]) -> None:
        self._definition = definition
        self._wall = wall
        self.ticking: list[asyncio.Task[None]] = []
        """The timers that run."""

    async def start(self) -> None:
        """The node is about to sign in. Raises what a hook raises."""
        for hook in self._definition.on_start:
            await call(hook, name="jabot on_start")

    def tick(self) -> None:
        """Run the timers."""
        self.ticking = [asyncio.create_task(self._tick(t)) for t in self._definition.timers]

    async def stop(self, limit: float) -> None:
        """The node is about to leave. A hook that does not end within `limit` seconds is left."""
        for hook in self._definition.on_stop:
            try:
                async with asyncio.timeout(limit):
                    await call(hook, name="jabot on_stop")
            except TimeoutError:
                log.error("an on_stop hook did not end within %g s", limit)
            except Exception:
                log.exception("an on_stop hook raised")

    async def _tick(self, timer: Timer) -> None:
        try:
            await timer.run(self._wall)
        except Exception:
            log.exception("the timer of %r is dead", timer.function)


def text_handler(handler: Callable[[Message], Any]) -> Callable[[Message], Awaitable[str | None]]:
    """An `on_message` function as chat calls it."""

    async def handle(message: Message) -> str | None:
        answer = await call(handler, message, name="jabot on_message")
        return None if answer is None else str(answer)

    return handle
