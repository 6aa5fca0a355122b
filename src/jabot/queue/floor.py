"""The side of a queue that workers see: an `End` of the link."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from jabot.alarm import Alarm
from jabot.errors import JabotError
from jabot.protocol import Leftover
from jabot.protocol.codec import Damaged, Incoming
from jabot.protocol.frames import (
    NO_META,
    Cancel,
    Cancelled,
    Failed,
    Frame,
    Heartbeat,
    Hello,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.options import JobOptions
from jabot.protocol.refusals import TRANSIENT, shortened
from jabot.protocol.states import JobState
from jabot.queue.callers import Callers
from jabot.queue.crew import Crew, Held, Worker
from jabot.queue.fate import after_failure, lost
from jabot.queue.ledger import Entry, Ledger
from jabot.queue.promise import Promise
from jabot.queue.rights import Rights
from jabot.queue.store.verbs import (
    Adopt,
    Claim,
    Failure,
    Finish,
    Finished,
    Look,
    News,
    Orphans,
    Record,
    Stopped,
    Store,
)
from jabot.xmpp import Link

log = logging.getLogger(__name__)

_tasks = msgspec.json.Decoder(dict[str, JobOptions] | None)
_SILENCE: Final = 3.0  # seconds without a sign after which another node of the queue is no more
_LOOK: Final = 1.0  # seconds between two looks at the leases
_END = Succeeded | Failed | Cancelled | Rejected


class Floor:
    """Gives jobs to workers, and takes them back.

    `due_at(moment)` is told when a job is to be tried again. A job that has no policy of its own is
    tried `most_losses` times when its workers are lost.
    """

    def __init__(
        self,
        link: Link,
        store: Store,
        crew: Crew,
        *,
        rights: Rights,
        due_at: Callable[[float], None],
        most_losses: int = 5,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._link = link
        self._store = store
        self._crew = crew
        self._rights = rights
        self._due_at = due_at
        self._most_losses = most_losses
        self.wall = wall
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        # Kinds of which there may be jobs to be claimed, and which word of that was the newest.
        self._ready: dict[str, int] = {}
        self._words = 0
        self._labelled: set[str] = set()  # kinds that need labels
        self._alarm = Alarm(self._tick)
        self.callers: Callers
        self.ledger: Ledger
        self.draining = False

    def join(self, ledger: Ledger, callers: Callers) -> None:
        """The parts that need this one as well."""
        self.ledger, self.callers = ledger, callers

    def close(self) -> None:
        """Stop the timers."""
        self._alarm.cancel()

    def defaults(self, task: str) -> JobOptions | None:
        """What its author says of a task's jobs, as far as any worker has told."""
        return self._crew.defaults.get(task)

    def look_for(self, *kinds: str) -> None:
        """There may be jobs of these kinds to be given away."""
        self._words += 1
        for kind in kinds:
            self._ready[kind] = self._words
            if " " in kind:
                self._labelled.add(kind)
        if self._ready:
            self.ledger.look()

    def claims(self) -> list[Entry]:
        """What goes along with the next transaction: jobs for those who have room."""
        if not self._ready or self.draining:
            return []
        entries: list[Entry] = []
        for worker, kinds, most in self._crew.openings(self._ready):
            worker.claiming += most
            verb = Claim(str(self._rights.own()), worker.jid, kinds, most, self.wall())
            entries.append(
                (
                    verb,
                    partial(self._claimed, worker, verb, self._words),
                    partial(self._unclaimed, worker, most),
                )
            )
        return entries

    def stopped(self, stopped: Stopped) -> None:
        """A job was cancelled: tell its worker, if it has one, and all who wait for it."""
        record = stopped.record
        if record.state is JobState.RUNNING:
            if self._crew.held(record.id) is not None:
                self.cancel(record.id, record.cancelling or "")
            else:
                self._store.tell(News("cancelling", record.id, record.cancelling or ""))
        elif record.state.ended:
            self._announce(record)
        self.tell_of(stopped.ended)
        self.look_for(*stopped.ready)

    def cancel(self, job_id: str, reason: str) -> None:
        """Tell the worker that has a job to stop it."""
        held = self._crew.held(job_id)
        if held is not None:
            self._link.push(held.worker, Cancel(held.id, held.attempt, shortened(reason)))

    def take_over(self) -> None:
        """Learn of the running jobs that are ours without our knowing."""
        node = str(self._rights.own())
        self.ledger.do(Orphans(node, _SILENCE, self.wall()), self._taken_over)

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return self._rights.may_work(account)

    def received(
        self, peer: str, account: str, frames: Sequence[Incoming], now: float
    ) -> asyncio.Future[None] | None:
        promise = Promise()
        if self._crew.heard(peer):
            self.ledger.look()
        for frame in frames:
            if isinstance(frame, Succeeded | Failed | Cancelled | Rejected):
                if self._rights.may_work(account):
                    self._ends(peer, frame, promise)
            elif isinstance(frame, Progress):
                self._steps(peer, frame)
            elif isinstance(frame, State):
                self._stands(peer, frame)
            elif isinstance(frame, Heartbeat):
                self._still_has(peer, frame, now)
            elif isinstance(frame, Hello):
                self._hello(peer, account, frame, promise)
            elif isinstance(frame, Damaged):
                self._damaged(peer, frame)
        return promise.future

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        for frame in frames:
            if isinstance(frame, Submit):
                held = self._crew.held(frame.id)
                if held is not None and (held.worker, held.attempt) == (peer, frame.attempt):
                    held.acked = True

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._never_arrived(peer, frames)
        self._gone(peer, now)

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        self._never_arrived(peer, frames)
        worker = self._crew.get(peer)
        if worker is not None:
            self._link.complain(peer, f"refuses the queue's jobs: {error}")
            worker.slots = 0  # until it says hello again

    def put_off(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """They go again."""

    def unanswered(self, peer: str, frames: Sequence[Frame]) -> None:
        """The link sends them again."""

    def wants(self, peer: str, frame: Frame) -> bool:
        if not isinstance(frame, Submit):
            return True
        held = self._crew.held(frame.id)
        return held is not None and (held.worker, held.attempt) == (peer, frame.attempt)

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self._never_arrived(peer, leftover.unsent)
        self._gone(peer, now)

    def peer_here(self, peer: str, now: float) -> None:
        """It says hello when it is a worker."""

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        """Our own connection went: the workers are where they were. Their leases go on."""
        for worker in list(self._crew):
            worker.stay += 1
            worker.here = False

    def online(self, now: float) -> None:
        """The workers see that, and say hello."""
        for held in self._crew.all_held:
            held.until = max(held.until, now + self._crew.lease)

    # -- jobs go out --------------------------------------------------------------------------

    def _claimed(self, worker: Worker, claim: Claim, words: int, records: list[Record]) -> None:
        worker.claiming -= claim.most
        if len(records) < claim.most:
            for kind in claim.kinds:
                if self._ready.get(kind, words + 1) <= words:  # else there is newer word of it
                    del self._ready[kind]
        else:
            self.ledger.look()
        now, wall = self._loop.time(), self.wall()
        if any(record.options.lane is not None for record in records):
            self._due_at(wall)  # upkeep knows when the lane lets the next one through
        present = self._crew.get(worker.jid) is worker and worker.here
        for record in records:
            if present:
                self._crew.hold(record, now)
                self._link.push(worker.jid, _submit(record, wall))
            else:
                self._release(record)
        self._watch()

    def _unclaimed(self, worker: Worker, most: int, error: Exception) -> None:
        worker.claiming -= most

    def _release(self, record: Record) -> None:
        verb = Finish(record.id, record.attempt, "release", self.wall(), worker=record.worker)
        self._finish(verb, record)

    def _never_arrived(self, peer: str, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if isinstance(frame, Submit):
                held = self._crew.held(frame.id)
                if (
                    held is not None
                    and (held.worker, held.attempt) == (peer, frame.attempt)
                    and not held.acked
                    and not held.ending
                ):
                    held.ending = True
                    self._release(held.record)

    # -- workers speak ------------------------------------------------------------------------

    def _hello(self, peer: str, account: str, hello: Hello, promise: Promise) -> None:
        if not self._rights.may_work(account):
            text = f"{account} may not work for this queue"
            self._link.complain(peer, text)
            self._link.push(peer, Rejected("hello", 0, "not_allowed", text))
            return
        try:
            tasks = _tasks.decode(hello.tasks) or {}
        except msgspec.MsgspecError as error:
            text = f"its tasks cannot be read: {error}"
            self._link.complain(peer, text)
            self._link.push(peer, Rejected("hello", 0, "bad_arguments", shortened(text)))
            return
        new = self._crew.get(peer) is None
        worker = self._crew.hello(peer, account, hello.slots or 0, tasks, hello.labels)
        log.log(
            logging.INFO if new else logging.DEBUG,
            "%s works here: %d slots, tasks: %s",
            peer,
            worker.slots,
            ", ".join(sorted(tasks)),
        )
        for held in self._crew.missing(peer, hello.held):
            self._is_lost(held, "does not have it any more")
        unknown = self._crew.renew(peer, hello.held, self._loop.time())
        if unknown:
            verb = Adopt(str(self._rights.own()), peer, unknown, self.wall())
            promise.wait(self.ledger, verb, partial(self._adopted, peer, unknown))
        self.look_for(*worker.tasks, *(kind for kind in self._labelled if worker.does(kind)))
        self._watch()

    def _adopted(self, peer: str, pairs: list[tuple[str, int]], records: list[Record]) -> None:
        now = self._loop.time()
        stand = {(record.id, record.attempt) for record in records}
        for record in records:
            self._crew.hold(record, now, acked=True)
            if record.cancelling is not None:
                self.cancel(record.id, record.cancelling)
        for job_id, attempt in pairs:
            if (job_id, attempt) not in stand:
                self._disown(peer, job_id, attempt)
        self._watch()

    def _still_has(self, peer: str, heartbeat: Heartbeat, now: float) -> None:
        for job_id, attempt in self._crew.renew(peer, heartbeat.held, now):
            self._disown(peer, job_id, attempt)

    def _disown(self, peer: str, job_id: str, attempt: int) -> None:
        """It runs what was given to another, or has ended."""
        log.info("%s still has attempt %d of job %s, which is over", peer, attempt, job_id)
        self._link.push(peer, Cancel(job_id, attempt, "this attempt is over"))

    def _steps(self, peer: str, step: Progress) -> None:
        held = self._crew.held(step.id)
        if held is None or (held.worker, held.attempt) != (peer, step.attempt) or held.ending:
            return
        held.seq += 1
        self.callers.stepped(
            held.record,
            Progress(step.id, step.attempt, held.seq, step.done, step.total, step.text),
        )

    def _stands(self, peer: str, state: State) -> None:
        """The answer to our question for a job that the store says it has."""
        held = self._crew.held(state.id)
        if state.state != "unknown" or held is None or held.ending:
            return
        if (held.worker, held.attempt) == (peer, state.attempt):
            self._is_lost(held, "does not have it")

    def _damaged(self, peer: str, frame: Damaged) -> None:
        """An outcome that cannot be read: the worker would send the same again for ever."""
        held = self._crew.held(frame.id)
        outcomes = ("succeeded", "failed", "cancelled", "rejected", "part")
        if held is None or held.worker != peer or held.ending or frame.kind not in outcomes:
            return
        failure = Failure("RemoteProtocolError", f"unreadable: {frame.reason}", code="refused")
        self._fails(held.record, failure)

    # -- attempts end -------------------------------------------------------------------------

    def _ends(self, peer: str, frame: _END, promise: Promise) -> None:
        if isinstance(frame, Rejected) and frame.attempt == 0:
            attempt = held.attempt if (held := self._crew.held(frame.id)) is not None else 0
            frame = Rejected(frame.id, attempt, frame.code, frame.message)
        held = self._crew.held(frame.id)
        if held is not None and (held.worker, held.attempt) == (peer, frame.attempt):
            held.ending = True
            self._note_refusal(peer, held.record, frame)
            self._finish(self._end_of(held.record, frame), held.record, promise)
        else:  # of another node of this queue, or of before a restart; else it is stale
            verb = Look(frame.id)
            promise.wait(self.ledger, verb, partial(self._ends_unheld, peer, frame))

    def _ends_unheld(self, peer: str, frame: _END, record: Record | None) -> None:
        if (
            record is None
            or record.state is not JobState.RUNNING
            or (record.worker, record.attempt) != (peer, frame.attempt)
        ):
            log.info("%s ends attempt %d of job %s, which is over", peer, frame.attempt, frame.id)
            self._tell(record)  # perhaps a node ended it that died before it could say so
            return
        self._finish(self._end_of(record, frame), record)

    def _note_refusal(self, peer: str, record: Record, frame: _END) -> None:
        worker = self._crew.get(peer)
        if not isinstance(frame, Rejected) or worker is None:
            return
        if frame.code in TRANSIENT:
            worker.slots = 0  # until it says hello again
        elif frame.code == "unknown_task":
            worker.tasks = {k: v for k, v in worker.tasks.items() if k != record.task}

    def _end_of(self, record: Record, frame: _END) -> Finish:
        now, worker = self.wall(), record.worker
        match frame:
            case Succeeded():
                return Finish(
                    record.id, record.attempt, "succeed", now, result=frame.result, worker=worker
                )
            case Cancelled():
                failure = Failure("JobCancelled", frame.reason)
                return Finish(
                    record.id,
                    record.attempt,
                    "cancel",
                    now,
                    failure=failure,
                    worker=worker,
                    outcome="cancelled",
                )
            case Rejected() if frame.code in TRANSIENT or frame.code == "unknown_task":
                return Finish(record.id, record.attempt, "release", now, worker=worker)
            case Rejected():
                failure = Failure(frame.code, frame.message, code="refused")
            case Failed():
                failure = Failure(frame.type, frame.message, frame.traceback, frame.code)
        return self._after(record, failure)

    def _after(self, record: Record, failure: Failure) -> Finish:
        verb = after_failure(
            record,
            failure,
            self.defaults(record.task),
            self._most_losses,
            self.wall(),
            self._chance,
        )
        return msgspec.structs.replace(verb, worker=record.worker)

    def _fails(self, record: Record, failure: Failure) -> None:
        held = self._crew.held(record.id)
        if held is not None:
            held.ending = True
        self._finish(self._after(record, failure), record)

    def _is_lost(self, held: Held, why: str) -> None:
        log.warning("job %s, attempt %d: %s %s", held.id, held.attempt, held.worker, why)
        self._fails(held.record, lost(held.worker, why))

    def _finish(self, verb: Finish, record: Record, promise: Promise | None = None) -> None:
        done = partial(self._finished, verb, record)
        if promise is not None:
            promise.wait(self.ledger, verb, done)
            promise.on_failure(partial(self._unfinished, record))
        else:
            self.ledger.do(verb, done, lambda _: self._unfinished(record))

    def _unfinished(self, record: Record) -> None:
        held = self._crew.held(record.id)
        if held is not None and held.attempt == record.attempt:
            held.ending = False
        self._alarm.set(self._loop.time() + _LOOK)

    def _finished(self, verb: Finish, record: Record, finished: Finished) -> None:
        held = self._crew.held(record.id)
        if held is not None and held.attempt == record.attempt:
            self._crew.let_go(held)
        self.look_for(*finished.ready)  # also because a slot is free now
        if not finished.stands:
            log.info("attempt %d of job %s had ended already", verb.attempt, verb.id)
            self.tell_of([verb.id])  # perhaps by this very verb, whose first answer was lost
            return
        if finished.state is not None and finished.state.ended:
            self._announce(
                msgspec.structs.replace(
                    record, state=finished.state, result=verb.result, failure=verb.failure
                )
            )
        elif verb.event == "retry":
            self._due_at(verb.at)
        self.tell_of(finished.ended)

    def tell_of(self, job_ids: Sequence[str]) -> None:
        """Tell all who wait for these that they have ended."""
        for job_id in job_ids:
            self.ledger.do(Look(job_id), self._tell)

    def _tell(self, record: Record | None) -> None:
        if record is not None and record.state.ended:
            self._announce(record)

    def _announce(self, record: Record) -> None:
        if not self.callers.ended(record):
            self._store.tell(News("ended", record.id))

    def heard_of(self, job_id: str) -> None:
        """Another node of the queue has ended a job, and does not know who submitted it."""
        self.ledger.do(Look(job_id), self._tell_here)

    def _tell_here(self, record: Record | None) -> None:
        if record is not None and record.state.ended and not record.delivered:
            self.callers.ended(record)

    # -- time ---------------------------------------------------------------------------------

    def _gone(self, peer: str, now: float) -> None:
        if self._crew.gone(peer, now):
            log.info("%s is gone", peer)
            self._watch()

    def _taken_over(self, records: list[Record]) -> None:
        now = self._loop.time()
        for record in records:
            held = self._crew.held(record.id)
            if held is None or held.attempt != record.attempt:
                held = self._crew.hold(record, now, acked=True)
                log.info("job %s runs at %s, as the store says", record.id, record.worker)
                worker = self._crew.get(held.worker)
                if worker is not None and worker.here:  # who comes later says what it has
                    self._link.push(held.worker, Query(record.id, record.attempt))
        self._watch()

    def _watch(self) -> None:
        due = self._crew.next()
        if due is not None:
            self._alarm.set(min(due, self._loop.time() + _LOOK))

    def _tick(self) -> None:
        for held, why in self._crew.overdue(self._loop.time()):
            self._is_lost(held, why)
        self._watch()


def _submit(record: Record, wall: float) -> Submit:
    left = None if record.deadline is None else max(0.0, round(record.deadline - wall, 3))
    return Submit(
        record.id,
        record.task,
        record.args,
        record.kwargs,
        record.attempt,
        left,
        record.meta or NO_META,
        caller=record.reply_to or record.owner,
        parents=record.parents,
    )
