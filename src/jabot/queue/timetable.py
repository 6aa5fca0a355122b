"""When a schedule is due, and what is done about times that were missed. No I/O, no clock."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jabot.errors import ConfigError
from jabot.queue.store.verbs import Schedule
from jabot.schedule import Cron

MISSED: Final = 60.0  # seconds after which a time counts as missed
_SHORTEST: Final = 1.0  # seconds between two jobs of a schedule


class Firing(NamedTuple):
    """What is to be done about a schedule whose time has come."""

    submit: bool
    next: float | None


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
    if now - planned <= MISSED or schedule.missed == "all":
        return Firing(True, following)
    return Firing(schedule.missed == "once", _after(schedule, now, planned))


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
