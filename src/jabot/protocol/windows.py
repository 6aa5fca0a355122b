"""The windows of all peers: whose turn it is to send."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

from jabot.protocol import limits
from jabot.protocol.frames import Frame
from jabot.protocol.window import Batch, Leftover, Wanted, Window


class Windows:
    """One window for each peer, served in turn: a flood to one delays another by one batch."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._windows: dict[str, Window] = {}
        self._turns: deque[str] = deque()  # the peers that may have something to send
        self._queued: set[str] = set()

    def __getitem__(self, peer: str) -> Window:
        """The peer's window, a new one when there is none."""
        window = self._windows.get(peer)
        if window is None:
            window = self._windows[peer] = Window(peer, self._numbers)
        return window

    def __len__(self) -> int:
        return len(self._windows)

    def push(self, peer: str, frame: Frame) -> None:
        """See `Window.push`."""
        window = self._windows.get(peer) or self[peer]
        try:
            window.push(frame)
        finally:
            if peer not in self._queued:
                self._settle(window)

    def is_free(self, peer: str) -> bool:
        """See `Window.free`."""
        window = self._windows.get(peer)
        return window is None or window.free

    def room(self, peer: str) -> int:
        """See `Window.room`."""
        window = self._windows.get(peer)
        return limits.PILE_FRAMES if window is None else window.room

    def choked(self, peer: str) -> bool:
        """See `Window.choked`."""
        window = self._windows.get(peer)
        return window is not None and window.choked

    def take(self) -> Batch | None:
        """The next batch to send, of the peer whose turn it is; None when there is nothing."""
        while self._turns:
            peer = self._turns.popleft()
            self._queued.discard(peer)
            window = self._windows.get(peer)
            batch = window.take() if window is not None else None
            if window is not None and batch is not None:
                self._settle(window)
                return batch
        return None

    def answered(self, peer: str, batch: int) -> list[Frame]:
        """See `Window.answered`."""
        return self._told(peer, lambda window: window.answered(batch))

    def put_off(self, peer: str, batch: int) -> list[Frame]:
        """See `Window.put_off`."""
        return self._told(peer, lambda window: window.put_off(batch))

    def failed(self, peer: str, batch: int, wanted: Wanted = lambda frame: True) -> list[Frame]:
        """See `Window.failed`."""
        return self._told(peer, lambda window: window.failed(batch, wanted))

    def refused(self, peer: str, batch: int) -> list[Frame]:
        """See `Window.refused`."""
        return self._told(peer, lambda window: window.refused(batch))

    def gone(self, peer: str) -> Leftover:
        """See `Window.gone`."""
        window = self._windows.pop(peer, None)
        if window is None:
            return Leftover([], [])
        return window.gone()

    def all_gone(self) -> dict[str, Leftover]:
        """The connection is gone: what every window still had, by peer."""
        return {peer: self.gone(peer) for peer in list(self._windows)}

    def _told(self, peer: str, tell: Callable[[Window], list[Frame]]) -> list[Frame]:
        window = self._windows.get(peer)
        if window is None:
            return []  # late: the window was given up
        frames = tell(window)
        self._settle(window)
        return frames

    def _settle(self, window: Window) -> None:
        """Queue a window that has something to send; forget one that has nothing at all."""
        if window.ready:
            if window.peer not in self._queued:
                self._queued.add(window.peer)
                self._turns.append(window.peer)
        elif window.idle:
            self._windows.pop(window.peer, None)
