"""The caller's end: jobs go out, one outcome comes back for each.

No I/O and no clock. Frames leave through the function that is handed in, events are returned, and
times are seconds of whatever clock the owner reads. The owner tells what became of each batch
(`answered`, `bounced`, `refused`, `unanswered`), who is online, and calls `tick()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jabot.errors import JabotError, LocalProtocolError, RemoteProtocolError
from jabot.protocol import codec, limits
from jabot.protocol.absences import Absences
from jabot.protocol.caller_actions import ATTACHED, Actions
from jabot.protocol.caller_jobs import CallerJob, Request, input_of
from jabot.protocol.caller_states import Input, Phase
from jabot.protocol.codec import Damaged, Incoming
from jabot.protocol.events import CallerEvent, Report
from jabot.protocol.frames import KINDS, TO_CALLER, Frame, Hello, Query, Submit
from jabot.protocol.window import Leftover

Events = list[CallerEvent]
_OUTCOMES = frozenset({Input.SUCCEEDED, Input.FAILED, Input.CANCELLED})
_BLAMED = frozenset({"rejected", "succeeded", "failed", "cancelled", "part"})


class Caller:
    """See the module. `send(peer, frame)` queues a frame; it must not call back. A worker may be
    away for `grace` seconds before its jobs are lost."""

    def __init__(self, send: Callable[[str, Frame], None], grace: float = 0.5) -> None:
        self._actions = Actions(send)
        self._jobs = self._actions.jobs
        self._timers = self._actions.timers
        self._feed = self._actions.feed
        self._send = self._actions.send
        self._absences = Absences(self._actions, grace)

    def __len__(self) -> int:
        """How many jobs have no outcome yet."""
        return len(self._jobs)

    def in_flight(self, peer: str) -> int:
        """How many jobs a worker has of us, for choosing the least loaded one."""
        return self._jobs.count_at(peer)

    @property
    def peers(self) -> list[str]:
        """Who has jobs of us, or was asked for some."""
        return self._jobs.peers

    # -- what the owner wants ------------------------------------------------------------------

    def submit(self, request: Request, now: float, peer: str | None = None) -> None:
        """Take a job, and give it to a worker at once or with `place()`.

        Raises `TooLarge`; `LocalProtocolError` for an id that is under way, or for what no worker
        would take.
        """
        request.check()
        job = CallerJob(request, request.id)
        self._keep(job, now)
        if peer is not None:
            self._actions.place(job, peer, now)

    def place(self, job_id: str, peer: str, now: float, *, durable: bool = False) -> None:
        """Give a waiting job to a worker, or (`durable`) to a node of a queue. Raises
        `LocalProtocolError` when it does not wait, or when it waits for a node of its queue."""
        job = self._jobs.get(job_id)
        if job is None or not job.waits:
            raise LocalProtocolError(f"job {job_id} waits for no worker")
        if job.in_queue and not durable:
            raise LocalProtocolError(f"job {job_id} may be in the queue {job.queue}")
        self._actions.place(job, peer, now, durable=durable)

    def give_up(self, job_id: str, error: JabotError) -> Events:
        """End a waiting job that there is nobody for."""
        job = self._jobs.get(job_id)
        if job is not None and job.waits:
            self._actions.end(job, error=error)
        return self._actions.take_events()

    def attach(
        self,
        job_id: str,
        peers: Iterable[str],
        now: float,
        timeout: float | None = None,
        *,
        durable: bool = False,
    ) -> None:
        """Ask one or more workers for a job by its id, and be its caller from now on.

        It ends as any other; with `UnknownJob` when none of them knows it. `durable` says that
        there are nodes of a queue among them. Raises
        `LocalProtocolError` for an id that is under way or cannot be one.
        """
        asked = tuple(peers)
        if not asked or not 1 <= len(job_id) <= limits.ID:
            raise LocalProtocolError(f"job {job_id}: nobody can be asked for it")
        job = CallerJob(Request(job_id, ATTACHED, timeout=timeout), job_id, Phase.ASKING, attempt=0)
        job.queue = asked[0].partition("/")[0] if durable else ""
        codec.encode_frame(Query(job_id))
        self._keep(job, now)
        for peer in asked:
            self._jobs.ask(job, peer)
            self._send(peer, Query(job_id))

    def cancel(self, job_id: str, now: float, reason: str = "") -> Events:
        """Stop a job. Its outcome tells whether it was stopped or had ended before."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.reason = job.reason or reason
            self._feed(job, Input.CANCEL, now, job.peer)
        return self._actions.take_events()

    # -- what comes in -------------------------------------------------------------------------

    def received(self, peer: str, frames: Iterable[Incoming], now: float) -> Events:
        """Frames of one batch, joined; those for a worker's end are passed over."""
        for frame in frames:
            if (kind := input_of(frame)) is not None:
                self._about_job(peer, frame, kind, now)
            elif isinstance(frame, Damaged):
                self._damaged(peer, frame, now)
            elif isinstance(frame, Hello):
                self._hello(peer, frame, now)
        self._absences.seen(peer, now)  # after the frames: what they told need not be asked for
        return self._actions.take_events()

    def answered(self, peer: str, frames: Iterable[Frame], now: float) -> Events:
        """The peer has answered a batch: it is responsible for the jobs that it did not reject."""
        for job in self._offered(peer, frames):
            self._feed(job, Input.ANSWERED, now, peer)
        self._absences.seen(peer, now)
        return self._actions.take_events()

    def bounced(self, peer: str, frames: Iterable[Frame], now: float) -> Events:
        """The server says that nobody has this address: the frames reached no one."""
        for job in self._offered(peer, frames):
            self._feed(job, Input.BOUNCED, now, peer)
        self._absences.away(peer, now)
        return self._actions.take_events()

    def refused(self, peer: str, frames: Iterable[Frame], error: JabotError, now: float) -> Events:
        """The peer's answer was an error: it took none of the frames, and never will."""
        for frame in frames:
            if isinstance(frame, Submit | Query):
                job = self._jobs.get(frame.id)
                if job is not None and job.is_with(peer) and job.heeds(peer, frame.attempt):
                    self._actions.end(job, error=error)
        self._absences.seen(peer, now)
        return self._actions.take_events()

    def put_off(self, peer: str, frames: Iterable[Frame], now: float) -> Events:
        """The peer took none of the frames, and wants them later. The window sends again what
        `wants()` says."""
        for job in self._offered(peer, frames):
            self._feed(job, Input.PUT_OFF, now, peer)
        self._absences.seen(peer, now)
        return self._actions.take_events()

    def unanswered(self, peer: str, frames: Iterable[Frame]) -> None:
        """No answer came in time; the window sends again what `wants()` says."""
        for job in self._offered(peer, frames):
            job.doubtful = True
            if job.queue and job.phase is not Phase.OFFERED:  # then it does not go again
                self._actions.copy_is_gone(job, peer)

    def wants(self, peer: str, frame: Frame) -> bool:
        """Whether a frame of ours is still worth sending to that peer."""
        if not isinstance(frame, Submit | Query):
            return True
        job = self._jobs.get(frame.id)
        if job is None or not job.is_with(peer) or not job.heeds(peer, frame.attempt):
            return False
        if isinstance(frame, Query):
            return job.phase in (Phase.ACCEPTED, Phase.ASKING)
        return job.phase is Phase.OFFERED and job.attempt == frame.attempt

    # -- who is there, and when ----------------------------------------------------------------

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> Events:
        """The peer's presence went; `leftover` is what its window still had.

        Its jobs have the grace to be heard of again. What was never sent may move at once.
        """
        self._never_answered(peer, leftover)
        for job in self._offered(peer, leftover.unsent):
            self._feed(job, Input.BOUNCED, now, peer)
        self._absences.away(peer, now)
        return self._actions.take_events()

    def node_gone(self, peer: str, now: float) -> Events:
        """A node of a queue went, which may have ended jobs that another one took, and died before
        it could tell us."""
        self._ask_others(peer, now)
        return self._actions.take_events()

    def peer_here(self, peer: str, now: float) -> Events:
        """The peer's presence came: it is online, again or still."""
        self._absences.seen(peer, now, shown=True)
        return self._actions.take_events()

    def connection_lost(self, leftovers: Mapping[str, Leftover]) -> None:
        """Our own connection went; nothing is lost by that alone."""
        self._actions.online = False
        for peer, leftover in leftovers.items():
            self._never_answered(peer, leftover)
            for job in self._offered(peer, leftover.unsent):
                job.copies -= 1
        self._absences.connection_lost()

    def reconnected(self, now: float) -> Events:
        """Say everything again that may not have been heard, and ask for the rest."""
        self._actions.online = True
        self._absences.reconnected(now)
        return self._actions.take_events()

    def next_timer(self) -> float | None:
        """When `tick()` has something to do, at the earliest."""
        return self._timers.next()

    def tick(self, now: float) -> Events:
        """Do what is due."""
        for kind, name in self._timers.due(now):
            if kind == "peer":
                self._absences.due(name, now)
            elif (job_or_none := self._jobs.get(name)) is not None:
                due = Input.TIMEOUT if kind == "timeout" else Input.DUE
                self._feed(job_or_none, due, now, job_or_none.peer)
        return self._actions.take_events()

    # -- within --------------------------------------------------------------------------------

    def _keep(self, job: CallerJob, now: float) -> None:
        if self._jobs.get(job.id) is not None:
            raise LocalProtocolError(f"job {job.id} is under way already")
        self._jobs.add(job)
        if job.request.timeout is not None:
            job.deadline = now + job.request.timeout
            self._timers.set(("timeout", job.id), job.deadline)

    def _offered(self, peer: str, frames: Iterable[Frame]) -> list[CallerJob]:
        """The jobs that these frames offer to the peer, unless something came of them already."""
        jobs = []
        for frame in frames:
            if isinstance(frame, Submit):
                job = self._jobs.get(frame.id)
                if job is None or job.peer != peer:
                    continue
                if job.queue or job.attempt == frame.attempt:
                    jobs.append(job)
        return jobs

    def _never_answered(self, peer: str, leftover: Leftover) -> None:
        for job in self._offered(peer, leftover.unanswered):
            job.doubtful = True
            job.copies -= 1
            job.calls += 1  # a cancel that was said before it may have come before it, too

    def _about_job(self, peer: str, frame: Any, kind: Input, now: float) -> None:
        job_id, attempt = frame.id, frame.attempt  # all frames that have an Input have them
        job = self._jobs.get(job_id)
        if job is None:
            return  # it has its outcome
        if not job.heeds(peer, attempt):
            self._report(peer, f"a frame about job {job_id}, attempt {attempt}, which is not its")
            return
        if (job.queue or kind is Input.UNKNOWN) and _is_late(job, peer, kind, attempt):
            return
        if attempt > job.attempt:
            job.attempt, job.seq = attempt, 0
        self._feed(job, kind, now, peer, frame)

    def _damaged(self, peer: str, frame: Damaged, now: float) -> None:
        job = self._jobs.get(frame.id) if frame.kind in _BLAMED else None
        if job is not None and job.heeds(peer, 0):
            job.error = RemoteProtocolError(f"{peer} sent an unreadable frame: {frame.reason}")
            self._feed(job, Input.UNREADABLE, now, peer)
        elif KINDS.get(frame.kind) in TO_CALLER or not frame.known:
            self._report(peer, f"an unreadable frame `{frame.kind}`: {frame.reason}")

    def _hello(self, peer: str, frame: Hello, now: float) -> None:
        held = {job_id for job_id, _ in frame.held}
        for job in self._jobs.at(peer):
            if job.phase is Phase.ACCEPTED and job.id not in held:
                self._feed(job, Input.BACK, now, peer)
        self._ask_others(peer, now)

    def _ask_others(self, peer: str, now: float) -> None:
        """Ask all other nodes of a queue for what they have of us: one of its nodes cannot tell any
        more whether it has told us all."""
        queue = peer.partition("/")[0]
        for job in self._jobs:
            if job.queue == queue and job.peer not in (None, peer) and job.phase is Phase.ACCEPTED:
                self._feed(job, Input.BACK, now, job.peer)

    def _report(self, peer: str, text: str) -> None:
        self._actions.tell(Report(peer, text))


def _is_late(job: CallerJob, peer: str, kind: Input, attempt: int) -> bool:
    """Whether what is said of a job was meant for another moment of it."""
    if job.phase is Phase.ASKING:
        return False
    if not job.queue:  # it did not know the job when it was asked, and has got to know it since
        return kind is Input.UNKNOWN and not attempt
    if kind is Input.PROGRESS:
        return attempt < job.attempt
    if job.phase is Phase.CANCELLING and kind is Input.UNKNOWN and 0 < attempt < job.calls:
        return True  # it answers an earlier cancel
    # An outcome comes from any node of the queue, all else from the one that was asked.
    return kind not in _OUTCOMES and peer != job.peer
