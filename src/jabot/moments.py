"""Moments to come, on the clock of whoever asks."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """At most one moment for each key. A cancelled one costs nothing but a bounded leftover."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._at: dict[K, tuple[float, int]] = {}
        self._count = 0  # keys need no order of their own

    def set(self, key: K, at: float) -> None:
        """Be told at `at`, and not when it was set to before."""
        self._count += 1
        self._at[key] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, key))
        self._tidy()

    def cancel(self, key: K) -> None:
        """Forget a key, whether it was set or not."""
        if self._at.pop(key, None) is not None:
            self._tidy()

    def next(self) -> float | None:
        """The earliest moment, if there is any."""
        self._skip()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[K]:
        """Take the keys whose moment has come, the earliest first."""
        keys: list[K] = []
        self._skip()
        while self._heap and self._heap[0][0] <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            keys.append(key)
            self._skip()
        return keys

    def _tidy(self) -> None:
        """What was given up holds its key: not for ever, and not more than there is to wait for."""
        if len(self._heap) > 2 * len(self._at) + 64:
            self._heap = [(*when, key) for key, when in self._at.items()]
            heapq.heapify(self._heap)

    def _skip(self) -> None:
        heap = self._heap
        while heap and self._at.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)
