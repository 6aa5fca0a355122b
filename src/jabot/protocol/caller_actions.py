"""What a caller does in each cell of its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from jabot.errors import (
    JabotError,
    JobCancelled,
    JobTimeout,
    NobodyThere,
    TooManyJobs,
    UnknownJob,
    WorkerLost,
)
from jabot.moments import Timers
from jabot.protocol.caller_jobs import CallerJob, CallerJobs
from jabot.protocol.caller_states import TABLE, Do, Input, Phase
from jabot.protocol.events import (
    CallerEvent,
    JobAccepted,
    JobEnded,
    JobNeedsWorker,
    JobStepped,
    Report,
)
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Frame,
    Progress,
    Query,
    Rejected,
    Succeeded,
    detached,
)
from jabot.protocol.refusals import TRANSIENT, failure, refusal, shortened

ATTACHED = "?"  # the task of a job that was asked for by its id
Action = Callable[[CallerJob, str, Any], Phase | None]
"""Gets the job, the worker that it is about, and its frame if there is one; gives the phase when it
is another than the table says."""


class Actions:
    """Runs the table. `send` queues a frame for a peer."""

    def __init__(self, send: Callable[[str, Frame], None]) -> None:
        self.jobs = CallerJobs()
        self.timers: Timers[tuple[str, str]] = Timers()
        self.online = True
        self._out = send
        self._events: list[CallerEvent] = []
        self._now = 0.0
        self._actions: dict[Do, Action] = {do: getattr(self, f"_{do.name.lower()}") for do in Do}

    def feed(
        self,
        job: CallerJob,
        kind: Input,
        now: float,
        peer: str | None = None,
        frame: Frame | None = None,
    ) -> None:
        """Do what the table says about an input."""
        step = TABLE[job.phase].get(kind)
        if step is None:
            return
        self._now = now
        job.phase = self._actions[step.do](job, peer or "", frame) or step.to

    def tell(self, event: CallerEvent) -> None:
        """Add an event to those that the owner gets."""
        self._events.append(event)

    def take_events(self) -> list[CallerEvent]:
        """All events since the last time."""
        events, self._events = self._events, []
        return events

    def send(self, peer: str, frame: Frame) -> None:
        """Queue a frame. Without a connection most need not be: they are made anew after it."""
        if self.online or isinstance(frame, Cancel):
            self._out(peer, frame)

    def place(self, job: CallerJob, peer: str, now: float, *, durable: bool = False) -> None:
        """Offer a waiting job to a worker, or to a node of a queue."""
        self._now = now
        if durable:
            self._place_in_queue(job, peer)
            return
        if job.attempt > 1:
            self.timers.cancel(("due", job.id))
        self.jobs.give(job, peer)
        job.queue, job.since = "", None
        job.phase, job.copies, job.doubtful, job.seq = Phase.OFFERED, 0, False, 0
        self._offer(job, peer, None)

    def _place_in_queue(self, job: CallerJob, peer: str) -> None:
        """What the queue has is asked for, or called off; what it may have is offered again."""
        self.timers.cancel(("due", job.id))
        if not job.in_queue:
            job.attempt, job.seq = min(job.attempt, 1), 0  # from here on the queue counts
        job.queue, job.copies = peer.partition("/")[0], 0
        if job.request.task == ATTACHED and job.phase is Phase.WAITING and not job.kept:
            job.phase = Phase.ASKING
            self.jobs.ask(job, peer)
            self._ask(job, peer, None)
            return
        self.jobs.give(job, peer)
        if job.phase is Phase.CANCELLING:
            self._call_off(job, peer, None)
        elif job.kept:
            job.phase = Phase.ACCEPTED
            self._ask(job, peer, None)
        else:
            job.phase = Phase.OFFERED
            self._offer(job, peer, None)

    def copy_is_gone(self, job: CallerJob, peer: str) -> None:
        """No answer will ever come to a submit, for there is something newer to say to the queue:
        the node that did not answer may not know who wants to hear of the job."""
        if job.phase is Phase.CANCELLING:
            self._repeat(job, peer, None)
        elif job.phase is Phase.ACCEPTED:
            self._ask(job, peer, None)

    def end(
        self, job: CallerJob, *, result: Raw | None = None, error: JabotError | None = None
    ) -> Phase:
        """The one outcome."""
        if job.deadline is not None:
            self.timers.cancel(("timeout", job.id))
        if job.phase is Phase.WAITING:
            self.timers.cancel(("due", job.id))
        job.phase = Phase.ENDED
        self.jobs.remove(job)
        self.tell(JobEnded(job.id, result, error))
        return Phase.ENDED

    # -- the cells -----------------------------------------------------------------------------

    def _take(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        if job.queue:
            job.kept, job.since, job.avoid, job.copies = True, None, frozenset(), 0
        self.tell(JobAccepted(job.id, peer, job.attempt))

    def _adopt(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        if job.peer != peer:
            self.jobs.give(job, peer)
        self._take(job, peer, frame)

    def _was_taken(self, job: CallerJob, peer: str) -> None:
        """A quick job's outcome comes before the word that it was accepted, and says so as well."""
        if job.phase in (Phase.OFFERED, Phase.ASKING):
            self._adopt(job, peer, None)

    def _step(self, job: CallerJob, peer: str, frame: Progress) -> None:
        if frame.seq > job.seq:
            job.seq = frame.seq
            self.tell(JobStepped(job.id, frame.done, frame.total, frame.text))

    def _adopt_step(self, job: CallerJob, peer: str, frame: Progress) -> Phase | None:
        if job.phase is Phase.OFFERED and job.peer != peer:
            self._step(job, peer, frame)  # another node of the queue, which may be gone by now
            return Phase.OFFERED
        self._adopt(job, peer, frame)
        self._step(job, peer, frame)
        return None

    def _succeed(self, job: CallerJob, peer: str, frame: Succeeded) -> Phase:
        self._was_taken(job, peer)
        return self.end(job, result=detached(frame.result))

    def _fail(self, job: CallerJob, peer: str, frame: Failed) -> Phase:
        self._was_taken(job, peer)
        error = failure(frame)
        if job.phase is Phase.CANCELLING or job.queue:
            return self.end(job, error=error)
        return self._retry_or_end(job, peer, error)

    def _refuse(self, job: CallerJob, peer: str, frame: Rejected) -> Phase:
        error = refusal(frame)
        if frame.code not in TRANSIENT or (job.queue and isinstance(error, TooManyJobs)):
            return self.end(job, error=error)  # all nodes of a queue count the same jobs
        job.copies = max(0, job.copies - 1)
        if job.kept:  # as one of its nodes had said; another submit, or a query, tells for sure
            job.kept, job.doubtful = False, True
        if job.phase is Phase.CANCELLING and job.in_queue:
            return Phase.CANCELLING  # the cancel has an answer of its own
        if job.phase in (Phase.CANCELLING, Phase.ASKING) or not self._may_move(job):
            return self.end(job, error=error)
        return self._elsewhere(job, peer, error)

    def _stop(self, job: CallerJob, peer: str, frame: Cancelled | None) -> Phase:
        if frame is not None:
            self._was_taken(job, peer)
        reason = job.reason or (frame.reason if isinstance(frame, Cancelled) else "")
        why = f": {reason}" if reason else ""
        text = f"{job.request.task} {job.id} was cancelled{why}"
        return self.end(job, error=JobCancelled(text))

    def _lose(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        if job.never_arrived:
            error = NobodyThere(f"{peer} is not online; {job.request.task} {job.id} was not sent")
            if job.request.movable:
                return self._elsewhere(job, peer, error)
            return self.end(job, error=error)
        if job.queue:
            return self._elsewhere(job, peer, self._left_by(job, peer))
        error_lost = WorkerLost(f"{peer} vanished with {job.request.task} {job.id}")
        return self._retry_or_end(job, peer, error_lost)

    def _miss(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        if not job.queue:
            return self._lose(job, peer, frame)
        if job.request.task == ATTACHED:
            return self.end(job, error=UnknownJob(f"{peer} does not know job {job.id} any more"))
        job.kept, job.doubtful, job.copies = False, False, 0
        self._offer(job, peer, frame)
        return Phase.OFFERED

    def _chase(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        if not job.queue or not (job.copies or job.in_queue):
            return self._stop(job, peer, None)
        self._elsewhere(job, peer, self._left_by(job, peer))
        return Phase.CANCELLING

    def _recall(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        return Phase.CANCELLING if job.in_queue else self._stop(job, peer, None)

    def _move(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase | None:
        job.copies -= 1
        if not self._may_move(job) or not (job.queue or job.never_arrived):
            return None
        return self._elsewhere(job, peer, NobodyThere(f"{peer} is not online"))

    def _spare(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase | None:
        if not self._may_move(job) or (not job.queue and (job.copies > 1 or job.doubtful)):
            return None  # the copy that came back goes there again
        return self._elsewhere(job, peer, NobodyThere(f"{peer} takes nothing just now"))

    def _blame(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        return self.end(job, error=job.error)

    def _dismiss(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase | None:
        self.jobs.dismiss(job, peer)
        if job.asked:
            return None
        if frame is None and job.queue:
            job.doubtful = True
            return self._wait(job, self._left_by(job, peer), 0.0)
        text = f"nobody who was asked knows job {job.id} (any more)"
        return self.end(job, error=UnknownJob(text))

    def _seek(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        error = job.error or NobodyThere(f"{job.request.task} {job.id} has no worker")
        queue = job.queue if job.in_queue else ""
        self.tell(
            JobNeedsWorker(
                job.id,
                job.request.task,
                job.attempt,
                job.avoid,
                error,
                queue,
                job.kept,
                job.since,
            )
        )

    def _offer(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        if self.online:
            job.copies += 1
            job.offered = self._now
            self._out(peer, job.submit(self._now))

    def _ask(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        self.send(peer, Query(job.id, job.attempt))

    def _call_off(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        attempt = job.attempt
        if job.queue:  # which does not look at the number, but says it again
            attempt = job.calls = max(job.calls, attempt) + 1
        self.send(peer, Cancel(job.id, attempt, shortened(job.reason)))

    def _insist(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        job.kept = bool(job.queue)
        self._repeat(job, peer, frame)

    def _repeat(self, job: CallerJob, peer: str, frame: Frame | None) -> None:
        job.copies -= 1
        if job.queue:
            self._call_off(job, peer, None)

    def _confirm(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        if job.queue and job.copies > 0 and not job.kept:
            return Phase.CANCELLING
        return self._stop(job, peer, None)

    def _quit(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        for asked in sorted(job.asked):
            self._call_off(job, asked, None)
        return self._stop(job, peer, None)

    def _expire(self, job: CallerJob, peer: str, frame: Frame | None) -> Phase:
        if job.phase in (Phase.OFFERED, Phase.ACCEPTED):
            job.reason = "its time is over"
            self._call_off(job, peer, None)
        text = f"{job.request.task} {job.id} has no outcome after {job.request.timeout:g} s"
        return self.end(job, error=JobTimeout(text))

    # -- to another worker ---------------------------------------------------------------------

    @staticmethod
    def _may_move(job: CallerJob) -> bool:
        return job.request.movable or job.in_queue

    @staticmethod
    def _left_by(job: CallerJob, peer: str) -> NobodyThere:
        name = f"job {job.id}" if job.request.task == ATTACHED else f"{job.request.task} {job.id}"
        return NobodyThere(
            f"{peer}, a node of the queue, vanished, and no other one has said what it knows of "
            f"{name}: it may run all the same"
        )

    def _elsewhere(self, job: CallerJob, peer: str, error: JabotError) -> Phase:
        """Nothing was run, so this is no retry."""
        job.avoid |= {peer}
        return self._wait(job, error, 0.0)

    def _retry_or_end(self, job: CallerJob, peer: str, error: JabotError) -> Phase:
        job.runs += 1
        try:
            delay = job.request.retry(job.runs, error)
        except Exception as problem:  # it is the user's, and other jobs must not suffer
            self.tell(Report(peer, f"the retry policy of job {job.id} raised {problem!r}"))
            delay = None
        if delay is None:
            return self.end(job, error=error)
        job.avoid = frozenset({peer})
        return self._wait(job, error, delay)

    def _wait(self, job: CallerJob, error: JabotError, delay: float) -> Phase:
        self.jobs.leave(job)
        if job.queue:
            job.doubtful = job.doubtful or job.copies > 0
            job.since = self._now if job.since is None else job.since
        if not job.in_queue:
            # Also where nothing was run: what is late of this offer must be no word about the next.
            job.attempt += 1
            job.seq = 0
        job.error = error
        if delay > 0:
            self.timers.set(("due", job.id), self._now + delay)
        else:
            self._seek(job, "", None)
        return Phase.WAITING
