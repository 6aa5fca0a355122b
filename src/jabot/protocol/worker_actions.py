"""What a worker does in each cell of its table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from jabot.protocol import limits
from jabot.protocol.events import CancelJob, StartJob, WorkerEvent
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Frame,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.worker_jobs import Outcome, WorkerJob, WorkerJobs
from jabot.protocol.worker_states import TABLE, Do, Input, Phase
from jabot.protocol.worker_store import Bounds

Action = Callable[[WorkerJob, str, Any], Phase | None]
"""Gets the job, who said it ("" for the runner), and the frame or what the runner said; gives the
phase when it is another than the table says."""

_LARGE = 16 * limits.KIB  # bytes of an outcome that is not said again while it is on its way
_KEPT = Bounds(limits.KEPT, limits.KEPT_BYTES, limits.KEPT_ALL, limits.KEPT_BYTES_ALL)
_OWED = Bounds(sys.maxsize, limits.OWED_BYTES, sys.maxsize, limits.OWED_BYTES_ALL)
# What a caller is told of a phase; `state` speaks of job states only.
_STATES = {Phase.CANCELLING: "running"}
_DRAINING = ("draining", "I am stopping and take no new jobs")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The bounds of a worker's memory."""

    retention: float = 900.0
    """Seconds that an outcome is kept, from its end and again from its caller's answer."""
    jobs_per_account: int = 50_000
    """Unfinished ones, and those whose outcome nobody has had."""
    jobs_per_queue: int = 250_000
    """The same of a queue, which keeps to the slots: the next job may come before the answer to
    the outcome of the last one. It is more than twice the slots that a queue believes."""
    kept: Bounds = _KEPT
    """Outcomes that are kept although a caller has them."""
    owed: Bounds = _OWED
    """Outcomes that no caller has had; `jobs_per_account` and `jobs_per_queue` bound how many."""
    listeners: int = 8
    """Addresses of the same account that hear of one job."""


