"""The caller's end, live: handles for its jobs, over a link, to nodes that the directory finds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jabot.alarm import Alarm
from jabot.calls.descriptions import Descriptions
from jabot.calls.directory import Directory
from jabot.calls.job import Job
from jabot.calls.options import Call, Options
from jabot.calls.placing import Placing
from jabot.errors import (
    ConfigError,
    ConnectionFailed,
    JabotError,
    JobCancelled,
    JobTimeout,
    NotAllowed,
    QueueNeeded,
    TaskFailed,
    UnknownJob,
    WorkerLost,
)
from jabot.middleware import Middleware, Submission, tell
from jabot.peers import Peer, Peers
from jabot.protocol import Caller, Leftover
from jabot.protocol.caller import Events
from jabot.protocol.codec import Incoming
from jabot.protocol.events import (
    CallerEvent,
    JobAccepted,
    JobEnded,
    JobNeedsWorker,
    JobStepped,
    Report,
)
from jabot.protocol.frames import Frame
from jabot.protocol.options import needs_queue
from jabot.runner.job import JobIds
from jabot.tasks import Step
from jabot.xmpp import IncomingPresence, Link, Session
from jabot.xmpp.end import End

log = logging.getLogger(__name__)

# What a job can come to although somebody took it. All else ended it before that.
_OUTCOMES = (TaskFailed, JobCancelled, WorkerLost)


class Calls(End):
    """All jobs that a program gave to others: an `End` of the link."""

    def __init__(self, session: Session, link: Link, middleware: Sequence[Middleware] = ()) -> None:
        self._link = link
        self._middleware = tuple(middleware)
        self._loop = asyncio.get_running_loop()
        self._caller = Caller(link.push)
        self._ids = JobIds()
        self._jobs: dict[str, tuple[Job[Any], Options, Submission | None]] = {}
        self._alarm = Alarm(self._tick)
        self.closed: JabotError | None = None
        """Why there will be no connection any more."""
        self._is_online = asyncio.Event()
        # Called after each presence; with None when the connection comes or goes, and when a node
        # is found to be gone without one.
        self.watchers: list[Callable[[IncomingPresence | None], object]] = []
        self.peers = Peers(self._caller.in_flight)
        self.directory = Directory(
            session, self.peers, lambda address: self._placing.news(address), self._is_busy
        )
        self._placing = Placing(self.peers, self.directory, self._place, self._give_up)
        link.ends.append(self)
        self.descriptions = Descriptions(link, self._somebody)

    def __len__(self) -> int:
        """How many jobs have no outcome yet."""
        return len(self._jobs)

    # -- what users call, through `Calling` ---------------------------------------------------

    async def submit(self, call: Call, options: Options) -> Job[Any]:
        """Give a job away, and wait until somebody is responsible for it.

        Raises what kept it from that: `NobodyThere`, `NotAllowed`, `BadArguments` and so on.
        """
        job = await self.begin(call, options)
        try:
            await job.taken()
        except asyncio.CancelledError:
            job.cancel("its submitter gave up")
            raise
        if job.error is not None and job.attempt == 0 and not isinstance(job.error, _OUTCOMES):
            raise job.error
        return job

    async def begin(self, call: Call, options: Options) -> Job[Any]:
        """Give a job away. Waits only while too much waits for its node already."""
        begun = self._loop.time()
        if self.closed is not None or not self._is_online.is_set():
            await self._in_time(self.ready(), call.task, begun, options)
        job: Job[Any] = Job(
            self._ids.new(),
            call.task,
            options.to,
            result_type=call.result_type,
            cancel=self._cancel,
        )
        submission = self._announced(job) if self._middleware else None
        try:
            peer = self._placing.choose(call.task, options)
            if peer is not None and self._link.is_full(peer):
                await self._in_time(self._room(peer), call.task, begun, options)
                peer = self._placing.choose(call.task, options)
            meta = None if submission is None else submission.meta
            request = options.request(job.id, call, meta)
            self._caller.submit(request, begun)  # from then on its time runs
            self._jobs[job.id] = (job, options, submission)
            if peer is None:
                self._placing.wait(job.id, call.task, options)
            else:
                self._place(job.id, peer)
        except BaseException as error:
            self._concluded(submission, error)
            raise
        if options.timeout is not None:
            self._alarm.set(self._caller.next_timer())
        return job

    async def attach(self, job_id: str, options: Options) -> Job[Any]:
        """Ask for a job by its id. Raises `NobodyThere` or `UnknownJob`.

        Whoever asks for one that this program has, or asks for already, gets the same handle, and
        waits for the same answer.
        """
        peers = [] if job_id in self._jobs else await self._somebody(options.to)
        if job_id in self._jobs:  # perhaps since it was looked for
            job = self._jobs[job_id][0]
        else:
            job = Job(job_id, "job", options.to, cancel=self._cancel)
            self._caller.attach(
                job_id,
                [peer.jid for peer in peers],
                self._loop.time(),
                options.timeout,
                durable=any(peer.queue for peer in peers),
            )
            self._jobs[job_id] = (job, options, None)
            self._alarm.set(self._caller.next_timer())
        await job.taken()
        if isinstance(job.error, UnknownJob):
            raise job.error
        return job

    async def nodes(self, address: str) -> list[Peer]:
        """Who is online at an address. Raises `NotAllowed` when whoever is allows us nothing."""
        await self.ready()
        peers = await self.directory.settled(address)
        if not peers and isinstance(refusal := self.directory.nobody(address), NotAllowed):
            raise refusal
        return sorted(peers, key=lambda peer: peer.jid)

    async def ready(self) -> None:
        """Wait for a connection. Raises `ConnectionFailed` when there will be none any more."""
        if self.closed is None and not self._is_online.is_set():
            await self._is_online.wait()
        if self.closed is not None:
            raise self.closed

    def presence_received(self, stanza: IncomingPresence) -> None:
        """Somebody's presence."""
        jid = str(stanza.sender)
        before = self.peers.get(jid)
        self.directory.received(stanza)
        if before is not None and before.queue and jid not in self.peers:
            self._handle(self._caller.node_gone(jid, self._loop.time()))
        self._tell_watchers(stanza)

    @property
    def is_online(self) -> bool:
        """Whether there is a connection now."""
        return self.closed is None and self._is_online.is_set()

    def close(self, error: JabotError) -> None:
        """Nothing more will be heard: what has no outcome fails with `error`."""
        if self.closed is not None:
            return
        self.closed = error
        self._is_online.set()
        self._alarm.cancel()
        self._placing.close()
        self.directory.close()
        for job, _, submission in list(self._jobs.values()):
            job.ended(None, error)
            self._concluded(submission, error)
        self._jobs.clear()
        self._tell_watchers()
        self.descriptions.close(error)

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return peer in self.peers or self._caller.in_flight(peer) > 0

    def received(self, peer: str, account: str, frames: Sequence[Incoming], now: float) -> None:
        self._handle(self._caller.received(peer, frames, now))

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._handle(self._caller.answered(peer, frames, now))

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        if self.peers.gone(peer):
            self._placing.news(peer.partition("/")[0])
            self._tell_watchers()
        self._handle(self._caller.bounced(peer, frames, now))

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        self._handle(self._caller.refused(peer, frames, error, now))

    def put_off(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._handle(self._caller.put_off(peer, frames, now))

    def unanswered(self, peer: str, frames: Sequence[Frame]) -> None:
        self._caller.unanswered(peer, frames)

    def wants(self, peer: str, frame: Frame) -> bool:
        return self._caller.wants(peer, frame)

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self._handle(self._caller.peer_gone(peer, leftover, now))

    def peer_here(self, peer: str, now: float) -> None:
        self._handle(self._caller.peer_here(peer, now))

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        if self.closed is None:
            self._is_online.clear()
        self._caller.connection_lost(leftovers)
        self.directory.offline()
        self._tell_watchers()

    def online(self, now: float) -> None:
        self._is_online.set()
        self.directory.online()
        self._handle(self._caller.reconnected(now))
        self._tell_watchers()

    # -- within -------------------------------------------------------------------------------

    def _tell_watchers(self, stanza: IncomingPresence | None = None) -> None:
        for watcher in self.watchers:
            watcher(stanza)

    async def _room(self, peer: str) -> None:
        await self._link.wait_for_room(peer)
        await self.ready()  # it may have been the end of the connection that woke us

    async def _in_time(
        self, waiting: Awaitable[None], task: str, begun: float, options: Options
    ) -> None:
        """Wait, but no longer than the job's time."""
        until = None if options.timeout is None else begun + options.timeout
        try:
            async with asyncio.timeout_at(until):
                await waiting
        except TimeoutError:
            raise JobTimeout(f"{task} was not sent within {options.timeout:g} s") from None

    async def _somebody(self, address: str, **how: float) -> list[Peer]:
        await self.ready()
        peers = await self.directory.settled(address, **how)
        await self.ready()
        if not peers:
            raise self.directory.nobody(address)
        return peers

    def _announced(self, job: Job[Any]) -> Submission:
        submission = Submission(job.id, job.task, job.to)
        tell(self._middleware, job.id, lambda layer: layer.before_submit(submission))
        return submission

    def _cancel(self, job_id: str, reason: str) -> None:
        self._handle(self._caller.cancel(job_id, self._loop.time(), reason))

    def _place(self, job_id: str, peer: str) -> None:
        there = self.peers.get(peer)
        durable = there is not None and there.queue
        job, options, _ = self._jobs[job_id]
        if durable and options.not_for_queue:
            self._give_up(job_id, ConfigError(options.not_for_queue))
        elif there is not None and not durable and options.asks_queue:
            self._give_up(job_id, QueueNeeded(needs_queue(job.task, options.for_any)))
        else:
            self._caller.place(job_id, peer, self._loop.time(), durable=durable)

    def _move(self, event: JobNeedsWorker) -> None:
        job, options, submission = self._jobs[event.id]
        if event.queue and options.to != event.queue:  # any node of it will do
            options = replace(options, to=event.queue)
            self._jobs[event.id] = job, options, submission
        self._placing.move(event, options)

    def _give_up(self, job_id: str, error: JabotError) -> None:
        self._handle(self._caller.give_up(job_id, error))

    def _is_busy(self, address: str) -> bool:
        """Whether jobs wait for somebody at an address, or are with one: who may be away now."""
        with_jobs = self._caller.peers
        return self._placing.waits_at(address) or any(
            address in (peer, peer.partition("/")[0]) for peer in with_jobs
        )

    def _tick(self) -> None:
        self._handle(self._caller.tick(self._loop.time()))

    def _handle(self, events: Events) -> None:
        if self.closed is not None:
            return  # all handles have failed
        for event in events:
            try:
                self._heed(event)
            except Exception:  # the jobs behind it are not to suffer
                log.exception("%r could not be handled", event)
        self._alarm.set(self._caller.next_timer())

    def _heed(self, event: CallerEvent) -> None:
        match event:
            case JobEnded():
                job, options, submission = self._jobs.pop(event.id)
                self._placing.forget(event.id, options.to)
                job.ended(event.result, event.error)
                if submission is not None:  # else nobody looks at the error: it stays unseen
                    self._concluded(submission, job.error)
            case JobAccepted():
                if event.id in self._jobs:  # not ended by the callback of one before it
                    self._jobs[event.id][0].was_taken(event.peer, event.attempt)
            case JobStepped():
                if event.id in self._jobs:
                    step = Step(event.done, event.total, event.text)
                    self._jobs[event.id][0].stepped(step)
            case JobNeedsWorker():
                if event.id in self._jobs:  # not cancelled by the callback of one before it
                    self._move(event)
            case Report():
                self._link.complain(event.peer, event.text)

    def _concluded(self, submission: Submission | None, error: BaseException | None) -> None:
        if submission is not None:
            layers = reversed(self._middleware)
            tell(layers, submission.id, lambda layer: layer.after_result(submission, error))


def closed(what: str) -> ConnectionFailed:
    """The error of a job whose caller left before the outcome came."""
    return ConnectionFailed(f"{what} was closed; its jobs go on, and can be asked for by their ids")
