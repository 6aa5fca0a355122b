"""Ended jobs that a worker remembers: so much for one account, and so much for all of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jabot.protocol.events import Key

if TYPE_CHECKING:
    from jabot.protocol.worker_jobs import WorkerJob


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a store takes."""

    jobs: int  # of one account
    bytes: int
    all_jobs: int  # of all accounts together
    all_bytes: int


class _Share(OrderedDict[Key, "WorkerJob"]):
    """The jobs of one account, oldest first."""

    bytes = 0


class Store:
    """Jobs in the order in which they came, which is also that of their `until`.

    What one account has too much of goes at its own cost. Only many accounts together can reach the
    bound for all; then it goes at the cost of the one that has the most.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._jobs: OrderedDict[Key, WorkerJob] = OrderedDict()
        self._shares: dict[str, _Share] = {}  # by account; none is empty
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, key: Key) -> bool:
        return key in self._jobs

    @property
    def bytes(self) -> int:
        """How much memory their outcomes take, about."""
        return self._bytes

    def first(self) -> WorkerJob | None:
        """The one that came first."""
        return next(iter(self._jobs.values()), None)

    def add(self, job: WorkerJob) -> None:
        """Take a job that is not in it. Its size must not change before `discard()`."""
        share = self._shares.get(job.key[0])
        if share is None:
            share = self._shares[job.key[0]] = _Share()
        self._jobs[job.key] = share[job.key] = job
        share.bytes += job.size
        self._bytes += job.size

    def discard(self, job: WorkerJob) -> bool:
        """Take it out; whether it was there."""
        if self._jobs.pop(job.key, None) is None:
            return False
        share = self._shares[job.key[0]]
        del share[job.key]
        share.bytes -= job.size
        self._bytes -= job.size
        if not share:
            del self._shares[job.key[0]]
        return True

    def surplus(self, account: str) -> Iterator[WorkerJob]:
        """What is too much, after a job of `account` was added. Discard each before asking for the
        next."""
        bounds, share = self._bounds, self._shares[account]
        while len(share) > bounds.jobs or (share.bytes > bounds.bytes and len(share) > 1):
            yield _oldest(share)
        while len(self._jobs) > bounds.all_jobs:
            yield _oldest(max(self._shares.values(), key=len))
        while self._bytes > bounds.all_bytes and len(self._jobs) > 1:
            yield _oldest(max(self._shares.values(), key=lambda share: share.bytes))


def _oldest(share: _Share) -> WorkerJob:
    return next(iter(share.values()))
