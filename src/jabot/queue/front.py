"""The side of a queue that callers see: an `End` of the link."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw

from jabot.errors import JabotError, NotAllowed
from jabot.protocol import Leftover
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Cancel, Frame, Query, State, Submit
from jabot.protocol.options import NO_OPTIONS, OWN_TASKS, JobOptions
from jabot.protocol.states import JobState
from jabot.queue.callers import Callers, refusal
from jabot.queue.defaults import with_defaults
from jabot.queue.due import due, first_look
from jabot.queue.ledger import Ledger
from jabot.queue.outcomes import Outcomes
from jabot.queue.promise import Promise
from jabot.queue.ready import Ready
from jabot.queue.rights import Rights
from jabot.queue.store.verbs import Add, Added, Look, Record, Stopped, kind_of
from jabot.queue.store.verbs import Cancel as CancelVerb
from jabot.xmpp import Link

log = logging.getLogger(__name__)

_options = msgspec.json.Decoder(JobOptions)
_REFUSALS = {"id_taken": "protocol", "key_reused": "key_reused", "unknown_parent": "bad_arguments"}
_NULL = b"null"


class Front:
    """Takes jobs, cancels and questions, and answers when the store has them.

    `defaults` is what the authors of tasks say of their jobs. `is_own(account, frame)` tells what
    the queue itself does: such frames are somebody else's. `due_at(moment)` is told when a job is
    to run later.
    """

    def __init__(  # noqa: PLR0913 - the parts that it speaks with, by name
        self,
        link: Link,
        ledger: Ledger,
        callers: Callers,
        ready: Ready,
        outcomes: Outcomes,
        *,
        rights: Rights,
        defaults: Mapping[str, JobOptions],
        is_own: Callable[[str, Incoming], bool],
        due_at: Callable[[float], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._callers = callers
        self._ready = ready
        self._outcomes = outcomes
        self._rights = rights
        self._defaults = defaults
        self._is_own = is_own
        self._due_at = due_at
        self._wall = wall
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
            if isinstance(frame, Submit | Cancel | Query) and not self._is_own(account, frame):
                if isinstance(frame, Submit):
                    self._submit(peer, account, frame, promise)
                elif isinstance(frame, Cancel):
                    self._cancel(peer, account, frame, promise)
                else:
                    self._query(peer, account, frame, promise)
        return promise.future

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._callers.answered(peer, frames)

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._callers.gone(peer)

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        self._callers.answered(peer, frames)  # it will not understand them another time either

    def put_off(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """They go again."""

    def unanswered(self, peer: str, frames: Sequence[Frame]) -> None:
        """The link sends them again."""

    def wants(self, peer: str, frame: Frame) -> bool:
        return True

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self._callers.gone(peer)

    def peer_here(self, peer: str, now: float) -> None:
        self._callers.here(peer)  # it asks for what it missed; what comes from now on it is told

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        self._callers.all_gone()

    def online(self, now: float) -> None:
        """Callers see that, and ask."""

    # -- within -------------------------------------------------------------------------------

    def _submit(self, peer: str, account: str, frame: Submit, promise: Promise) -> None:
        if frame.task.startswith(OWN_TASKS):
            self._refuse(peer, frame, "unknown_task", f"there is no task {frame.task} here")
            return
        try:
            options = _read_options(frame.options)
            self._rights.check(peer, frame.task)
        except msgspec.MsgspecError as error:
            self._refuse(peer, frame, "bad_arguments", f"an option cannot be used: {error}")
            return
        except NotAllowed as error:
            self._refuse(peer, frame, "not_allowed", str(error))
            return
        if self.draining:
            self._refuse(peer, frame, "draining", "this node of the queue is stopping")
            return
        now = self._wall()
        options = with_defaults(options, self._defaults.get(frame.task), frame)
        add = Add(
            frame.id,
            account,
            frame.task,
            frame.args,
            frame.kwargs,
            options,
            frame.meta,
            now,
            frame.timeout,
            peer,
        )
        promise.wait(self._ledger, add, lambda added: self._added(peer, frame, options, added))
        if due(options, now) <= now and not options.after:
            self._ready.look_for(kind_of(frame.task, options.where))  # in the same transaction
        moment = first_look(options, now, frame.timeout)
        if moment is not None:
            self._due_at(moment)

    def _added(self, peer: str, frame: Submit, options: JobOptions, added: Added) -> None:
        if added.refused:
            text = {
                "id_taken": f"the id {frame.id} is another job's",
                "key_reused": f"the key {options.key!r} stands for another job: {added.detail}",
                "unknown_parent": f"after: there is no job {added.detail} of yours here",
            }[added.refused]
            self._refuse(peer, frame, _REFUSALS[added.refused], text)
            return
        if added.id != frame.id and not self._callers.listen(added.id, peer, frame.id):
            text = "too many jobs of this queue are waited for under another id; wait for some"
            self._refuse(peer, frame, "too_many_jobs", text)
            return
        if added.state is JobState.AVAILABLE and options.after:  # the others had ended already
            self._ready.look_for(kind_of(frame.task, options.where))
        if added.state is not None and added.state.ended:
            self._look(peer, frame.id, None)
        elif not added.is_new and added.id == frame.id:
            self._callers.listen(added.id, peer, frame.id)

    def _refuse(self, peer: str, frame: Submit, code: str, message: str) -> None:
        log.info("refused %s to %s: %s", frame.task, peer, message)
        self._link.push(peer, refusal(frame.id, frame.attempt, code, message))

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
        verb = Look(frame.id, account)
        promise.wait(self._ledger, verb, lambda record: self._found(peer, frame.id, record))

    def _look(self, peer: str, job_id: str, owner: str | None) -> None:
        verb = Look(job_id, owner)
        self._ledger.do(verb, lambda record: self._found(peer, job_id, record))

    def _found(self, peer: str, as_id: str, record: Record | None) -> None:
        if record is None:
            self._link.push(peer, State(as_id, 0, "unknown"))
            return
        if not record.state.ended:
            self._callers.listen(record.id, peer, as_id)
        self._callers.answer(peer, record, as_id)


def _read_options(raw: Raw) -> JobOptions:
    return NO_OPTIONS if bytes(raw) == _NULL else _options.decode(raw)
