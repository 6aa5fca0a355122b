"""When something is to be looked at about a job. No I/O, no clock."""

from __future__ import annotations

from jabot.protocol.options import JobOptions


def due(options: JobOptions, now: float) -> float:
    """The moment before which a job that is submitted now is not begun."""
    return max(now + options.delay, options.at or 0.0)


def first_look(options: JobOptions, now: float, timeout: float | None = None) -> float | None:
    """When upkeep is to look first at what a job that is submitted now may wait for; None: at
    nothing. What comes after that, `Due` tells."""
    begin = due(options, now)
    moments = [begin] if begin > now or options.lane is not None else []
    if timeout is not None:
        moments.append(now + timeout)
    if options.expires is not None:
        moments.append(begin + options.expires)
    return min(moments, default=None)
