"""The worker's end: jobs come in, each is started once, and its outcome is told until it was heard.

No I/O and no clock: frames leave through the function that is handed in, events are returned, and
times are seconds of whatever clock the owner reads. The owner asks about rights before the frames
come here, runs what `StartJob` says, tells how it goes, and tells what became of each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import Raw, structs

from jabot.errors import JabotError, LocalProtocolError, TooLarge
from jabot.protocol import limits
from jabot.protocol.codec import Damaged, Incoming, check_payload
from jabot.protocol.events import Key, Report, WorkerEvent
from jabot.protocol.frames import (
    KINDS,
    TO_WORKER,
    Cancel,
    Cancelled,
    Failed,
    Frame,
    Heartbeat,
    Hello,
    Query,
    Rejected,
    Submit,
    Succeeded,
)
from jabot.protocol.refusals import code_of, shortened, shortened_traceback
from jabot.protocol.worker_actions import Actions, WorkerSettings
from jabot.protocol.worker_jobs import WorkerJob
from jabot.protocol.worker_states import Input

Events = list[WorkerEvent]
_OUTCOMES = (Succeeded, Failed, Cancelled, Rejected)
_INPUTS: Final[Mapping[type[Frame], tuple[Input, Input]]] = {
    Submit: (Input.SUBMIT, Input.NEXT_SUBMIT),
    Cancel: (Input.CANCEL, Input.NEXT_CANCEL),
    Query: (Input.QUERY, Input.NEXT_QUERY),
}
_ASKED = (Submit, Cancel, Query)
_ABOUT_JOBS = frozenset({"submit", "part"})


class Worker:
    """See the module. `send(peer, frame)` queues a frame; it must not call back."""

    def __init__(
        self, send: Callable[[str, Frame], None], settings: WorkerSettings | None = None
    ) -> None:
        self._actions = Actions(send, settings or WorkerSettings())
        self._jobs = self._actions.jobs
        self._tell = self._actions.tell
        self._away = self._actions.away
        self._send = send

    @property
    def draining(self) -> bool:
        """Whether new jobs are rejected."""
        return self._actions.draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self._actions.draining = draining

    def __len__(self) -> int:
        """How many jobs are known, the ended ones included."""
        return len(self._jobs)

    # -- what comes in -------------------------------------------------------------------------

    def received(self, peer: str, account: str, frames: Iterable[Incoming], now: float) -> Events:
        """Frames of one batch, joined, from the full address `peer`; `account` is its bare one.

        Handle the events, and send what they made us say, before the batch is answered.
        """
        self._actions.now = now
        self._jobs.check_account(peer, account)
        self.peer_here(peer)
        for frame in frames:
            if isinstance(frame, _ASKED):
                self._about_job(peer, account, frame)
            elif isinstance(frame, Damaged):
                self._damaged(peer, account, frame)
        return self._actions.take_events()

    def answered(self, peer: str, frames: Iterable[Frame], now: float) -> None:
        """The peer has answered a batch: it has the outcomes that were in it."""
        self.peer_here(peer)
        for frame in frames:
            if isinstance(frame, _OUTCOMES):
                job = self._jobs.awaited(peer, frame.id)
                # An attempt that was begun anew meanwhile has no outcome, or another one.
                outcome = None if job is None else job.outcome
                if job is not None and outcome is not None and outcome.attempt == frame.attempt:
                    self._jobs.delivered(job, peer, now)

    def refused(self, peer: str, frames: Iterable[Frame], error: JabotError, now: float) -> Events:
        """The peer's answer was an error: it will not understand these frames another time."""
        self.answered(peer, frames, now)
        self._tell(Report(peer, f"refuses what was sent: {error}"))
        return self._actions.take_events()

    # -- what the runner says ------------------------------------------------------------------

    def reject(self, key: Key, error: JabotError, now: float) -> None:
        """Refuse a job that was not begun. The error's class is told as a code."""
        frame = Rejected(key[1], 0, code_of(error), shortened(str(error)))
        self._runner(key, Input.REJECT, now, frame)

    def started(self, key: Key, now: float) -> None:
        """It runs."""
        self._runner(key, Input.START, now)

    def progressed(
        self,
        key: Key,
        now: float,
        *,
        done: float | None = None,
        total: float | None = None,
        text: str | None = None,
    ) -> None:
        """It has got on."""
        self._runner(key, Input.STEP, now, (done, total, text if text is None else shortened(text)))

    def succeeded(self, key: Key, result: Raw, now: float) -> None:
        """It returned. A result too large to be sent fails the job."""
        try:
            check_payload(bytes(result))
        except (TooLarge, LocalProtocolError) as error:
            text = f"the result cannot be sent: {error}"
            self.failed(key, now, kind="TooLarge", message=text, code="too_large")
        else:
            self._runner(key, Input.SUCCEED, now, Succeeded(key[1], 1, result))

    def failed(
        self,
        key: Key,
        now: float,
        *,
        kind: str,
        message: str,
        traceback: str = "",
        code: str = "task",
    ) -> None:
        """It raised (`task`), took too long (`timeout`), or was left unfinished (`lost`)."""
        tail = shortened_traceback(traceback)
        frame = Failed(key[1], 1, shortened(kind), shortened(message), tail, code)
        self._runner(key, Input.FAIL, now, frame)

    def cancelled(self, key: Key, now: float, reason: str = "") -> None:
        """It was stopped."""
        self._runner(key, Input.STOP, now, Cancelled(key[1], 1, shortened(reason)))

    def anew(self) -> Events:
        """What the last word of the runner's has brought about: an attempt that waited for the end
        of the one before it begins."""
        return self._actions.take_events()

    # -- who is there, and when ----------------------------------------------------------------

    def peer_gone(self, peer: str) -> None:
        """The peer went, or nobody has its address: its outcomes wait for it."""
        if self._jobs.waiting_for(peer):
            self._away.add(peer)

    def peer_here(self, peer: str) -> None:
        """The peer is online, again or still; when it was away, it gets what it missed."""
        if peer in self._away:
            self._away.discard(peer)
            self._send_owed(peer)

    def reconnected(self, slots: int | None = None, but: Collection[str] = ()) -> None:
        """Our own connection is back: tell every caller what it may have missed, and what we still
        have of it; but not those who are told otherwise."""
        self._away.clear()
        for peer in self._jobs.peers:
            if peer not in but:
                self._send_owed(peer)
                self._send(peer, Hello(self.held_for(peer), slots))

    def attach(self, before: str | None, peer: str, hello: Hello) -> None:
        """Give a node of a queue what the node `before` it had of us: first a hello with the
        attempts that we have, then the outcomes of those that have ended."""
        if before is not None and before != peer:
            self._jobs.hand_over(before, peer)
            self._away.discard(before)
            self._actions.queues.discard(before)
        self._actions.queues.add(peer)
        self._away.discard(peer)
        self.greet(peer, hello)
        self._send_owed(peer)

    def greet(self, peer: str, hello: Hello) -> None:
        """Say hello to a node of a queue, with the attempts that we have of it."""
        self._send(peer, structs.replace(hello, held=self._untold(peer)))

    def heartbeat(self, peer: str) -> None:
        """Tell a node of a queue that we still have what we have of it."""
        held = self._untold(peer)
        for begin in range(0, max(1, len(held)), limits.HEARTBEAT):
            self._send(peer, Heartbeat(held[begin : begin + limits.HEARTBEAT]))

    def _untold(self, peer: str) -> list[tuple[str, int]]:
        """The attempts that a node of a queue has no outcome of. It may be on its way for long."""
        return [(job.key[1], job.attempt) for job in self._jobs.waiting_for(peer)]

    def held_for(self, peer: str) -> list[tuple[str, int]]:
        """The unfinished attempts that a peer waits for."""
        jobs = self._jobs.waiting_for(peer)
        return [(job.key[1], job.attempt) for job in jobs if not job.ended]

    def next_timer(self) -> float | None:
        """When `tick()` has something to do, at the earliest."""
        return self._jobs.next_expiry()

    def tick(self, now: float) -> None:
        """Forget what was kept long enough."""
        self._actions.now = now
        for job in self._jobs.expired(now):
            self._actions.feed(job, Input.EXPIRE, "", None)
        if len(self._away) > 2 * len(self._jobs.peers) + 16:
            self._away.intersection_update(self._jobs.peers)

    # -- within --------------------------------------------------------------------------------

    def _about_job(self, peer: str, account: str, frame: Submit | Cancel | Query) -> None:
        key = (account, frame.id)
        job = self._jobs.get(key)
        kind, later = _INPUTS[type(frame)]
        if job is None:
            job = WorkerJob(key)
        elif frame.attempt > job.attempt:
            kind = later
        elif 0 < frame.attempt < job.attempt and kind is not Input.QUERY:
            self._tell(Report(peer, f"attempt {frame.attempt} of job {frame.id} is over"))
            return
        self._actions.feed(job, kind, peer, frame)

    def _runner(self, key: Key, kind: Input, now: float, what: Any = None) -> None:
        job = self._jobs.get(key)
        if job is not None:
            self._actions.now = now
            self._actions.feed(job, kind, "", what)

    def _damaged(self, peer: str, account: str, frame: Damaged) -> None:
        known = self._jobs.get((account, frame.id)) is not None
        if frame.kind in _ABOUT_JOBS and frame.id and not known:
            reason = shortened(f"the submit cannot be read: {frame.reason}")
            self._send(peer, Rejected(frame.id, 0, "protocol", reason))
        if KINDS.get(frame.kind) in TO_WORKER or not frame.known:
            self._tell(Report(peer, f"an unreadable frame `{frame.kind}`: {frame.reason}"))

    def _send_owed(self, peer: str) -> None:
        for job in self._jobs.waiting_for(peer):
            if job.outcome is not None:
                self._send(peer, job.outcome)
