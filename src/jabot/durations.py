"""Durations as people read them: two lengths for all that jabot tells them.

Clocks of two machines may differ: what would be less than nothing is nothing.
"""

from __future__ import annotations


def duration(seconds: float) -> str:
    """For a sentence, in whole units: `8 s`, `3 min`, `2 h 5 min`, `4 d`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{rest} s"


def brief(seconds: float) -> str:
    """For a table, in at most six characters: `3 ms`, `2.5 s`, `12 min`, `3 h`, `4 d`."""
    if seconds <= 0:
        return "0 ms"
    if seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for unit, size, most in (("s", 1.0, 120), ("min", 60.0, 120), ("h", 3600.0, 72)):
        if seconds < size * most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
