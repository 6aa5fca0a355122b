"""The jobs of a worker: who hears of them, who still has to have their outcome, what is kept."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from jabot.protocol.events import Key
from jabot.protocol.frames import Cancelled, Failed, Progress, Rejected, Submit, Succeeded
from jabot.protocol.worker_states import ENDED, Phase
from jabot.protocol.worker_store import Bounds, Store

Outcome = Succeeded | Failed | Cancelled | Rejected


class WorkerJob(Struct, eq=False, gc=False):
    """What a worker knows of one job. Thousands are kept, and none is part of a cycle."""

    key: Key
    phase: Phase = Phase.UNKNOWN
    attempt: int = 1
    seq: int = 0  # of the newest progress
    newest: Progress | None = None
    outcome: Outcome | None = None
    size: int = 0  # of the outcome, in bytes
    until: float = 0.0  # when it may be forgotten
    listeners: dict[str, bool] = {}
    """Who hears of it, by full address, and whether they have the outcome."""
    next: tuple[str, Submit] | None = None
    """What is to be begun, and for whom, when the attempt that is being stopped has ended."""

    @property
    def ended(self) -> bool:
        """Whether it has its outcome."""
        return self.phase in ENDED


class WorkerJobs:
    """All jobs that are known, in bounds.

    An ended one is *owed* until one of its callers has answered, and *kept* after that. What is
    owed counts as one of its account's jobs, so that nobody fills the memory by never answering.
    What one account has done is never the reason to forget a job of another.
    """

    def __init__(self, retention: float, kept: Bounds, owed: Bounds) -> None:
        self._retention = retention
        self._jobs: dict[Key, WorkerJob] = {}
        self._owed = Store(owed)
        self._kept = Store(kept)
        self._busy: dict[str, int] = {}  # by account
        # By full address, the jobs of which it has not had the outcome. One address is of one
        # account, so the id alone is enough there.
        self._peers: dict[str, dict[str, WorkerJob]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, key: Key) -> WorkerJob | None:
        """The job, if it is known."""
        return self._jobs.get(key)

    def busy(self, account: str) -> int:
        """How many jobs of an account are unfinished, or have an outcome that nobody has."""
        return self._busy.get(account, 0)

    def add(self, job: WorkerJob) -> None:
        """Know a new job."""
        self._jobs[job.key] = job
        self._busy[job.key[0]] = self._busy.get(job.key[0], 0) + 1

    def begin_again(self, job: WorkerJob) -> None:
        """A job that had ended is to have another attempt."""
        if job.key in self._kept:
            self._busy[job.key[0]] = self._busy.get(job.key[0], 0) + 1
        self._leave_stores(job)
        job.outcome, job.newest, job.size, job.seq = None, None, 0, 0
        for peer in job.listeners:
            self._owe(job, peer)

    def listen(self, job: WorkerJob, peer: str, most: int) -> None:
        """Let one more address hear of a job; past `most`, the first one does no longer."""
        if peer not in job.listeners and len(job.listeners) >= most:
            first = next(iter(job.listeners))
            del job.listeners[first]
            self._settled(job, first)
        self._owe(job, peer)

    def hand_over(self, before: str, peer: str) -> None:
        """Let one address hear of all that another one of the same account waits for, instead."""
        for job in self.waiting_for(before):
            del job.listeners[before]
            self._settled(job, before)
            if not any(job.listeners.values()):  # else somebody has the outcome
                self._owe(job, peer)
            if job.next is not None:
                job.next = (peer, job.next[1])

    def end(self, job: WorkerJob, outcome: Outcome, now: float) -> None:
        """It has its outcome, and is owed to its callers from now on."""
        job.outcome, job.newest = outcome, None
        job.size = _size(outcome)
        job.until = now + self._retention
        self._owed.add(job)
        for surplus in self._owed.surplus(job.key[0]):
            self.forget(surplus)

    def delivered(self, job: WorkerJob, peer: str, now: float) -> None:
        """A caller has the outcome."""
        if peer not in job.listeners:
            return
        job.listeners[peer] = True
        self._settled(job, peer)
        if self._owed.discard(job):
            self._unbusy(job)
            self._keep(job, now)

    def remember(self, job: WorkerJob, outcome: Outcome, now: float) -> None:
        """A job, perhaps a new one, was answered at once: keep that, and owe it to nobody."""
        if job.key in self._owed:
            self._unbusy(job)
        self._leave_stores(job)
        for peer in job.listeners:
            self._settled(job, peer)
        job.listeners.clear()
        self._jobs[job.key] = job
        job.outcome, job.newest, job.size = outcome, None, _size(outcome)
        self._keep(job, now)

    def forget(self, job: WorkerJob) -> None:
        """Know it no more."""
        if self._jobs.pop(job.key, None) is None:
            return
        if not self._kept.discard(job):
            self._owed.discard(job)
            self._unbusy(job)
        for peer in job.listeners:
            self._settled(job, peer)
        job.phase = Phase.UNKNOWN

    def check_account(self, peer: str, account: str) -> None:
        """An address may pass to another account (a nickname in a room): it hears nothing of what
        the one before it waited for."""
        jobs = self._peers.get(peer)
        if jobs and next(iter(jobs.values())).key[0] != account:
            for job in list(jobs.values()):
                job.listeners.pop(peer, None)
            del self._peers[peer]

    def awaited(self, peer: str, job_id: str) -> WorkerJob | None:
        """The job of this id of which a peer has not had the outcome."""
        jobs = self._peers.get(peer)
        return None if jobs is None else jobs.get(job_id)

    def waiting_for(self, peer: str) -> list[WorkerJob]:
        """The jobs of which a peer has not had the outcome, ended or not."""
        return list(self._peers.get(peer, {}).values())

    @property
    def peers(self) -> list[str]:
        """Who has not had all outcomes."""
        return list(self._peers)

    def next_expiry(self) -> float | None:
        """When an outcome may be forgotten, at the earliest."""
        first = [job.until for store in (self._owed, self._kept) if (job := store.first())]
        return min(first, default=None)

    def expired(self, now: float) -> Iterator[WorkerJob]:
        """The ended jobs whose time is over. Forget each before asking for the next."""
        for store in (self._owed, self._kept):
            while (job := store.first()) and job.until <= now:
                yield job

    def _keep(self, job: WorkerJob, now: float) -> None:
        job.until = now + self._retention
        self._kept.add(job)
        for surplus in self._kept.surplus(job.key[0]):
            self.forget(surplus)

    def _owe(self, job: WorkerJob, peer: str) -> None:
        job.listeners[peer] = False
        jobs = self._peers.get(peer)
        if jobs is None:
            jobs = self._peers[peer] = {}
        jobs[job.key[1]] = job

    def _settled(self, job: WorkerJob, peer: str) -> None:
        jobs = self._peers.get(peer)
        if jobs is not None:
            jobs.pop(job.key[1], None)
            if not jobs:
                del self._peers[peer]

    def _leave_stores(self, job: WorkerJob) -> None:
        self._owed.discard(job)
        self._kept.discard(job)

    def _unbusy(self, job: WorkerJob) -> None:
        account = job.key[0]
        left = self._busy.get(account, 0) - 1
        if left > 0:
            self._busy[account] = left
        else:
            self._busy.pop(account, None)


def _size(outcome: Outcome) -> int:
    """About how many bytes of memory it takes."""
    if isinstance(outcome, Succeeded):
        return 200 + len(outcome.result)
    if isinstance(outcome, Failed):
        return 200 + len(outcome.message) + len(outcome.traceback)
    return 200
