"""Who is at work: hello, heartbeats, and what workers say that they hold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from jabot.protocol.frames import Cancel, Heartbeat, Hello, Query, Rejected, State
from jabot.protocol.options import RESERVED, JobOptions
from jabot.protocol.refusals import shortened
from jabot.queue.catalogue import Catalogue
from jabot.queue.crew import Crew
from jabot.queue.ledger import Ledger
from jabot.queue.outcomes import Outcomes
from jabot.queue.promise import Promise
from jabot.queue.ready import Ready
from jabot.queue.rights import Rights
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import Adopt, Orphans
from jabot.xmpp import Link

log = logging.getLogger(__name__)

_tasks = msgspec.json.Decoder(dict[str, JobOptions] | None)
_SLOTS: Final = 100_000  # that are believed of one worker
_SILENCE: Final = 3.0  # seconds without a sign after which another node of the queue is no more


class Attendance:
    """Keeps what workers say and what the store says of them together."""

    def __init__(
        self,
        link: Link,
        crew: Crew,
        ledger: Ledger,
        ready: Ready,
        outcomes: Outcomes,
        catalogue: Catalogue,
        *,
        rights: Rights,
        wall: Callable[[], float],
    ) -> None:
        self._link = link
        self._crew = crew
        self._ledger = ledger
        self._ready = ready
        self._outcomes = outcomes
        self._catalogue = catalogue
        self._rights = rights
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._online = True

    # -- they come and go ---------------------------------------------------------------------

    def heard(self, peer: str) -> None:
        """A worker said something."""
        if self._crew.heard(peer):
            self._ready.look_for()

    def hello(self, peer: str, account: str, hello: Hello, promise: Promise) -> None:
        """A worker says what it can do, and what it has."""
        if not self._rights.may_work(account):
            self._refuse(peer, "not_allowed", f"{account} may not work for this queue")
            return
        try:
            tasks = _tasks.decode(hello.tasks) or {}
        except msgspec.MsgspecError as error:
            self._refuse(peer, "bad_arguments", f"its tasks cannot be read: {error}")
            return
        taken = [name for name in tasks if name.startswith(RESERVED)]
        if taken:
            self._link.complain(peer, f"offers {', '.join(taken)}, which the queue itself does")
            tasks = {name: value for name, value in tasks.items() if name not in taken}
        new = self._crew.get(peer) is None
        worker = self._crew.hello(peer, account, min(hello.slots or 0, _SLOTS), tasks, hello.labels)
        log.log(
            logging.INFO if new else logging.DEBUG,
            "%s works here: %d slots, tasks: %s",
            peer,
            worker.slots,
            ", ".join(sorted(tasks)),
        )
        self._catalogue.spoke(peer, hello.version, tasks)
        for held in self._crew.missing(peer, hello.held):
            self._outcomes.is_lost(held, "does not have it any more")
        unknown = self._crew.renew(peer, hello.held, self._loop.time())
        if unknown:
            verb = self._adopt(peer, unknown)
            promise.wait(self._ledger, verb, partial(self._adopted, peer, unknown))
        for held in self._crew.at(peer):  # it may not have had the word before
            if held.cancelling is not None:
                self._outcomes.cancel(held.id, held.cancelling)
        self._ready.look_for(*worker.tasks)
        self._outcomes.watch()

    def gone(self, peer: str, now: float) -> None:
        """A worker's presence went, or nobody has its address."""
        self._catalogue.gone(peer)
        if self._crew.gone(peer, now):
            log.info("%s is gone", peer)
            self._outcomes.watch()

    def refuses(self, peer: str, error: Exception) -> None:
        """A worker will not take what it was sent."""
        worker = self._crew.get(peer)
        if worker is not None:
            self._link.complain(peer, f"refuses the queue's jobs: {error}")
            worker.slots = 0  # until it says hello again

    def offline(self) -> None:
        """Our own connection went: the workers are where they were, and nothing can be given to
        others. Their leases begin anew when it is back."""
        self._online = False
        self._crew.offline()
        self._outcomes.offline()

    def online(self, now: float) -> None:
        """The workers see that, and say hello."""
        self._online = True
        self._crew.online(now)
        self._outcomes.online()
        self.take_over()

    # -- what they have -----------------------------------------------------------------------

    def heartbeat(self, peer: str, heartbeat: Heartbeat, now: float) -> None:
        """A worker says what it still runs."""
        if self._crew.get(peer) is not None and not self._link.is_free(peer):
            self._crew.spare(peer, now)
        strangers = self._crew.renew(peer, heartbeat.held, now)
        if strangers:  # after a restart, or while its hello waits for the store: that knows
            verb = self._adopt(peer, strangers)
            self._ledger.do(verb, partial(self._adopted, peer, strangers), _not_now)

    def stands(self, peer: str, state: State) -> None:
        """The answer to our question for a job that the store says it has."""
        held = self._crew.holding(peer, state.id, state.attempt)
        if state.state == "unknown" and held is not None and not held.ending:
            self._outcomes.is_lost(held, "does not have it")

    def take_over(self) -> None:
        """Learn of the running jobs that are ours without our knowing, and say that we live: not
        while we are offline, so that another node of the queue looks after what we have."""
        if not self._online:
            return
        node = str(self._rights.own())
        self._ledger.do(Orphans(node, _SILENCE, self._wall()), self._taken_over, _not_now)

    # -- within -------------------------------------------------------------------------------

    def _refuse(self, peer: str, code: str, text: str) -> None:
        self._link.complain(peer, text)
        self._link.push(peer, Rejected("hello", 0, code, shortened(text)))

    def _adopted(self, peer: str, pairs: list[tuple[str, int]], records: list[Record]) -> None:
        now = self._loop.time()
        stand = {(record.id, record.attempt) for record in records}
        for record in records:
            if self._crew.holding(record.worker, record.id, record.attempt) is None:
                self._hold(record, now)
        for job_id, attempt in pairs:
            if (job_id, attempt) not in stand:
                self._disown(peer, job_id, attempt)
        self._outcomes.watch()

    def _adopt(self, peer: str, pairs: list[tuple[str, int]]) -> Adopt:
        return Adopt(str(self._rights.own()), peer, pairs, self._wall())

    def _hold(self, record: Record, now: float) -> None:
        held = self._crew.hold(record, now, acked=True)
        worker = self._crew.get(held.worker)
        if held.cancelling is not None and worker is not None and worker.here:
            self._outcomes.cancel(record.id, held.cancelling)

    def _disown(self, peer: str, job_id: str, attempt: int) -> None:
        """It runs what was given to another, or has ended."""
        held = self._crew.holding(peer, job_id, attempt)
        if held is not None:
            self._crew.let_go(held)
        log.info("%s still has attempt %d of job %s, which is over", peer, attempt, job_id)
        self._link.push(peer, Cancel(job_id, attempt, "this attempt is over"))

    def _taken_over(self, records: list[Record]) -> None:
        now = self._loop.time()
        for record in records:
            held = self._crew.holding(record.worker, record.id, record.attempt)
            if held is None:
                self._hold(record, now)
                log.info("job %s runs at %s, as the store says", record.id, record.worker)
                worker = self._crew.get(record.worker or "")
                if worker is not None and worker.here:  # who comes later says what it has
                    self._link.push(worker.jid, Query(record.id, record.attempt))
            elif record.cancelling is not None and held.cancelling is None:
                self._outcomes.cancel(record.id, record.cancelling)  # another node's word was lost
        self._take_back({record.id for record in records})
        self._outcomes.watch()

    def _take_back(self, ours: set[str]) -> None:
        """Another node took us for dead, and what our workers have for its own."""
        for worker in self._crew:
            pairs = [
                (held.id, held.attempt)
                for held in worker.held.values()
                if held.acked and not held.ending and held.id not in ours
            ]
            if pairs and worker.here:
                log.warning("%s has %d jobs that another node took over", worker.jid, len(pairs))
                verb = self._adopt(worker.jid, pairs)
                self._ledger.do(verb, partial(self._adopted, worker.jid, pairs), _not_now)


def _not_now(error: Exception) -> None:
    """It is asked for again: with the next heartbeat, or when the store can be used again."""
