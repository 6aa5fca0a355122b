"""Schedules, for those who look after them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from jabot.errors import BadArguments, ConfigError, NotAllowed
from jabot.jid import JID
from jabot.protocol.options import RESERVED, JobOptions
from jabot.queue import timetable
from jabot.queue.answers import ScheduleLine, schedule_line
from jabot.queue.ledger import Ledger
from jabot.queue.names import check_names
from jabot.queue.rights import Rights
from jabot.queue.store.records import Schedule
from jabot.queue.store.store import Store
from jabot.queue.store.verbs import DropSchedule, PutSchedule, Schedules

log = logging.getLogger(__name__)

MOST: Final = 1000  # schedules of one account
_NAME: Final = 64  # characters
_LARGEST: Final = 65_536  # bytes of arguments
_SHOWN: Final = 3  # next times
_LONGEST: Final = 315_360_000.0  # seconds that a job may be given: ten years
# What is about one job, and not about each of many.
_OF_ONE_JOB: Final = {
    "at": "a schedule has times of its own",
    "after": "its jobs come after no others",
    "key": "each of its jobs is another one",
}


class Agenda:
    """Keeps schedules. Each method takes who asks: everybody who may call has schedules of his own,
    and those who manage the queue also see, pause and remove those of others.

    `changed()` is called when there is something new to heed. One account has up to `most`
    schedules. Raises `NotAllowed`, `BadArguments`, and `StoreUnavailable` when it cannot be done
    now.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        changed: Callable[[], None],
        *,
        rights: Rights,
        most: int = MOST,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._changed = changed
        self._rights = rights
        self._most = most
        self._wall = wall

    async def schedules(self, who: JID) -> list[ScheduleLine]:
        """All that somebody may see, by name."""
        found: list[Schedule] = await self._store.read(Schedules(self._rights.scope(who)))
        return [self._line(schedule) for schedule in found]

    async def add(self, who: JID, schedule: Schedule) -> ScheduleLine:
        """Keep a schedule, or another version of the one of that name: it is whose it says.

        What could never fire is refused, naming what is wrong.
        """
        self._rights.scope(who)
        self._rights.check(str(who), schedule.task)
        _check(schedule)
        now = self._wall()
        schedule = msgspec.structs.replace(
            schedule, owner=who.bare, next=_first(schedule, now), last=None, problem=""
        )
        mine: list[Schedule] = await self._store.read(Schedules(who.bare))
        if len(mine) >= self._most and all(other.name != schedule.name for other in mine):
            raise BadArguments(f"{who.bare} has {self._most:,} schedules already; remove some")
        if not await self._ledger.ask(PutSchedule(schedule, who.bare)):
            raise NotAllowed(
                f"the schedule {schedule.name} is another account's; take another name"
            )
        log.info("%s has the schedule %s for %s", who.bare, schedule.name, schedule.task)
        self._changed()
        return self._line(schedule)

    async def pause(self, who: JID, name: str) -> ScheduleLine:
        """Submit no more jobs of a schedule."""
        schedule = await self._found(who, name)
        return await self._put(who, msgspec.structs.replace(schedule, paused=True))

    async def resume(self, who: JID, name: str) -> ScheduleLine:
        """Submit jobs of a schedule again: from its next time on, nothing is made up for."""
        schedule = await self._found(who, name)
        _check(schedule)
        following = _first(schedule, self._wall())
        fresh = msgspec.structs.replace(schedule, paused=False, next=following, problem="")
        return await self._put(who, fresh)

    async def remove(self, who: JID, name: str) -> None:
        """Forget a schedule; its jobs stay."""
        scope = self._rights.scope(who)
        if not await self._ledger.ask(DropSchedule(name, scope)):
            raise _unknown(name, scope)
        log.info("%s removes the schedule %s", who.bare, name)
        self._changed()

    # -- within -------------------------------------------------------------------------------

    async def _found(self, who: JID, name: str) -> Schedule:
        scope = self._rights.scope(who)
        for schedule in await self._store.read(Schedules(scope)):
            if schedule.name == name:
                found: Schedule = schedule
                return found
        raise _unknown(name, scope)

    async def _put(self, who: JID, schedule: Schedule) -> ScheduleLine:
        """`last` is the store's: it may have fired meanwhile."""
        verb = PutSchedule(msgspec.structs.replace(schedule, last=None), self._rights.scope(who))
        if not await self._ledger.ask(verb):
            raise NotAllowed(f"the schedule {schedule.name} is another account's by now")
        state = "pauses" if schedule.paused else "resumes"
        log.info("%s %s the schedule %s", who.bare, state, schedule.name)
        self._changed()
        return self._line(schedule)

    def _line(self, schedule: Schedule) -> ScheduleLine:
        decision = self._rights.may_run(JID(schedule.owner), schedule.task)
        problem = schedule.problem
        upcoming: list[float] = []
        try:
            timetable.check(schedule)
            if not schedule.paused:
                upcoming = timetable.upcoming(schedule, _SHOWN)
        except ConfigError as error:
            problem = str(error)
        if not decision:
            problem = f"{schedule.owner} may not run {schedule.task}: {decision.reason}"
        return schedule_line(schedule, upcoming, problem)


def _check(schedule: Schedule) -> None:
    """Raises `BadArguments` for one that cannot be kept."""
    name = schedule.name
    if not 0 < len(name) <= _NAME or not name.isprintable() or name != name.strip():
        raise BadArguments(f"name: {name[:_NAME]!r}; give 1 to {_NAME} printable characters")
    if not schedule.task or schedule.task.startswith(RESERVED):
        raise BadArguments(f"task: {schedule.task!r} is done by no worker, so it has no schedule")
    check_names(schedule.task, schedule.options)
    plain = JobOptions()
    for option, reason in _OF_ONE_JOB.items():
        if getattr(schedule.options, option) != getattr(plain, option):
            raise BadArguments(f"{option}: {reason}")
    if schedule.timeout is not None and not 0 < schedule.timeout <= _LONGEST:
        raise BadArguments(
            f"timeout: {schedule.timeout:g} s; give more than 0, and ten years at most"
        )
    if len(schedule.args) + len(schedule.kwargs) > _LARGEST:
        raise BadArguments(f"schedule {name}: its arguments are larger than {_LARGEST:,} bytes")
    try:
        timetable.check(schedule)
    except ConfigError as error:
        raise BadArguments(f"schedule {name}: {error}") from None


def _first(schedule: Schedule, now: float) -> float:
    following = timetable.first(schedule, now)
    if following is None:
        raise BadArguments(
            f"schedule {schedule.name}: the cron line {schedule.cron!r} names no time that comes "
            "within 50 years"
        )
    return following


def _unknown(name: str, scope: str | None) -> BadArguments:
    return BadArguments(f"there is no schedule {name}{' of yours' if scope is not None else ''}")
