"""Attempts end: by what their workers say of them, or because their workers are lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import msgspec

from jabot.alarm import Alarm
from jabot.protocol.codec import Damaged
from jabot.protocol.frames import Cancel, Cancelled, Failed, Progress, Rejected, Succeeded
from jabot.protocol.refusals import TRANSIENT, shortened
from jabot.protocol.states import JobState
from jabot.queue.callers import Callers
from jabot.queue.crew import Crew, Held
from jabot.queue.fate import Fate, lost
from jabot.queue.ledger import Ledger
from jabot.queue.promise import Promise
from jabot.queue.ready import Ready
from jabot.queue.store.records import Failure, Record
from jabot.queue.store.store import News, Store
from jabot.queue.store.verbs import Finish, Finished, Look, Stopped
from jabot.xmpp import Link

log = logging.getLogger(__name__)

_LOOK: Final = 1.0  # seconds between two looks at the leases
_STALL: Final = 0.5  # seconds that we may be late for one, before that is no fault of the workers
Ending: TypeAlias = Succeeded | Failed | Cancelled | Rejected
"""What a worker says at the end of an attempt."""


class Outcomes:
    """Commits how attempts end, and lets follow what follows from that.

    `due_at(moment)` is told when a job is to be tried again.
    """

    def __init__(
        self,
        link: Link,
        store: Store,
        crew: Crew,
        ledger: Ledger,
        ready: Ready,
        callers: Callers,
        *,
        fate: Fate,
        due_at: Callable[[float], None],
    ) -> None:
        self._link = link
        self._store = store
        self._crew = crew
        self._ledger = ledger
        self._ready = ready
        self._callers = callers
        self._fate = fate
        self._due_at = due_at
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._tick)
        self._online = True

    def close(self) -> None:
        """Stop the timer."""
        self._alarm.cancel()

    # -- workers speak ------------------------------------------------------------------------

    def ends(self, peer: str, frame: Ending, promise: Promise) -> None:
        """An attempt is over, its worker says."""
        if isinstance(frame, Rejected) and frame.attempt == 0:
            newest = self._crew.held(frame.id)
            attempt = newest.attempt if newest is not None else 0
            frame = Rejected(frame.id, attempt, frame.code, frame.message)
        held = self._crew.holding(peer, frame.id, frame.attempt)
        if held is not None:
            self._crew.ends(held)
            self._note_refusal(peer, held.record, frame)
            self._finish(self._fate.ended(held.record, frame), held.record, promise)
        else:  # of another node of this queue, or of before a restart; else it is stale
            done = partial(self._ends_unheld, peer, frame, promise)
            promise.wait(self._ledger, Look(frame.id), done)

    def stepped(self, peer: str, step: Progress) -> None:
        """An attempt gets on."""
        held = self._crew.holding(peer, step.id, step.attempt)
        if held is None or held.ending:
            return
        held.seq += 1
        self._callers.stepped(
            held.record,
            Progress(step.id, step.attempt, held.seq, step.done, step.total, step.text),
            self._loop.time(),
        )

    def damaged(self, peer: str, frame: Damaged, promise: Promise) -> None:
        """An outcome that cannot be read: the worker would send the same again for ever."""
        held = self._crew.held(frame.id)
        outcomes = ("succeeded", "failed", "cancelled", "rejected", "part")
        if held is None or held.worker != peer or held.ending or frame.kind not in outcomes:
            return
        failure = Failure("RemoteProtocolError", f"unreadable: {frame.reason}", code="refused")
        self._fails(held, failure, promise)

    # -- others have to say so ----------------------------------------------------------------

    def release(self, record: Record) -> None:
        """An attempt that was not begun is as if it had not been."""
        self._finish(self._fate.released(record), record)

    def died(self, job_ids: Sequence[str], ready: Sequence[str]) -> None:
        """These have become dead letters when they were to be given away."""
        log.error("jobs that cannot be given to a worker: %s", ", ".join(job_ids))
        self._callers.tell_of(job_ids)
        self._ready.look_for(*ready)

    def cannot_be_sent(self, held: Held, error: Exception) -> None:
        """No worker can ever get a job."""
        text = f"the job cannot be sent to a worker: {error}"
        log.error("job %s: %s", held.id, text)
        self._fails(held, Failure("TooLarge", text, code="too_large"))

    def is_lost(self, held: Held, why: str) -> None:
        """An attempt is over because its worker does not have it any more."""
        log.warning("job %s, attempt %d: %s %s", held.id, held.attempt, held.worker, why)
        self._crew.ends(held)
        # Unless its worker has gone to another node of the queue with it.
        verb = self._fate.failed(held.record, lost(held.worker, why))
        self._finish(msgspec.structs.replace(verb, node=held.record.node), held.record)

    def cancel(self, job_id: str, reason: str) -> None:
        """Tell the worker that has a job to stop it."""
        held = self._crew.held(job_id)
        if held is not None:
            held.cancelling = reason
            self._link.push(held.worker, Cancel(held.id, held.attempt, shortened(reason)))

    def stopped(self, stopped: Stopped) -> None:
        """A job was cancelled: tell its worker, if it has one, and all who wait for it."""
        record = stopped.record
        if record.state is JobState.RUNNING:
            if self._crew.held(record.id) is not None:
                self.cancel(record.id, record.cancelling or "")
            else:
                self._store.tell(News("cancelling", record.id, record.cancelling or ""))
        elif record.state.ended:
            self._callers.ended(record)
        self._callers.tell_of(stopped.ended)
        self._ready.look_for(*stopped.ready)

    def watch_lease(self) -> None:
        """A lease begins now."""
        if self._online:
            self._alarm.set(self._loop.time() + min(_LOOK, self._crew.lease))

    def watch(self) -> None:
        """There are attempts whose leases run, or workers whose grace does."""
        due = self._crew.next()
        if due is not None and self._online:
            self._alarm.set(min(due, self._loop.time() + _LOOK))

    def offline(self) -> None:
        """Our own connection went: no lease runs out before it is back."""
        self._online = False
        self._alarm.cancel()

    def online(self) -> None:
        """It is back."""
        self._online = True
        self.watch()

    # -- within -------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._alarm.late > _STALL:  # what workers said meanwhile is still to be read
            log.warning("this queue stood still for %.1f s; leases go on", self._alarm.late)
            self._crew.excuse(self._alarm.late)
        for held, why in self._crew.overdue(self._loop.time()):
            self.is_lost(held, why)
        self.watch()

    def _ends_unheld(
        self, peer: str, frame: Ending, promise: Promise, record: Record | None
    ) -> None:
        if (
            record is None
            or record.state is not JobState.RUNNING
            or (record.worker, record.attempt) != (peer, frame.attempt)
        ):
            log.info("%s ends attempt %d of job %s, which is over", peer, frame.attempt, frame.id)
            if record is not None and record.state.ended:
                self._callers.ended(record)  # a node ended it, perhaps, that died before it told
            return
        self._finish(self._fate.ended(record, frame), record, promise)

    def _note_refusal(self, peer: str, record: Record, frame: Ending) -> None:
        worker = self._crew.get(peer)
        if not isinstance(frame, Rejected) or worker is None:
            return
        if frame.code in TRANSIENT:
            worker.slots = 0  # until it says hello again
        elif frame.code == "unknown_task":
            worker.tasks = {k: v for k, v in worker.tasks.items() if k != record.task}

    def _fails(self, held: Held, failure: Failure, promise: Promise | None = None) -> None:
        self._crew.ends(held)
        self._finish(self._fate.failed(held.record, failure), held.record, promise)

    def _finish(self, verb: Finish, record: Record, promise: Promise | None = None) -> None:
        done = partial(self._finished, verb, record)
        if promise is not None:
            promise.wait(self._ledger, verb, done, partial(self._unkept, record, promise))
            promise.on_failure(partial(self._unfinished, record))
        else:
            self._ledger.do(verb, done, lambda _: self._unfinished(record))

    def _unkept(self, record: Record, promise: Promise, error: Exception) -> None:
        """The store cannot keep what the worker says: that the job failed by this can be kept."""
        failure = Failure("TooLarge", f"its outcome cannot be kept: {error}", code="too_large")
        verb = self._fate.failed(record, failure)
        promise.wait(self._ledger, verb, partial(self._finished, verb, record))

    def _unfinished(self, record: Record) -> None:
        held = self._crew.held(record.id)
        if held is not None and held.attempt == record.attempt:
            self._crew.goes_on(held)
        if self._online:
            self._alarm.set(self._loop.time() + _LOOK)

    def _finished(self, verb: Finish, record: Record, finished: Finished) -> None:
        held = self._crew.held(record.id)
        if held is not None and held.attempt == record.attempt:
            self._crew.let_go(held)
        self._ready.look_for(*finished.ready)  # also because a slot is free now
        if not finished.stands:
            log.info("attempt %d of job %s had ended already", verb.attempt, verb.id)
            self._callers.tell_of([verb.id])  # perhaps by this very verb; its answer was lost
            return
        if finished.state is not None and finished.state.ended:
            self._callers.ended(
                msgspec.structs.replace(
                    record, state=finished.state, result=verb.result, failure=verb.failure
                )
            )
        elif verb.event == "retry":
            self._due_at(verb.at)
        self._callers.tell_of(finished.ended)
