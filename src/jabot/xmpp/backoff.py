"""How long to wait before trying to connect again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Doubles from `first` to `most` seconds; a random half of it is jitter.

    The jitter keeps a thousand nodes from knocking at a restarted server in the same moment.
    """

    first: float = 0.5
    most: float = 60.0

    def delay(self, failures: int, random_fraction: float | None = None) -> float:
        """Seconds to wait after so many failures in a row (1, 2, ...)."""
        fraction = random.random() if random_fraction is None else random_fraction  # noqa: S311
        ceiling = min(self.most, self.first * 2.0 ** min(failures - 1, 32))
        return ceiling * (0.5 + 0.5 * fraction)
