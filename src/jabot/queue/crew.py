"""The workers of a queue: what each can do, what it holds, and how long it may. No I/O, no clock.

Times are seconds of the loop's clock, so that a jump of the machine's own moves no lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from jabot.protocol.options import JobOptions
from jabot.queue.store.records import Record, read_kind

LEASE: Final = 15.0  # seconds that a worker may hold a job without a heartbeat
_SENDING: Final = 20  # leases that it may take to send a worker a job
GRACE: Final = 1.0  # seconds that a worker may be away before its jobs are given to others


class Held(Struct, eq=False):
    """A job that a worker has."""

    record: Record
    worker: str
    until: float  # the end of its lease
    stay: int  # which of the worker's stays it was sent in
    acked: bool = False  # the worker is responsible
    ending: bool = False  # its end is on its way to the store
    seq: int = 0  # of the newest progress
    cancelling: str | None = None  # why the worker was told to stop it
    latest: float = 0.0  # its lease ends then if the worker has not taken it

    @property
    def id(self) -> str:
        """The job's."""
        return self.record.id

    @property
    def attempt(self) -> int:
        """Its number, the fence."""
        return self.record.attempt


class Worker(Struct, eq=False):
    """One worker."""

    jid: str
    account: str
    slots: int = 0
    tasks: Mapping[str, JobOptions] = {}
    labels: Mapping[str, str] = {}
    held: dict[str, Held] = {}
    claiming: int = 0  # slots that are asked of the store to be filled
    ending: int = 0  # of what it has, jobs whose ends are on their way to the store
    stay: int = 0  # counts how often it went
    here: bool = False  # it has said hello, and has not gone since
    silent: bool = False  # it let a lease run out, and was not heard since
    gone_at: float | None = None  # when it went; it has the grace to say hello again

    @property
    def free(self) -> int:
        """How many more jobs it takes. An attempt that it has ended takes no slot any more."""
        if not self.here or self.silent:
            return 0
        return self.slots - len(self.held) + self.ending - self.claiming

    def does(self, kind: str) -> bool:
        """Whether it can do jobs of a kind (see `kind_of`)."""
        task, where = _read_kind(kind)
        if task not in self.tasks:
            return False
        return all(self.labels.get(name) in values for name, values in where)


