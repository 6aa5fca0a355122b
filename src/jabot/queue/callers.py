"""Who hears of which job, and how the outcomes get to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from jabot.errors import LocalProtocolError, TooLarge
from jabot.pace import Pace
from jabot.protocol.frames import (
    NULL,
    Cancelled,
    Failed,
    Frame,
    Hello,
    Progress,
    State,
    Succeeded,
)
from jabot.protocol.refusals import shortened
from jabot.protocol.states import JobState
from jabot.queue.debts import Debts
from jabot.queue.fate import failure_frame
from jabot.queue.people import People
from jabot.queue.store.records import Failure, Record
from jabot.queue.store.store import News
from jabot.xmpp import Link

# Jobs that are heard of by others than who submitted them last, or under other ids.
_MOST: Final = 200_000
_MOST_OF_PEER: Final = 20_000
_OUTCOMES = (Succeeded, Failed, Cancelled)
_STEPS: Final = 1.0  # of a job, in a second, that other nodes of the queue are told


class _Step(Struct, frozen=True):
    """The detail of `progress`."""

    reply_to: str
    step: Progress


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Step).decode


class Callers:
    """Tells callers of their jobs.

    A job's own line in the store says who hears of it; here stand only those besides. Who is not
    online asks again when it is back: nothing is kept for it here. `look(job_id, told)` reads a job
    that somebody is still to be told of; `delivered(job_ids)` is called for what has arrived, and
    `elsewhere(news)` for what those should hear who know only another node of the queue.
    """

    def __init__(
        self,
        link: Link,
        look: Callable[[str, Callable[[Record | None], None]], None],
        delivered: Callable[[list[str]], None],
        elsewhere: Callable[[News], None],
        people: People,
    ) -> None:
        self._link = link
        self._look = look
        self._delivered = delivered
        self._elsewhere = elsewhere
        self._people = people
        self._here: set[str] = set()
        self._besides: dict[str, dict[tuple[str, str], None]] = {}  # (peer, the id it knows)
        self._of_peer: dict[str, set[tuple[str, str]]] = {}  # (job, the id it knows)
        self._listeners = 0  # pairs in `_besides`
        self._debts = Debts(link, look, self._push)
        self._pace = Pace(burst=1, rate=_STEPS)

    def listen(self, job_id: str, peer: str, as_id: str) -> bool:
        """Let a peer hear of a job, under the id that it knows; False when there are too many."""
        hearing = self._besides.get(job_id, {})
        if (peer, as_id) in hearing:
            return True
        of_peer = self._of_peer.get(peer, set())
        if self._listeners >= _MOST or len(of_peer) >= _MOST_OF_PEER:
            return False
        self._besides.setdefault(job_id, hearing)[peer, as_id] = None
        self._of_peer.setdefault(peer, of_peer).add((job_id, as_id))
        self._listeners += 1
        return True

    def here(self, peer: str) -> None:
        """A peer spoke, or its presence came."""
        self._here.add(peer)

    def gone(self, peer: str) -> None:
        """A peer is offline. It will ask when it is back."""
        self._here.discard(peer)
        self._debts.forget(peer)
        for job_id in {job_id for job_id, _ in self._of_peer.get(peer, ())}:
            self._no_longer(job_id, peer)

    def all_gone(self) -> None:
        """Our own connection went."""
        for peer in [*self._here, *self._of_peer]:
            self.gone(peer)

    def begun(self, record: Record) -> None:
        """A job was given to a worker: people see that."""
        if record.teller:
            begun = Progress(record.id, record.attempt, 0)
            self._people.stepped(record.id, begun)
            if not self._people.follows(record.id):
                told = _Step(record.reply_to, begun)
                self._elsewhere(News("progress", record.id, _encode(told).decode()))

    def stepped(self, record: Record, step: Progress, now: float) -> None:
        """A job has got on."""
        self._step(record.id, record.reply_to, step)
        self._people.stepped(record.id, step)
        if self._pace.take(record.id, now):
            told = _Step(self._absent(record), step)
            self._elsewhere(News("progress", record.id, _encode(told).decode()))

    def ended(self, record: Record) -> None:
        """A job has its outcome: tell all who want to hear."""
        self._tell(record, record.reply_to)
        self._people.ended(record)
        self._elsewhere(News("ended", record.id, self._absent(record)))

    def tell_of(self, job_ids: Sequence[str]) -> None:
        """These have ended."""
        for job_id in job_ids:
            self._look(job_id, self._ended_meanwhile)

    def heard(self, news: News) -> None:
        """What another node of the queue tells of a job: `ended` or `progress`."""
        if news.kind == "progress":
            told = _decode(news.detail)
            self._people.stepped(news.what, told.step)
            if told.step.seq:
                self._step(news.what, told.reply_to, told.step)
        elif (
            news.detail in self._here
            or news.what in self._besides
            or self._people.follows(news.what)
        ):
            self._look(news.what, lambda record: self._ended_elsewhere(record, news.detail))

    def answer(self, peer: str, record: Record, as_id: str) -> None:
        """Tell one who asks where a job stands."""
        if record.state.ended:
            self._end(peer, record, as_id)
        else:
            self._link.push(peer, State(as_id, record.attempt, record.state.value))

    def answered(self, peer: str, frames: Sequence[Frame]) -> None:
        """A peer has taken these."""
        ended = [frame.id for frame in frames if isinstance(frame, _OUTCOMES)]
        if ended:
            self._delivered(ended)
            for job_id in ended:
                self._no_longer(job_id, peer)
        self._debts.pay(peer)

    def ask_all(self) -> None:
        """Nobody knows whether all have been told what they wait for: let them ask."""
        for peer in self._here:
            self._link.push(peer, Hello([]))

    def _absent(self, record: Record) -> str:
        """Who should hear of a job from another node of the queue, if anybody."""
        return "" if record.reply_to in self._here else record.reply_to

    def _tell(self, record: Record, reply_to: str) -> None:
        for peer, as_id in self._hearing(record.id, reply_to):
            self._end(peer, record, as_id)

    def _end(self, peer: str, record: Record, as_id: str) -> None:
        """Now, or when the peer takes more."""
        if self._link.is_full(peer) or peer in self._debts:
            self._debts.owe(peer, as_id)
        else:
            self._push(peer, record, as_id)

    def _push(self, peer: str, record: Record, as_id: str) -> None:
        try:
            self._link.push(peer, outcome(record, as_id))
        except (TooLarge, LocalProtocolError) as error:
            failure = Failure("TooLarge", f"its outcome cannot be sent: {error}", code="too_large")
            self._link.push(peer, failure_frame(as_id, max(1, record.attempt), failure))

    def _ended_meanwhile(self, record: Record | None) -> None:
        if record is not None and record.state.ended:
            self.ended(record)

    def _ended_elsewhere(self, record: Record | None, reply_to: str) -> None:
        if record is not None and record.state.ended:
            self._tell(record, reply_to)
            self._people.ended(record)

    def _step(self, job_id: str, reply_to: str, step: Progress) -> None:
        for peer, as_id in self._hearing(job_id, reply_to):
            if not self._link.is_full(peer):  # it is lossy, and the next one says more
                self._link.push(peer, _as(step, as_id))

    def _hearing(self, job_id: str, reply_to: str) -> list[tuple[str, str]]:
        hearing = [(reply_to, job_id)] if reply_to in self._here else []
        besides = self._besides.get(job_id)
        if besides:
            hearing += [key for key in besides if key not in hearing]
        return hearing

    def _no_longer(self, job_id: str, peer: str) -> None:
        besides = self._besides.get(job_id)
        if besides is None:
            return
        for key in [key for key in besides if key[0] == peer]:
            del besides[key]
            self._listeners -= 1
            self._of_peer[peer].discard((job_id, key[1]))
        if not besides:
            del self._besides[job_id]
        if not self._of_peer.get(peer, True):
            del self._of_peer[peer]


def outcome(record: Record, as_id: str) -> Succeeded | Failed | Cancelled:
    """An ended job's outcome as a frame, under the id by which it is asked for."""
    attempt = max(1, record.attempt)
    if record.state is JobState.SUCCEEDED and record.failure is None:
        return Succeeded(as_id, attempt, record.result or NULL)
    failure = record.failure or Failure("JobCancelled", record.cancelling or "it was cancelled")
    if record.state is JobState.CANCELLED:
        return Cancelled(as_id, attempt, shortened(failure.message))
    return failure_frame(as_id, attempt, failure)


def _as(step: Progress, as_id: str) -> Progress:
    if step.id == as_id:
        return step
    return Progress(as_id, step.attempt, step.seq, step.done, step.total, step.text)
