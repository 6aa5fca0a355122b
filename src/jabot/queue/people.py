"""People are told, in words, what becomes of the jobs that they asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from jabot.alarm import Alarm
from jabot.chat import texts
from jabot.chat.talk import Ending, Talks
from jabot.errors import JabotError
from jabot.jid import JID, InvalidJID
from jabot.protocol.frames import NULL, Progress
from jabot.protocol.states import JobState
from jabot.queue.catalogue import Catalogue
from jabot.queue.fate import error_of
from jabot.queue.ledger import Ledger
from jabot.queue.store.records import Failure, Record
from jabot.queue.store.verbs import Look, Told, Untold
from jabot.tasks import Offer, Step

log = logging.getLogger(__name__)

_PAUSE: Final = 2.0  # seconds between two looks
_PAUSE_ALONE: Final = 30.0
_MOST: Final = 100  # ends that were said, and that the server has not confirmed yet


class People:
    """Tells the end of a job at least once.

    The store knows which ends are to be told, and by which node of the queue. One is noted as told
    when the server has the text. What this node does not know that it is to tell (it was started
    anew, another node died, nobody told it that a job has ended) it finds by looking now and then,
    or when `alone`, with no other node on the store, as soon as such a job ends.
    """

    def __init__(
        self,
        ledger: Ledger,
        talks: Talks,
        catalogue: Catalogue,
        own: Callable[[], JID],
        *,
        alone: bool,
    ) -> None:
        self._ledger = ledger
        self._talks = talks
        self._catalogue = catalogue
        self._own = own
        self._alone = alone
        self._loop = asyncio.get_running_loop()
        self._telling: set[str] = set()
        self._more = False  # there are ends that had to wait
        self._looking: asyncio.Task[None] | None = None
        self._alarm = Alarm(self._look)

    def start(self) -> None:
        """Look for the first time."""
        self._alarm.set(self._loop.time())

    def close(self) -> None:
        """Look no more."""
        self._alarm.cancel()
        if self._looking is not None:
            self._looking.cancel()

    # -- what becomes of jobs -----------------------------------------------------------------

    def follows(self, job_id: str) -> bool:
        """Whether a person whom this node tells waits for a job."""
        return job_id in self._talks

    def stepped(self, job_id: str, step: Progress) -> None:
        """A job has got on; with the number 0, it was begun."""
        if step.seq:
            self._talks.stepped(job_id, Step(step.done, step.total, step.text))
        else:
            self._talks.begun(job_id)

    def ended(self, record: Record) -> None:
        """A job is over. Another node that is to tell it hears of that, or finds it."""
        if record.teller != str(self._own()):
            if record.teller and self._alone:  # it was this one's, before it was started anew
                self._alarm.set(self._loop.time())
            return
        if record.id in self._telling:
            return
        if len(self._telling) >= _MOST:
            self._more = True
            return
        self._telling.add(record.id)
        try:
            person = JID(record.person)
        except InvalidJID:
            log.error("job %s: %r is no address, so nobody is told", record.id, record.person)
            self._arrived(record.id, True)
            return
        self._talks.ended(
            person,
            record.id,
            record.task,
            partial(outcome, self._catalogue.offer(record.task), record),
            partial(self._arrived, record.id),
        )

    # -- within -------------------------------------------------------------------------------

    def _arrived(self, job_id: str, has_it: bool) -> None:
        if has_it:  # until that is noted, it counts as being told: else it would be found again
            self._ledger.do(Told([job_id]), lambda _: self._noted(job_id))
        else:
            self._telling.discard(job_id)

    def _noted(self, job_id: str) -> None:
        self._telling.discard(job_id)
        if self._more and len(self._telling) <= _MOST // 2:
            self._alarm.set(self._loop.time())

    def _look(self) -> None:
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._find())
            self._looking.add_done_callback(self._found)

    async def _find(self) -> None:
        self._more = False
        room = _MOST - len(self._telling)
        if room <= 0:
            self._more = True
            return
        records: list[Record] = await self._ledger.ask(Untold(str(self._own()), _MOST))
        for record in records:
            if record.id not in self._telling:
                whole = await self._ledger.ask(Look(record.id))
                if whole is not None and whole.state.ended:
                    self.ended(whole)
        self._more = self._more or len(records) >= _MOST

    def _found(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if looking.cancelled():
            return
        if problem := looking.exception():
            log.log(
                logging.INFO if isinstance(problem, JabotError) else logging.ERROR,
                "who is to be told of ended jobs is not known now: %s",
                problem,
            )
        self._alarm.set(self._loop.time() + (_PAUSE_ALONE if self._alone else _PAUSE))


def outcome(offer: Offer, record: Record) -> Ending:
    """What a person is told of a job that has ended."""
    failure = record.failure
    if record.state is JobState.SUCCEEDED:
        value = msgspec.json.decode(record.result or NULL)
        return Ending(texts.succeeded(offer, record.id, value), True, value)
    if record.state is JobState.CANCELLED:
        why = failure.message if failure is not None else record.cancelling or ""
        return Ending(texts.cancelled(record.task, record.id, why))
    unknown = Failure("JabotError", "nobody knows why")
    return Ending(texts.failed(record.task, record.id, str(error_of(failure or unknown))))
