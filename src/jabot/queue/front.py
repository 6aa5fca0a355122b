"""The side of a queue that callers see: an `End` of the link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw

from jabot.errors import JabotError
from jabot.protocol import Leftover, codec, limits
from jabot.protocol.codec import Damaged, Incoming
from jabot.protocol.frames import Cancel, Frame, Query, Rejected, State, Submit
from jabot.protocol.options import NO_OPTIONS, RESERVED, JobOptions
from jabot.protocol.refusals import code_of, shortened
from jabot.protocol.states import JobState
from jabot.queue.arrivals import Arrivals, refusal
from jabot.queue.callers import Callers
from jabot.queue.ledger import Ledger
from jabot.queue.names import check_names
from jabot.queue.outcomes import Outcomes
from jabot.queue.promise import Promise
from jabot.queue.rights import Rights
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import Add, Added, Look, Stopped
from jabot.queue.store.verbs import Cancel as CancelVerb
from jabot.xmpp import Link
from jabot.xmpp.end import End

log = logging.getLogger(__name__)

_options = msgspec.json.Decoder(JobOptions)
_REFUSALS = {
    "id_taken": "protocol",
    "key_reused": "key_reused",
    "unknown_parent": "bad_arguments",
    "too_many": "too_many_jobs",
    "too_many_same": "too_many_jobs",
}
_NULL = b"null"
_OURS = (Submit, Cancel, Query)
_LOST_JOBS = ("submit", "part")
_TOO_MANY_LISTENERS = (
    "you wait for too many jobs that another program submitted, or under other ids; wait for some"
)


class Front(End):
    """Takes jobs, cancels and questions, and answers when the store has them.

    `is_own(account, frame)` tells what the queue itself does: such frames are somebody else's.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        arrivals: Arrivals,
        callers: Callers,
        outcomes: Outcomes,
        *,
        rights: Rights,
        is_own: Callable[[str, Incoming], bool],
        wall: Callable[[], float],
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._arrivals = arrivals
        self._callers = callers
        self._outcomes = outcomes
        self._rights = rights
        self._is_own = is_own
        self._wall = wall
        self._unheard: dict[str, list[tuple[Rejected, Promise]]] = {}  # refusals on their way
        self.draining = False

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return self._rights.may_call(peer)

    def received(
        self, peer: str, account: str, frames: Sequence[Incoming], now: float
    ) -> asyncio.Future[None] | None:
        self._callers.here(peer)
        promise = Promise()
        for frame in frames:
            if isinstance(frame, Damaged):
                self._damaged(peer, account, frame, promise)
            elif isinstance(frame, _OURS) and not self._is_own(account, frame):
                if isinstance(frame, Submit):
                    self._submit(peer, account, frame, promise)
                elif isinstance(frame, Cancel):
                    self._cancel(peer, account, frame, promise)
                else:
                    self._query(peer, account, frame, promise)
        return promise.future

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        if peer in self._unheard:
            self._heard(peer, frames)
        self._callers.answered(peer, frames)

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._gone(peer)

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        self.answered(peer, frames, now)  # it will not understand them another time either

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self._gone(peer)

    def peer_here(self, peer: str, now: float) -> None:
        self._callers.here(peer)  # it asks for what it missed; what comes from now on it is told

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        self._unheard.clear()
        self._callers.all_gone()  # they see when it is back, and ask

    # -- within -------------------------------------------------------------------------------

    def _gone(self, peer: str) -> None:
        self._unheard.pop(peer, None)  # nobody waits for the answers any more
        self._callers.gone(peer)

    def _submit(self, peer: str, account: str, frame: Submit, promise: Promise) -> None:
        if frame.task.startswith(RESERVED):
            text = f"there is no task {frame.task} here"
            self._refuse(peer, frame, "unknown_task", text, promise)
            return
        try:
            options = _read_options(frame.options)
            self._rights.check(peer, frame.task)
            check_names(frame.task, options, frame.id)
            check_size(frame)
        except msgspec.MsgspecError as error:
            text = f"an option cannot be used: {error}"
            self._refuse(peer, frame, "bad_arguments", text, promise)
            return
        except JabotError as error:
            self._refuse(peer, frame, code_of(error), str(error), promise)
            return
        if self.draining:
            text = "this node of the queue is stopping"
            self._refuse(peer, frame, "draining", text, promise)
            return
        job = self._arrivals.job(frame, options, account, reply_to=peer)
        promise.wait(
            self._ledger,
            job,
            lambda added: self._added(peer, frame, job, added, promise),
            lambda error: self._refuse(
                peer, frame, "bad_arguments", f"it cannot be kept: {error}", promise
            ),
        )
        self._arrivals.expect(job)

    def _added(self, peer: str, frame: Submit, job: Add, added: Added, promise: Promise) -> None:
        if added.refused:
            self._refuse(peer, frame, _REFUSALS[added.refused], refusal(job, added), promise)
            return
        if added.id != frame.id and not self._callers.listen(added.id, peer, frame.id):
            self._refuse(peer, frame, "too_many_jobs", _TOO_MANY_LISTENERS, promise)
            return
        self._arrivals.kept(job, added)
        if added.state is not None and added.state.ended:
            self._find(peer, frame, None, promise)  # its outcome comes before the answer
        elif not added.is_new and added.state is JobState.RUNNING and added.id == frame.id:
            self._callers.listen(added.id, peer, frame.id)  # it was given away for another address

    def _refuse(self, peer: str, frame: Submit, code: str, message: str, promise: Promise) -> None:
        log.info("refused %s to %s: %s", frame.task, peer, message)
        rejected = Rejected(frame.id, frame.attempt, code, shortened(message))
        self._reject(peer, rejected, promise)

    def _reject(self, peer: str, rejected: Rejected, promise: Promise) -> None:
        """Say it before the answer, which tells a caller that all others are kept. What cannot go
        at once is waited for."""
        if not self._link.is_free(peer):
            promise.hold()
            self._unheard.setdefault(peer, []).append((rejected, promise))
        self._link.push(peer, rejected)

    def _heard(self, peer: str, frames: Sequence[Frame]) -> None:
        heard = {id(frame) for frame in frames}
        waiting = self._unheard.pop(peer)
        if left := [each for each in waiting if id(each[0]) not in heard]:
            self._unheard[peer] = left
        for rejected, promise in waiting:
            if id(rejected) in heard:
                promise.release()

    def _damaged(self, peer: str, account: str, frame: Damaged, promise: Promise) -> None:
        """What could not be read may have been a job: its caller is not to take it for kept."""
        if frame.kind not in _LOST_JOBS or not frame.id:
            return
        self._link.complain(peer, f"an unreadable frame `{frame.kind}`: {frame.reason}")
        reason = shortened(f"the submit cannot be read: {frame.reason}")

        def found(record: Record | None) -> None:
            if record is None:
                self._reject(peer, Rejected(frame.id, 0, "protocol", reason), promise)

        promise.wait(self._ledger, Look(frame.id, account), found)

    def _cancel(self, peer: str, account: str, frame: Cancel, promise: Promise) -> None:
        verb = CancelVerb(frame.id, account, frame.reason, self._wall())
        promise.wait(self._ledger, verb, lambda stopped: self._stopped(peer, frame, stopped))

    def _stopped(self, peer: str, frame: Cancel, stopped: Stopped | None) -> None:
        if stopped is None:
            self._link.push(peer, State(frame.id, frame.attempt, "unknown"))
            return
        record = stopped.record
        if record.state is JobState.RUNNING:
            self._callers.listen(record.id, peer, frame.id)
        else:
            self._callers.answer(peer, record, frame.id)
        self._outcomes.stopped(stopped)

    def _query(self, peer: str, account: str, frame: Query, promise: Promise) -> None:
        self._find(peer, frame, account, promise)

    def _find(self, peer: str, frame: Submit | Query, owner: str | None, promise: Promise) -> None:
        verb = Look(frame.id, owner)
        promise.wait(self._ledger, verb, lambda record: self._found(peer, frame, record, promise))

    def _found(
        self, peer: str, frame: Submit | Query, record: Record | None, promise: Promise
    ) -> None:
        if record is None:
            self._link.push(peer, State(frame.id, frame.attempt, "unknown"))
        elif _hears(peer, frame.id, record) or self._callers.listen(record.id, peer, frame.id):
            self._callers.answer(peer, record, frame.id)
        else:
            rejected = Rejected(frame.id, frame.attempt, "too_many_jobs", _TOO_MANY_LISTENERS)
            self._reject(peer, rejected, promise)


def _read_options(raw: Raw) -> JobOptions:
    return NO_OPTIONS if bytes(raw) == _NULL else _options.decode(raw)


def _hears(peer: str, as_id: str, record: Record) -> bool:
    """Whether a peer hears of a job's end without listening for it: as its own line says, unless
    it was given away before that said so."""
    submitted = (record.reply_to, record.id) == (peer, as_id)
    return record.state.ended or (submitted and record.state is not JobState.RUNNING)


def check_size(frame: Submit) -> None:
    """Raises `TooLarge` for more than a worker is sent."""
    size = len(frame.args) + len(frame.kwargs)
    if size > limits.PAYLOAD:
        raise codec.too_large(size)
