"""Looking after jobs: what those may see and do who ask for it, whichever way they came in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from jabot.errors import BadArguments, NotAllowed, UnknownJob
from jabot.jid import JID
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, JobSheet, WorkerLine, job_line, job_sheet
from jabot.queue.arrivals import Arrivals
from jabot.queue.ledger import Ledger
from jabot.queue.outcomes import Outcomes
from jabot.queue.reasons import Scene, scene, why
from jabot.queue.rights import Rights
from jabot.queue.store.records import Record
from jabot.queue.store.store import Store
from jabot.queue.store.verbs import Cancel, Count, Filter, List, Look, Purge, Revive, Stats
from jabot.queue.workforce import Workforce

log = logging.getLogger(__name__)

MOST: Final = 1000  # jobs in one page
RECENT: Final = 10_000  # the newest jobs of the queue, among which a short id is looked for
SHORTEST: Final = 4  # characters of a short id
_CANDIDATES: Final = 5  # jobs that are named when a short id is not clear
_PURGED: Final = 1000  # jobs in one transaction, so that others get their turn
_PARENTS: Final = 100  # that are looked at to tell what a job waits for


class Office:
    """Answers those who look after jobs, and does what they want done.

    Each method takes who asks. Everybody who may call sees and handles his own jobs; those who
    manage the queue do so with those of all. A job is named by its id, or by the end of it where
    that is clear among the newest jobs and those that run.

    Raises `NotAllowed`, `UnknownJob`, `BadArguments`, and `StoreUnavailable` when it cannot be done
    now.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        arrivals: Arrivals,
        outcomes: Outcomes,
        workforce: Workforce,
        *,
        rights: Rights,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._arrivals = arrivals
        self._outcomes = outcomes
        self._workforce = workforce
        self._rights = rights
        self._wall = wall

    async def jobs(self, who: JID, chosen: Filter, most: int = 100) -> list[JobLine]:
        """Up to `most` (1,000) jobs that a filter fits, the newest first. The next page comes after
        the id of the last one (`before`)."""
        chosen = self._within(who, chosen)
        if not 1 <= most <= MOST:
            raise BadArguments(f"limit: from 1 to {MOST}, not {most}; the rest is the next page")
        records: list[Record] = await self._store.read(List(chosen, most))
        return [job_line(record) for record in records]

    async def show(self, who: JID, job: str) -> JobSheet:
        """All about one job, and why it is where it is."""
        record = await self._found(self._rights.scope(who), job)
        parents = {} if record.state.ended else await self._parents(record)
        return job_sheet(record, why(record, await self._around(record), parents))

    async def cancel(self, who: JID, job: str, reason: str = "") -> JobLine:
        """Stop a job: as it is then. One that runs is `running` until its worker has stopped it."""
        scope = self._rights.scope(who)
        record = await self._found(scope, job)
        if not reason and record.owner != who.bare:
            reason = f"by {who.bare}"
        stopped = await self._ledger.ask(Cancel(record.id, scope, reason, self._wall()))
        if stopped is None:
            raise _unknown(job, scope)
        self._outcomes.stopped(stopped)
        log.info("%s cancels job %s of %s", who.bare, record.id, record.owner)
        return job_line(stopped.record)

    async def retry(self, who: JID, job: str) -> JobLine:
        """Run a job again that failed or was cancelled, with a full number of attempts."""
        scope = self._rights.scope(who)
        found = await self._found(scope, job)
        record: Record | None = await self._ledger.ask(Revive(found.id, scope, self._wall()))
        if record is None:
            found = await self._found(scope, found.id)
            raise BadArguments(
                f"{found.task} {found.id} is {found.state.value}: only a job that failed or was "
                "cancelled is run again"
            )
        if record.state.ended:
            raise BadArguments(
                f"{record.task} {record.id} comes after a job that failed, was cancelled or is no "
                "longer kept; run that one again first"
            )
        self._arrivals.again(record)
        log.info("%s has job %s of %s run again", who.bare, record.id, record.owner)
        return job_line(record)

    async def count(self, who: JID, chosen: Filter) -> int:
        """How many jobs `purge` would delete."""
        count: int = await self._store.read(Count(self._within(who, chosen)))
        return count

    async def purge(
        self, who: JID, chosen: Filter, told: Callable[[int], None] = lambda _: None
    ) -> int:
        """Delete the ended jobs that a filter fits, and say how many they were. One that another
        still waits for stays. `told` hears how many are gone already."""
        verb = Purge(self._within(who, chosen), _PURGED)
        total = 0
        while count := await self._ledger.ask(verb):
            total += count
            told(total)
        log.info("%s has had %d ended jobs deleted", who.bare, total)
        return total

    # -- within -------------------------------------------------------------------------------

    def _within(self, who: JID, chosen: Filter) -> Filter:
        """The filter, and no more than what somebody may see."""
        scope = self._rights.scope(who)
        if scope is None:
            return chosen
        if chosen.owner not in (None, scope):
            raise NotAllowed(f"only those who manage this queue see the jobs of {chosen.owner}")
        return msgspec.structs.replace(chosen, owner=scope)

    async def _found(self, scope: str | None, job: str) -> Record:
        """The job of an id, or of the end of one."""
        record: Record | None = await self._store.read(Look(job, scope))
        if record is not None:
            return record
        ending = job.casefold()
        if len(ending) < SHORTEST:
            raise BadArguments(
                f"{job!r} is too short for an id: give {SHORTEST} characters of its end, or more"
            )
        verb = List(Filter(owner=scope, ending=ending), _CANDIDATES, within=RECENT)
        recent: list[Record] = await self._store.read(verb)
        running = [each for each in self._workforce.held(scope) if each.endswith(ending)]
        ids = list(dict.fromkeys([*(each.id for each in recent), *running]))
        if len(ids) > 1:
            named = ", ".join(ids[:_CANDIDATES])
            raise BadArguments(f"{job}: more than one job ends so: {named}; give more of its id")
        if ids:
            record = await self._store.read(Look(ids[0], scope))
        if record is None:
            raise _unknown(job, scope)
        return record

    async def _around(self, record: Record) -> Scene:
        """What a job's chances depend on, as far as its state does."""
        workers: list[WorkerLine] = []
        if record.state in (JobState.AVAILABLE, JobState.RUNNING):
            workers, _ = await self._workforce.everywhere()
        if record.state is JobState.AVAILABLE:
            now = self._wall()
            return scene(now, workers, await self._store.read(Stats(now)))
        return Scene(self._wall(), workers)

    async def _parents(self, record: Record) -> dict[str, Record | None]:
        if record.waits_for <= 0:
            return {}
        return {
            job_id: await self._store.read(Look(job_id, record.owner))
            for job_id in record.options.after[:_PARENTS]
        }


def _unknown(job: str, scope: str | None) -> UnknownJob:
    of_yours = " of yours" if scope is not None else ""
    return UnknownJob(
        f"there is no job {job}{of_yours} here; a short id is looked for among the newest "
        f"{RECENT:,} jobs of the queue and those that run"
        if len(job) < 32
        else f"there is no job {job}{of_yours} here"
    )
