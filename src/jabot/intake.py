"""The door for programs: frames in, jobs at the desk, outcomes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from jabot.alarm import Alarm
from jabot.errors import (
    BadArguments,
    Draining,
    JabotError,
    JobCancelled,
    JobTimeout,
    NotAllowed,
    QueueNeeded,
    RemoteProtocolError,
    TaskFailed,
    UnknownTask,
)
from jabot.jid import JID, InvalidJID
from jabot.protocol import Leftover, Worker, WorkerSettings
from jabot.protocol.codec import Incoming
from jabot.protocol.events import (
    CancelJob,
    Key,
    Report,
    StartJob,
    WorkerEvent,
)
from jabot.protocol.frames import NO_KWARGS, Describe, Description, Frame, Hello, Query, Submit
from jabot.protocol.options import needs_queue
from jabot.protocol.worker import Events
from jabot.runner import Desk, Job, Options
from jabot.tasks import Arguments, Signature, Step
from jabot.tasks.description import describe, version_of
from jabot.tasks.registry import close_match
from jabot.tasks.result import encode_result
from jabot.xmpp import Link
from jabot.xmpp.end import End

log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder()
_NO_KWARGS: Final = len(NO_KWARGS)
_ABOUT_JOBS: Final = (Submit, Query)

_REMEMBERED = 1000  # addresses of callers


class Intake(End):
    """Takes jobs from other programs: an `End` of the link.

    `jobs_per_caller` bounds how many jobs of one account are known here that have not ended, or
    whose outcome it has not had. A queue that it works for keeps to the slots instead.
    """

    def __init__(self, desk: Desk, link: Link, jobs_per_caller: int) -> None:
        self._desk = desk
        self._link = link
        self._loop = asyncio.get_running_loop()
        self.worker = Worker(link.push, WorkerSettings(jobs_per_account=jobs_per_caller))
        self._jobs: dict[Key, Job] = {}
        self._alarm = Alarm(self._tick)
        self._nodes: dict[str, str] = {}  # by queue, the node of it that gives us jobs
        self._queues: dict[str, JID] = {}  # by such a node, its queue
        self._callers: dict[str, JID] = {}  # reading an address takes longer than looking it up
        self._version = version_of(desk.tasks)
        # Encoded once: whoever asks a thousand times is not to cost a second of the loop.
        described = describe(desk.tasks).items()
        self._descriptions = {name: Raw(msgspec.json.encode(text)) for name, text in described}
        link.ends.append(self)

    @property
    def version(self) -> str:
        """A word that changes when the description of any task does."""
        return self._version

    def drain(self) -> None:
        """Take no more, and hand back what has not begun: others may be free to do it."""
        self.worker.draining = True
        for job in list(self._jobs.values()):
            self._desk.runner.release(job)

    def close(self) -> None:
        """Stop the timers."""
        self._alarm.cancel()

    # -- queues: see `employment.py` ----------------------------------------------------------

    def work_with(self, queue: str, node: str, hello: Hello) -> None:
        """Take the jobs of a queue from this node of it, and from no other one. It hears of what
        the node before it gave us."""
        before = self._nodes.get(queue)
        if before is not None:
            del self._queues[before]
        self._nodes[queue], self._queues[node] = node, JID(queue)
        self.worker.attach(before, node, hello)

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return self._desk.knows(self._caller(peer))

    def received(self, peer: str, account: str, frames: Sequence[Incoming], now: float) -> None:
        for frame in frames:
            if isinstance(frame, _ABOUT_JOBS):
                self._note_start((account, frame.id), now)
            elif isinstance(frame, Describe):
                self._answer(peer, frame)
        self._handle(self.worker.received(peer, account, frames, now), now)

    def _note_start(self, key: Key, now: float) -> None:
        """Somebody asks how a job is. Nobody wants to know of each one that it has begun."""
        job = self._jobs.get(key)
        if job is not None and job.started is not None:
            self.worker.started(key, now)

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self.worker.answered(peer, frames, now)

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self.worker.peer_gone(peer)

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        self._handle(self.worker.refused(peer, frames, error, now), now)

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self.worker.peer_gone(peer)

    def peer_here(self, peer: str, now: float) -> None:
        self.worker.peer_here(peer)

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        """What was not answered is said again when the connection is back; to a queue's node after
        a hello."""
        for node in self._queues:
            self.worker.peer_gone(node)

    def online(self, now: float) -> None:
        self.worker.reconnected(self._desk.runner.concurrency, but=self._queues)

    # -- jobs ---------------------------------------------------------------------------------

    def _handle(self, events: Events, now: float) -> None:
        for event in events:
            try:
                self._heed(event, now)
            except Exception:  # the others of the batch are not to suffer
                log.exception("%r could not be handled", event)

    def _heed(self, event: WorkerEvent, now: float) -> None:
        match event:
            case StartJob():
                self._start(event, now)
            case CancelJob():
                job = self._jobs.get(event.key)
                if job is not None:
                    self._desk.runner.cancel(job, event.reason)
            case Report():
                self._link.complain(event.peer, event.text)

    def _start(self, event: StartJob, now: float) -> None:
        key, submit = event.key, event.submit
        try:
            job = self._ask_desk(event.peer, submit)
        except JabotError as error:
            log.info("refused %s to %s: %s", submit.task, event.peer, error)
            self.worker.reject(key, error, now)
            return
        except Exception:
            log.exception("%s of %s could not be taken", submit.task, event.peer)
            self.worker.reject(key, BadArguments("these arguments cannot be handled"), now)
            return
        self._jobs[key] = job
        job.on_progress(lambda step: self._stepped(key, step))
        job.completion(self._ended)

    def _ask_desk(self, peer: str, submit: Submit) -> Job:
        caller = self._caller(peer)
        if bytes(submit.options) != b"null":
            raise QueueNeeded(needs_queue(submit.task, bytes(submit.options)))
        task = self._desk.find(submit.task)
        if task is None:
            raise UnknownTask(self._no_such_task(caller, submit.task))
        queue = self._queues.get(peer)
        if queue is not None:
            caller, options = self._from_queue(queue, submit)
        elif submit.caller:
            raise self._no_queue(caller)
        else:
            options = Options(submit.id, submit.attempt, submit.timeout, submit.meta)
        return self._desk.start(task, caller, lambda signature: _bind(signature, submit), options)

    def _from_queue(self, queue: JID, submit: Submit) -> tuple[JID, Options]:
        """Who asked first, and what the queue says of the job."""
        parents = bytes(submit.parents)
        if not parents.startswith((b"[", b"null")):
            raise RemoteProtocolError("parents: an array or null")
        try:
            caller = self._caller(submit.caller) if submit.caller else queue
        except InvalidJID as error:
            raise RemoteProtocolError(f"caller: no address ({error})") from None
        options = Options(submit.id, submit.attempt, submit.timeout, submit.meta, queue, parents)
        return caller, options

    def _no_queue(self, peer: JID) -> JabotError:
        """Why a peer may not speak for another caller."""
        node = self._nodes.get(peer.bare)
        if node is None:
            return NotAllowed("only a queue that this node works for may speak for others")
        return Draining(f"I work with another node of the queue now, {node}")

    def _caller(self, peer: str) -> JID:
        caller = self._callers.get(peer)
        if caller is None:
            if len(self._callers) >= _REMEMBERED:
                self._callers.clear()
            caller = self._callers[peer] = JID(peer)
        return caller

    def _stepped(self, key: Key, step: Step) -> None:
        self.worker.progressed(
            key, self._loop.time(), done=step.done, total=step.total, text=step.text
        )

    def _ended(self, job: Job) -> None:
        key = (job.account, job.id)
        del self._jobs[key]
        if job.error is None:
            self._succeeded(key, job.value)
        else:
            self._failed(key, job, job.error)
        if job.verdict is not None:
            self._handle(self.worker.anew(), self._loop.time())
        if not self._alarm.is_set:
            self._alarm.set(self.worker.next_timer())

    def _succeeded(self, key: Key, value: Any) -> None:
        now = self._loop.time()
        try:
            result = Raw(encode_result(value))
        except (TypeError, ValueError, UnicodeError, RecursionError) as error:
            kind, message = type(error).__name__, f"the result is no JSON: {error}"
            self.worker.failed(key, now, kind=kind, message=message)
        else:
            self.worker.succeeded(key, result, now)

    def _failed(self, key: Key, job: Job, error: BaseException) -> None:
        worker, now = self.worker, self._loop.time()
        match error:
            case JobCancelled() if job.is_left and job.options.via is not None:
                text = f"its worker stopped before {job.task.name} was done"
                worker.failed(key, now, kind="WorkerLost", message=text, code="lost")
            case JobCancelled():
                worker.cancelled(key, now, job.cancellation.reason)
            case Draining():
                worker.reject(key, error, now)
            case JobTimeout():
                worker.failed(key, now, kind="JobTimeout", message=str(error), code="timeout")
            case TaskFailed():
                worker.failed(
                    key, now, kind=error.type, message=error.message, traceback=error.traceback
                )
            case _:
                worker.failed(key, now, kind=type(error).__name__, message=str(error))

    def _no_such_task(self, caller: JID, name: str) -> str:
        match = close_match(name, [task.name for task in self._desk.allowed(caller)])
        return f"there is no task {name} here" + (f"; did you mean {match}?" if match else "")

    def _answer(self, peer: str, question: Describe) -> None:
        try:
            self._link.push(peer, self._describe(peer, question.task))
        except Exception:  # the others of the batch are not to suffer
            log.exception("%r could not be answered", question)

    def _describe(self, peer: str, task: str | None) -> Description:
        caller = self._caller(peer)
        found = self._described(caller)
        if task is not None:
            own = self._desk.own_tasks.get(task)  # in no list, but told to who asks for it
            if own is not None and self._desk.may_run(caller, own.name):
                found |= {n: Raw(msgspec.json.encode(text)) for n, text in describe([own]).items()}
            found = {name: text for name, text in found.items() if name == task}
        tasks = Raw(msgspec.json.encode(found if found or task is None else None))
        return Description(task, self.version, tasks)

    def _described(self, caller: JID) -> dict[str, Raw]:
        """What a caller may have run, by name."""
        return {task.name: self._descriptions[task.name] for task in self._desk.allowed(caller)}

    def _tick(self) -> None:
        self.worker.tick(self._loop.time())
        self._alarm.set(self.worker.next_timer())


def _bind(signature: Signature, submit: Submit) -> Arguments:
    some = len(submit.kwargs) > _NO_KWARGS
    kwargs = _decoder.decode(submit.kwargs) if some else {}
    return signature.bind(_decoder.decode(submit.args), kwargs)