class Actions:
    """Runs the table. `send` queues a frame for a peer."""

    def __init__(self, send: Callable[[str, Frame], None], settings: WorkerSettings) -> None:
        self.jobs = WorkerJobs(settings.retention, settings.kept, settings.owed)
        self.away: set[str] = set()
        self.queues: set[str] = set()  # the nodes of queues that give us jobs
        self.draining = False
        self.now = 0.0
        self._settings = settings
        self._send = send
        self._events: list[WorkerEvent] = []
        self._actions: dict[Do, Action] = {do: getattr(self, f"_{do.name.lower()}") for do in Do}

    def feed(self, job: WorkerJob, kind: Input, peer: str, what: Any) -> None:
        """Do what the table says about an input."""
        step = TABLE[job.phase].get(kind)
        if step is not None:
            job.phase = self._actions[step.do](job, peer, what) or step.to

    def tell(self, event: WorkerEvent) -> None:
        """Add an event to those that the owner gets."""
        self._events.append(event)

    def take_events(self) -> list[WorkerEvent]:
        """All events since the last time."""
        events, self._events = self._events, []
        return events

    # -- the cells -----------------------------------------------------------------------------

    def _take(self, job: WorkerJob, peer: str, frame: Submit) -> Phase | None:
        refusal = self._refusal(job.key[0], peer)
        if refusal is not None:
            job.attempt = frame.attempt
            self._answer(job, peer, Rejected(frame.id, frame.attempt, *refusal))
            return Phase.REFUSED
        self._begin(job, frame.attempt, peer)
        self.tell(StartJob(job.key, peer, frame))
        return None

    def _refusal(self, account: str, peer: str) -> tuple[str, str] | None:
        if self.draining:
            return _DRAINING
        settings, busy = self._settings, self.jobs.busy(account)
        most = settings.jobs_per_queue if peer in self.queues else settings.jobs_per_account
        if busy >= most:
            return "too_many_jobs", f"{busy} of your jobs are unfinished; wait for some of them"
        return None

    def _begin(self, job: WorkerJob, attempt: int, peer: str) -> None:
        if job.phase is Phase.UNKNOWN:
            self.jobs.add(job)
        else:
            self.jobs.begin_again(job)
        job.attempt = attempt
        self._listen(job, peer)

    def _listen(self, job: WorkerJob, peer: str) -> None:
        self.jobs.listen(job, peer, self._settings.listeners)

    def _tell(self, job: WorkerJob, peer: str, frame: Submit | Cancel | Query) -> None:
        on_its_way = job.listeners.get(peer) is False and peer not in self.away
        if job.size > _LARGE and on_its_way and frame.attempt in (0, job.attempt):
            return  # many small questions are not to fill the memory with copies of it
        self._listen(job, peer)
        if job.outcome is not None:
            self._send(peer, job.outcome)
            return
        state = _STATES.get(job.phase, job.phase.value)
        self._send(peer, State(job.key[1], job.attempt, state))
        if job.newest is not None:
            self._send(peer, job.newest)

    def _renumber(self, job: WorkerJob, peer: str, frame: Submit | Cancel | Query) -> None:
        job.attempt = frame.attempt
        if job.outcome is not None:
            job.outcome = structs.replace(job.outcome, attempt=frame.attempt)
        if job.newest is not None:
            job.newest = structs.replace(job.newest, attempt=frame.attempt)
        job.listeners.pop(peer, None)  # what is on its way has the old number
        self._tell(job, peer, frame)

    def _deny(self, job: WorkerJob, peer: str, frame: Query) -> None:
        self._send(peer, State(frame.id, frame.attempt, "unknown"))

    def _follow(self, job: WorkerJob, peer: str, frame: Submit) -> None:
        job.attempt, job.next = frame.attempt, (peer, frame)
        self._listen(job, peer)

    def _cancel(self, job: WorkerJob, peer: str, frame: Cancel) -> None:
        job.attempt, job.next = max(job.attempt, frame.attempt), None
        self._listen(job, peer)
        if job.phase is not Phase.CANCELLING:  # else the runner knows
            self.tell(CancelJob(job.key, frame.reason))

    def _forestall(self, job: WorkerJob, peer: str, frame: Cancel) -> None:
        job.attempt = max(1, frame.attempt)
        self._answer(job, peer, Cancelled(frame.id, job.attempt, frame.reason))

    def _answer(self, job: WorkerJob, peer: str, outcome: Outcome) -> None:
        """The outcome of what never began; it is remembered, so that a late copy does not."""
        self._send(peer, outcome)
        self.jobs.remember(job, outcome, self.now)

    def _reject(self, job: WorkerJob, peer: str, frame: Rejected) -> None:
        self._end(job, structs.replace(frame, attempt=job.attempt))

    def _note(self, job: WorkerJob, peer: str, what: None) -> None:
        pass

    def _step(
        self, job: WorkerJob, peer: str, what: tuple[float | None, float | None, str | None]
    ) -> None:
        job.seq += 1
        job.newest = Progress(job.key[1], job.attempt, job.seq, *what)
        for listener in job.listeners:
            if listener not in self.away:
                self._send(listener, job.newest)

    def _succeed(self, job: WorkerJob, peer: str, frame: Succeeded) -> None:
        if frame.attempt != job.attempt:
            frame = Succeeded(frame.id, job.attempt, frame.result)
        self._end(job, frame)

    def _fail(self, job: WorkerJob, peer: str, frame: Failed) -> Phase | None:
        if job.next is not None:
            return self._anew(job, *job.next)
        self._end(job, structs.replace(frame, attempt=job.attempt))
        return None

    def _stop(self, job: WorkerJob, peer: str, frame: Cancelled) -> Phase | None:
        if job.next is not None:
            return self._anew(job, *job.next)
        self._end(job, Cancelled(frame.id, job.attempt, frame.reason))
        return None

    def _anew(self, job: WorkerJob, peer: str, frame: Submit) -> Phase:
        """An attempt that was over has stopped, and the next one waits for that."""
        job.next = job.newest = None
        if self.draining:
            self._end(job, Rejected(frame.id, job.attempt, *_DRAINING))
            return Phase.REFUSED
        self.tell(StartJob(job.key, peer, frame))
        return Phase.AVAILABLE

    def _end(self, job: WorkerJob, outcome: Outcome) -> None:
        for listener in job.listeners:
            if listener not in self.away:
                self._send(listener, outcome)
        self.jobs.end(job, outcome, self.now)

    def _forget(self, job: WorkerJob, peer: str, what: None) -> None:
        self.jobs.forget(job)