class Crew:
    """All workers, and all that they hold. `on_change()` is called when the load is another."""

    def __init__(
        self,
        lease: float = LEASE,
        grace: float = GRACE,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.lease = lease
        self.grace = grace
        self._on_change = on_change
        self._workers: dict[str, Worker] = {}
        self._held: dict[str, Held] = {}

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def get(self, jid: str) -> Worker | None:
        """The worker of that full address."""
        return self._workers.get(jid)

    def held(self, job_id: str) -> Held | None:
        """Who has a job."""
        return self._held.get(job_id)

    def holding(self, jid: str | None, job_id: str, attempt: int) -> Held | None:
        """What is known of a job, if that worker has that very attempt."""
        held = self._held.get(job_id)
        if held is not None and (held.worker, held.attempt) == (jid, attempt):
            return held
        return None

    @property
    def running(self) -> int:
        """How many jobs somebody has."""
        return len(self._held)

    @property
    def slots(self) -> int:
        """How many jobs those who are here do at once."""
        return sum(worker.slots for worker in self._workers.values() if worker.here)

    def at(self, jid: str) -> list[Held]:
        """What a worker has."""
        worker = self._workers.get(jid)
        return [] if worker is None else list(worker.held.values())

    @property
    def all_held(self) -> list[Held]:
        """All jobs that somebody has."""
        return list(self._held.values())

    # -- they come and go ----------------------------------------------------------------------

    def hello(
        self,
        jid: str,
        account: str,
        slots: int,
        tasks: Mapping[str, JobOptions],
        labels: Mapping[str, str],
    ) -> Worker:
        """A worker says what it can do, the first time or again."""
        worker = self._known(jid, account)
        worker.slots, worker.tasks, worker.labels = slots, tasks, labels
        worker.here, worker.gone_at = True, None
        self._on_change()
        return worker

    def claimed(self, worker: Worker, most: int) -> None:
        """The store has answered a claim of so many slots of a worker."""
        worker.claiming -= most
        self._forget(worker)

    def heard(self, jid: str) -> bool:
        """A worker said something; True when it had been silent for too long."""
        worker = self._workers.get(jid)
        was_silent = worker is not None and worker.silent
        if worker is not None:
            worker.silent = False
        return was_silent

    def gone(self, jid: str, now: float) -> bool:
        """Its presence went, or nobody has its address; False for no worker of ours."""
        worker = self._workers.get(jid)
        if worker is None:
            return False
        if worker.here:
            worker.stay += 1
            worker.here, worker.gone_at = False, now
            self._on_change()
        self._forget(worker)
        return True

    def offline(self) -> None:
        """Our own connection went. Who has nothing and is still there says so; it is not known
        any more when the others went."""
        for worker in list(self._workers.values()):
            worker.stay += 1
            worker.here, worker.gone_at = False, None
            self._forget(worker)

    def online(self, now: float) -> None:
        """It is back: all have a whole lease to say what they have."""
        for held in self._held.values():
            held.until = max(held.until, now + self.lease)

    # -- what they hold ------------------------------------------------------------------------

    def hold(self, record: Record, now: float, *, acked: bool = False) -> Held:
        """A worker has a job from now on. Where the worker was not seen yet, the lease decides."""
        jid = record.worker or ""
        before = self._held.get(record.id)
        if before is not None:
            self.let_go(before)  # first: with it goes a worker that is away and has nothing else
        worker = self._known(jid, jid.partition("/")[0])
        until, latest = now + self.lease, now + _SENDING * self.lease
        held = Held(record, jid, until, worker.stay, acked, False, 0, record.cancelling, latest)
        worker.held[record.id] = self._held[record.id] = held
        self._on_change()
        return held

    def ends(self, held: Held) -> None:
        """Its end is on its way to the store."""
        if not held.ending:
            held.ending = True
            self._workers[held.worker].ending += 1

    def goes_on(self, held: Held) -> None:
        """Its end did not get to the store."""
        if held.ending:
            held.ending = False
            self._workers[held.worker].ending -= 1

    def let_go(self, held: Held) -> None:
        """It has it no more."""
        if self._held.get(held.id) is held:
            del self._held[held.id]
            self._on_change()
        worker = self._workers.get(held.worker)
        if worker is not None and worker.held.get(held.id) is held:
            del worker.held[held.id]
            worker.ending -= held.ending
            self._forget(worker)

    def renew(
        self, jid: str, pairs: Iterable[tuple[str, int]], now: float
    ) -> list[tuple[str, int]]:
        """A heartbeat: the leases of these attempts begin anew. Answers those that are not its."""
        strangers = []
        for job_id, attempt in pairs:
            held = self._held.get(job_id)
            if held is None or held.worker != jid or held.attempt != attempt:
                strangers.append((job_id, attempt))
            else:
                held.until, held.acked = now + self.lease, True
        return strangers

    def spare(self, jid: str, now: float) -> None:
        """A worker lives, and what it was given is still being sent: that is not its fault."""
        worker = self._workers[jid]
        for held in worker.held.values():
            if not held.acked and held.stay == worker.stay:
                held.until = max(held.until, min(now + self.lease, held.latest))

    def missing(self, jid: str, pairs: Iterable[tuple[str, int]]) -> list[Held]:
        """What a worker should have, and does not speak of in its hello. What is still on its way
        to it, in this stay of its, is not missing."""
        worker = self._workers.get(jid)
        if worker is None:
            return []
        spoken = set(pairs)
        return [
            held
            for held in worker.held.values()
            if not held.ending
            and (held.id, held.attempt) not in spoken
            and (held.acked or held.stay != worker.stay)
        ]

    # -- time ----------------------------------------------------------------------------------

    def overdue(self, now: float) -> list[tuple[Held, str]]:
        """What is to be taken from those who have it, and why. It stays theirs until `let_go`."""
        found = []
        for held in self._held.values():
            if held.ending:
                continue
            worker = self._workers[held.worker]
            if held.until <= now:
                worker.silent = True  # else it would get the same job again
                found.append((held, f"gave no sign for {self.lease:g} s"))
            elif worker.gone_at is not None and worker.gone_at + self.grace <= now:
                found.append((held, "vanished"))
        return found

    def excuse(self, seconds: float) -> None:
        """We heard nobody for so long: nobody's time has passed."""
        for held in self._held.values():
            held.until += seconds
        for worker in self._workers.values():
            if worker.gone_at is not None:
                worker.gone_at += seconds

    def next(self) -> float | None:
        """When to look for overdue ones, at the latest. What ends just now needs no look: the store
        may take its time."""
        moments = []
        for worker in self._workers.values():
            untils = [held.until for held in worker.held.values() if not held.ending]
            if untils and worker.gone_at is not None:
                untils.append(worker.gone_at + self.grace)
            moments += untils
        return min(moments, default=None)

    # -- who gets more -------------------------------------------------------------------------

    def openings(self, kinds: Iterable[str]) -> list[tuple[Worker, list[str], int]]:
        """Workers with free slots that do some of these kinds, and how many jobs each is to get.

        No worker gets all at once where others are free as well: who has the fewest first, a
        quarter of its free slots each time.
        """
        kinds = list(kinds)
        if not kinds:
            return []
        free = [worker for worker in self._workers.values() if worker.free > 0]
        free.sort(key=lambda worker: len(worker.held) / max(1, worker.slots))
        found = [(worker, [kind for kind in kinds if worker.does(kind)]) for worker in free]
        found = [(worker, does) for worker, does in found if does]
        if len(found) == 1:
            return [(worker, does, worker.free) for worker, does in found]
        return [(worker, does, max(1, worker.free // 4)) for worker, does in found]

    def _forget(self, worker: Worker) -> None:
        """Who went and has nothing is not known any more."""
        if not worker.here and not worker.held and not worker.claiming:
            self._workers.pop(worker.jid, None)

    def _known(self, jid: str, account: str) -> Worker:
        worker = self._workers.get(jid)
        if worker is None:
            worker = self._workers[jid] = Worker(jid, account)
        return worker


@lru_cache(maxsize=4096)
def _read_kind(kind: str) -> tuple[str, tuple[tuple[str, frozenset[str]], ...]]:
    task, where = read_kind(kind)
    return task, tuple((name, frozenset(values)) for name, values in where.items())
