"""When a schedule is due, and what is done about times that were missed. No I/O, no clock."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jabot.errors import ConfigError
from jabot.queue.store.records import Schedule
from jabot.schedule import Cron

MISSED: Final = 60.0  # seconds after which a time counts as missed
MOST: Final = 1000  # missed times that `all` makes up for
_SHORTEST: Final = 1.0  # seconds between two jobs of a schedule


class Firing(NamedTuple):
    """What is to be done about a schedule whose time has come."""

    submit: bool
    next: float | None
    left_out: bool = False
    """Whether this time, and those up to `next`, are too many to be made up for."""


def check(schedule: Schedule) -> None:
    """Raises `ConfigError` for one that cannot be understood, naming what is wrong."""
    if (schedule.cron is None) == (schedule.every is None):
        raise ConfigError("give a cron line or an interval, one of both")
    if schedule.every is not None and not _SHORTEST <= schedule.every < float("inf"):
        raise ConfigError(f"an interval is at least {_SHORTEST:g} s, not {schedule.every:g} s")
    _zone(schedule)
    if schedule.cron is not None:
        Cron(schedule.cron)


def first(schedule: Schedule, now: float) -> float | None:
    """The first time after `now`; None when there is none within 50 years."""
    return _after(schedule, now, now)


def upcoming(schedule: Schedule, count: int) -> list[float]:
    """`schedule.next`, and those after it, up to `count`."""
    moments: list[float] = []
    moment = schedule.next
    while moment is not None and len(moments) < count:
        moments.append(moment)
        moment = _after(schedule, moment, moment)
    return moments


def firing(schedule: Schedule, now: float) -> Firing:
    """What the time `schedule.next`, which has come, means at `now`."""
    planned = schedule.next if schedule.next is not None else now
    following = _after(schedule, planned, planned)
    if now - planned <= MISSED:
        return Firing(True, following)
    if schedule.missed == "all":
        if _are_too_many(schedule, planned, following, now):
            return Firing(False, _first_of_newest(schedule, planned, now), True)
        return Firing(True, following)
    return Firing(schedule.missed == "once", _after(schedule, now, planned))


def _are_too_many(schedule: Schedule, planned: float, following: float | None, now: float) -> bool:
    """Whether more than `MOST` times have passed, from `planned` on. (Where the next one is far
    away, it is looked for only when that has come.)"""
    if following is None or (now - planned) / (following - planned) < MOST:
        return False
    return _count(schedule, planned, now) >= MOST


def _first_of_newest(schedule: Schedule, planned: float, now: float) -> float | None:
    """The first of the newest times up to `now`: of `MOST` of them, or half as many at least. There
    are more than that from `planned` on."""
    older, newer = planned, now
    # Where they come evenly, that is looked at first which is asked for.
    gap = (_after(schedule, planned, planned) or now) - planned
    middle = max(planned, now - 0.75 * MOST * gap)
    while True:
        count = _count(schedule, middle, now)
        if count > MOST:
            older = middle
        elif count < MOST // 2:
            newer = middle
        else:
            return _after(schedule, middle, planned)
        middle = (older + newer) / 2


def _count(schedule: Schedule, moment: float, now: float) -> int:
    """How many times there are after a moment, and up to `now`: to one more than `MOST`."""
    if schedule.every is not None:
        return min(MOST + 1, int((now - moment) // schedule.every))
    zone = _zone(schedule)
    times = Cron(schedule.cron or "", zone).after(datetime.fromtimestamp(moment, zone))
    passed = itertools.takewhile(lambda time: time.timestamp() <= now, times)
    return sum(1 for _ in itertools.islice(passed, MOST + 1))


def _after(schedule: Schedule, moment: float, anchor: float) -> float | None:
    if schedule.every is not None:
        return anchor + schedule.every * (max(0, (moment - anchor) // schedule.every) + 1)
    zone = _zone(schedule)
    then = datetime.fromtimestamp(moment, zone)
    delay = Cron(schedule.cron or "", zone).delay(then, then)
    # Times of a cron line are whole seconds; a sum of floats may be a hair before one.
    return None if delay == float("inf") else float(round(moment + delay))


def _zone(schedule: Schedule) -> ZoneInfo:
    try:
        return ZoneInfo(schedule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"there is no time zone {schedule.zone!r} here; write one as Europe/Berlin"
        ) from None
