"""When a timer is due: intervals and cron lines, without a clock of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

from jabot.errors import ConfigError

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def parse_duration(value: str | float) -> float:
    """Seconds from `2.5`, `"2.5s"`, `"100ms"`, `"5m"` or `"1h 30m"`.

    Raises `ConfigError` when it cannot be read, or is not more than zero.
    """
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if not parts or _DURATION.sub("", value):
            raise ConfigError(f"{value!r} is not a duration; write 500ms, 10s, 5m, 2h or 1h 30m")
        seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    else:
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{value!r} is not a duration; write 2.5 or 10s") from None
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"a duration is more than zero, not {value!r}")
    return seconds


@dataclass(frozen=True)
class Every:
    """Due each `seconds`, counted from the start; ticks that were missed are left out."""

    seconds: float

    def delay(self, now: datetime, started: datetime) -> float:
        """Seconds from `now` to the next tick."""
        elapsed = (now - started).total_seconds()
        return self.seconds - elapsed % self.seconds


class MachineZone(tzinfo):
    """The machine's time zone, with its changes of summer time.

    `datetime.astimezone()` alone gives the offset of one moment, which is wrong on the other side
    of a change.
    """

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        local = datetime.fromtimestamp(moment.replace(tzinfo=UTC).timestamp())
        return local.replace(tzinfo=self)  # it keeps the `fold` of the hour that comes twice


@dataclass(frozen=True)
class Cron:
    """Due when a cron line says so, in the time zone `zone` (the machine's when None).

    The line has five fields (minute, hour, day, month, weekday), or six with seconds first.
    Changes of summer time are handled as Debian's cron does: nothing is skipped or run twice.
    """

    line: str
    zone: tzinfo | None = None

    def __post_init__(self) -> None:
        try:
            CronSim(self.line, datetime(2000, 1, 1))
        except CronSimError as error:
            raise ConfigError(f"cron line {self.line!r}: {error}") from None

    def delay(self, now: datetime, started: datetime) -> float:
        """Seconds from `now` to the next time; infinite when there is none within 50 years."""
        due = next(self.after(now), None)
        if due is None:
            return float("inf")
        # Two times of one zone are subtracted by what the wall clock shows.
        return (due.astimezone(UTC) - now.astimezone(UTC)).total_seconds()

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times after a moment, one by one; no more when there is none within 50 years."""
        times: Iterator[datetime] = CronSim(
            self.line, moment.astimezone(self.zone or MachineZone())
        )
        return times
