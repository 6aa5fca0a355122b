"""Those who have more for a peer than its window takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Waiters:
    """They wait until there is room for a peer; who waits first goes first. `room(peer)` tells how
    many may go on."""

    def __init__(self, room: Callable[[str], int]) -> None:
        self._room = room
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __contains__(self, peer: str) -> bool:
        """Whether anybody waits for it."""
        return peer in self._waiting

    async def wait(self, peer: str) -> None:
        """Wait until it is one's turn."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(peer, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            self.let_in(peer)  # its place goes to the next one
            raise

    def let_in(self, peer: str) -> None:
        """Wake as many as there is room for."""
        waiting = self._waiting.get(peer)
        if waiting is None:
            return
        room = self._room(peer)
        while waiting and room > 0:
            future = waiting.popleft()
            if not future.done():
                future.set_result(None)
                room -= 1
        if not waiting:
            del self._waiting[peer]

    def let_all_in(self) -> None:
        """Wake as many as there is room for, of each peer."""
        for peer in list(self._waiting):
            self.let_in(peer)

    def release(self, peer: str) -> None:
        """There is nothing to wait for here any more: no answer of the peer's will wake anybody."""
        for future in self._waiting.pop(peer, ()):
            if not future.done():
                future.set_result(None)

    def release_all(self) -> None:
        """The same for all peers."""
        for peer in list(self._waiting):
            self.release(peer)
