"""Jobs go out: claims, and submits to workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from jabot.errors import LocalProtocolError, TooLarge
from jabot.protocol.frames import NO_META, Frame, Submit
from jabot.queue.callers import Callers
from jabot.queue.crew import Crew, Held, Worker
from jabot.queue.ledger import Entry
from jabot.queue.outcomes import Outcomes
from jabot.queue.ready import Ready
from jabot.queue.rights import Rights
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import Claim, Claimed
from jabot.xmpp import Link

_MOST: Final = 1000  # jobs that a worker is given at a time


class Dispatch:
    """Gives available jobs to workers with free slots.

    `due_at(moment)` is told when there may be more to claim.
    """

    def __init__(
        self,
        link: Link,
        crew: Crew,
        ready: Ready,
        outcomes: Outcomes,
        callers: Callers,
        *,
        rights: Rights,
        due_at: Callable[[float], None],
        wall: Callable[[], float],
    ) -> None:
        self._link = link
        self._crew = crew
        self._ready = ready
        self._outcomes = outcomes
        self._callers = callers
        self._rights = rights
        self._due_at = due_at
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._slow: set[str] = set()  # workers that were passed over
        self.draining = False

    def claims(self, all_goes: bool) -> list[Entry]:
        """What goes along with the next transaction: jobs for those who have room.

        Of the jobs that were spoken of to `Ready`, some are to be kept by a later transaction
        unless `all_goes`: then a claim that finds too few has not found all.
        """
        ready = self._ready.kinds
        if not ready or self.draining:
            return []
        words = self._ready.words if all_goes else 0
        entries: list[Entry] = []
        for worker, kinds, free in self._crew.openings(ready):
            if self._link.is_full(worker.jid):  # it has not even taken what it was given
                self._slow.add(worker.jid)
                continue
            most = min(free, _MOST)
            worker.claiming += most
            verb = Claim(str(self._rights.own()), worker.jid, kinds, most, self._wall())
            entries.append(
                (
                    verb,
                    partial(self._claimed, worker, verb, words),
                    partial(self._unclaimed, worker, most),
                )
            )
        return entries

    def wants(self, peer: str, frame: Frame) -> bool:
        """Whether a worker is still to have this; a submit, as long as that attempt is its."""
        return (
            not isinstance(frame, Submit)
            or self._crew.holding(peer, frame.id, frame.attempt) is not None
        )

    def answered(self, peer: str, frames: Sequence[Frame]) -> None:
        """A worker is responsible for these."""
        for frame in frames:
            if isinstance(frame, Submit):
                held = self._crew.holding(peer, frame.id, frame.attempt)
                if held is not None:
                    held.acked = True
        if peer in self._slow:
            self._slow.discard(peer)
            self._ready.look_for()

    def never_arrived(self, peer: str, frames: Sequence[Frame]) -> None:
        """A worker has none of these: others may have them at once."""
        for frame in frames:
            if isinstance(frame, Submit):
                held = self._crew.holding(peer, frame.id, frame.attempt)
                if held is not None and not held.acked and not held.ending:
                    self._crew.ends(held)
                    self._outcomes.release(held.record)

    # -- within -------------------------------------------------------------------------------

    def _claimed(self, worker: Worker, claim: Claim, words: int, records: Claimed) -> None:
        self._crew.claimed(worker, claim.most)
        if len(records) < claim.most and not records.more:
            self._ready.exhausted(claim.kinds, words)
        else:
            self._ready.look_for()
        if records.ended:
            self._outcomes.died(records.ended, records.ready)
        now, wall = self._loop.time(), self._wall()
        if any(record.options.lane is not None for record in records):
            self._due_at(wall)  # upkeep knows when the lane lets the next one through
        for record in records:
            if worker.here:
                self._send(self._crew.hold(record, now), wall)
                self._callers.begun(record)
            else:
                self._outcomes.release(record)
        self._outcomes.watch_lease()

    def _send(self, held: Held, wall: float) -> None:
        try:
            self._link.push(held.worker, _submit(held.record, wall))
        except (TooLarge, LocalProtocolError) as error:  # with the results of its parents, perhaps
            self._outcomes.cannot_be_sent(held, error)

    def _unclaimed(self, worker: Worker, most: int, error: Exception) -> None:
        self._crew.claimed(worker, most)


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
        caller=record.reply_to or record.person or record.owner,
        parents=record.parents,
    )
