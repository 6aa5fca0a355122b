"""How fast one may talk, and how much of what is beyond that was dropped."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass
class _Bucket:
    tokens: float
    at: float  # when `tokens` was true
    dropped: int = 0


class Pace:
    """A token bucket for each name: `burst` lines at once, and `rate` a second after that.

    Names are forgotten, the longest silent first, when there are more than `names`.
    """

    def __init__(self, burst: int, rate: float, names: int = 10_000) -> None:
        self.burst = burst
        self.rate = rate
        self._names = names
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, now: float) -> bool:
        """Whether a line is within the limits at `now` (seconds); if not, it counts as dropped."""
        bucket = self._buckets.setdefault(name, _Bucket(self.burst, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._names:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.tokens < 1:
            bucket.dropped += 1
            return False
        bucket.tokens -= 1
        return True

    def dropped(self, name: str) -> int:
        """How many lines were dropped since the last `forgive`."""
        bucket = self._buckets.get(name)
        return bucket.dropped if bucket else 0

    def forgive(self, name: str) -> int:
        """The number of dropped lines, which begins anew."""
        dropped = self.dropped(name)
        if dropped:
            self._buckets[name].dropped = 0
        return dropped
