"""Fires schedules: has their jobs kept when their times come."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from jabot.alarm import Alarm
from jabot.errors import ConfigError, StoreUnavailable
from jabot.jid import JID, InvalidJID
from jabot.moments import Timers
from jabot.protocol.frames import Submit
from jabot.queue import timetable
from jabot.queue.arrivals import Arrivals, refusal
from jabot.queue.ledger import Ledger
from jabot.queue.rights import Rights
from jabot.queue.store.records import Schedule
from jabot.queue.store.verbs import Added, Fire, Schedules
from jabot.queue.timetable import Firing
from jabot.runner.job import new_job_id

log = logging.getLogger(__name__)

_AT_LEAST: Final = 30.0  # seconds between two looks at a schedule; the machine's clock may jump
_AGAIN: Final = 1.0  # seconds after which the store is asked again
_TURN: Final = 0.02  # seconds after which what else there is to do has its turn


class Calendar:
    """The schedules of a queue. They stay in the store, where the first of the queue's nodes to
    come moves each on.
    """

    def __init__(
        self,
        ledger: Ledger,
        arrivals: Arrivals,
        *,
        rights: Rights,
        wall: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._arrivals = arrivals
        self._rights = rights
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._ring)
        self._timers: Timers[str] = Timers()
        self._reload = Alarm(self.reload)
        self._schedules: dict[str, Schedule] = {}
        self._is_loading = False
        self._is_stale = False

    def reload(self) -> None:
        """The schedules have changed."""
        if self._is_loading:
            self._is_stale = True
            return
        self._is_loading, self._is_stale = True, False
        self._ledger.do(Schedules(), self._loaded, self._not_loaded)

    def close(self) -> None:
        """Stop."""
        self._alarm.cancel()
        self._reload.cancel()

    # -- within -------------------------------------------------------------------------------

    def _loaded(self, schedules: list[Schedule]) -> None:
        self._is_loading = False
        if self._is_stale:
            self.reload()
            return
        for name in self._schedules:
            self._timers.cancel(name)
        self._schedules = {schedule.name: schedule for schedule in schedules}
        for schedule in schedules:
            self._set(schedule)

    def _not_loaded(self, error: Exception) -> None:
        self._is_loading = False
        self._reload.set(self._loop.time() + _AGAIN)

    def _set(self, schedule: Schedule) -> None:
        if schedule.next is not None and not schedule.paused:
            self._soon(schedule.name, max(0.0, min(schedule.next - self._wall(), _AT_LEAST)))

    def _soon(self, name: str, wait: float) -> None:
        at = self._loop.time() + wait
        self._timers.set(name, at)
        self._alarm.set(at)

    def _ring(self) -> None:
        """Look at what is due. When many times were missed, each look takes milliseconds."""
        begun, now = time.perf_counter(), self._loop.time()
        for place, name in enumerate(self._timers.due(now)):
            if place and time.perf_counter() - begun > _TURN:
                self._timers.set(name, now)
            elif name in self._schedules:  # not removed since a firing of it failed
                self._look_at(self._schedules[name])
        self._alarm.set(self._timers.next())

    def _look_at(self, schedule: Schedule) -> None:
        now = self._wall()
        if schedule.next is None or schedule.next > now:
            self._set(schedule)
            return
        firing, problem = self._firing(schedule, now)
        if problem and problem != schedule.problem:
            log.error("schedule %s does not fire: %s", schedule.name, problem)
        if firing.left_out:
            log.warning(
                "schedule %s missed more than %d times: the oldest are left out",
                schedule.name,
                timetable.MOST,
            )
        job = None
        if firing.submit:
            asked = Submit(
                new_job_id(),
                schedule.task,
                schedule.args,
                schedule.kwargs,
                timeout=schedule.timeout,
            )
            job = self._arrivals.job(asked, schedule.options, schedule.owner)
        verb = Fire(schedule.name, schedule.next, firing.next, job, problem)
        self._ledger.do(
            verb,
            partial(self._fired, schedule, verb),
            partial(self._not_fired, schedule, verb),
        )

    def _firing(self, schedule: Schedule, now: float) -> tuple[Firing, str]:
        """What is to be done now that its time has come, and why it is not what was meant."""
        try:
            firing = timetable.firing(schedule, now)
            owner = JID(schedule.owner)
        except (ConfigError, InvalidJID) as error:  # a time zone that is no more, for one
            return Firing(False, None), str(error)
        except (ValueError, OverflowError, OSError) as error:
            return Firing(False, None), f"no time can be made of {schedule.next:g}: {error}"
        decision = self._rights.may_run(owner, schedule.task)
        if not decision:
            text = f"{schedule.owner} may not run {schedule.task}: {decision.reason}"
            return Firing(False, firing.next), text
        return firing, ""

    def _not_fired(self, schedule: Schedule, verb: Fire, error: Exception) -> None:
        if verb.job is None or isinstance(error, StoreUnavailable):
            self._soon(schedule.name, _AGAIN)
            return
        why = f"its job cannot be kept: {error}"  # nor another time: this one is left out
        log.error("schedule %s does not fire: %s", schedule.name, why)
        noted = Fire(schedule.name, verb.planned, verb.next, None, why)
        self._ledger.do(noted, lambda _: self.reload(), lambda _: self._soon(schedule.name, _AGAIN))

    def _fired(self, schedule: Schedule, verb: Fire, added: Added | None) -> None:
        if verb.job is None or added is None:  # perhaps another node of the queue was faster
            self.reload()
            return
        if added.refused:
            why = f"its job was refused: {refusal(verb.job, added)}"
            log.error("schedule %s does not fire: %s", schedule.name, why)
            if verb.next is not None:
                noted = Fire(schedule.name, verb.next, verb.next, None, why)
                self._ledger.do(noted, lambda _: self.reload())
            return
        log.info("schedule %s: job %s", schedule.name, added.id)
        self._arrivals.expect(verb.job)
        if self._schedules.get(schedule.name) is schedule:  # nobody has changed it meanwhile
            moved = msgspec.structs.replace(schedule, next=verb.next, problem="")
            self._schedules[schedule.name] = moved
            self._set(moved)
