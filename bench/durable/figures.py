"""From what visits to a durable subject measured to its entry in the JSON file.

    "durable": {
      "start_p50_ms", "start_p99_ms": from submit to start, one job at a time (median of rounds)
      "starts":   {"p50_ms": spread, "p99_ms": spread}
      "on_disk":  what is on disk once a submit has returned
      "recovery": {
        "cap_s":    how long was waited
        "seconds":  one per crash, from kill -9 to the next attempt; null: not within the cap
        "median_s": their median, null when one of them is
        "jobs", "cut", "unfinished", "ran_twice": sums over the crashes, as in `Crash`
      }
    }

beside `label`, `in_flight`, `jobs_per_s` and `versions`, which every subject has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.durable.jobs import Entry
from bench.figures import Visit, percentile, significant, spread, summary

_NANOSECONDS_IN_MS = 1e6
_NANOSECONDS_IN_S = 1e9


@dataclass(frozen=True)
class Crash:
    """What became of jobs that a queue had accepted, when one of two workers was killed."""

    recovery_s: float | None  # from the kill to the next attempt of the job that was held
    jobs: int  # accepted
    cut: int  # that the killed worker had started and not ended
    unfinished: int  # that nobody had run to the end when the cap was reached
    ran_twice: int  # run to the end more than once


@dataclass(frozen=True)
class DurableVisit(Visit):
    """What one round measured of one durable subject."""

    start_p50_ms: float = 0.0
    start_p99_ms: float = 0.0
    crash: Crash | None = None


def starts_ms(latencies: Sequence[int]) -> tuple[float, float]:
    """The median and the 99th percentile of what a caller answered in nanoseconds."""
    return (
        percentile(latencies, 50) / _NANOSECONDS_IN_MS,
        percentile(latencies, 99) / _NANOSECONDS_IN_MS,
    )


def crash_from(
    journal: Sequence[Entry], jobs: Sequence[int], held: int, killed: str, killed_at: int
) -> Crash:
    """Read from the journal what became of the jobs after worker `killed` was killed."""
    ends = [entry.job for entry in journal if entry.what == "end"]
    begun = {entry.job for entry in journal if entry.what == "start" and entry.worker == killed}
    ended = {entry.job for entry in journal if entry.what == "end" and entry.worker == killed}
    again = [
        entry.at - killed_at
        for entry in journal
        if entry.job == held and entry.what == "start" and entry.worker != killed
    ]
    return Crash(
        recovery_s=min(again) / _NANOSECONDS_IN_S if again else None,
        jobs=len(jobs),
        cut=len((begun - ended) & set(jobs)),
        unfinished=len(set(jobs) - set(ends)),
        ran_twice=sum(ends.count(job) > 1 for job in jobs),
    )


def durable_summary(visits: Sequence[DurableVisit], on_disk: str, cap_s: float) -> dict[str, Any]:
    """The entry of a durable subject, from all its rounds."""
    p50, p99 = (
        spread([each.start_p50_ms for each in visits]),
        spread([each.start_p99_ms for each in visits]),
    )
    crashes = [each.crash for each in visits if each.crash is not None]
    return summary(visits) | {
        "durable": {
            "start_p50_ms": p50["median"],
            "start_p99_ms": p99["median"],
            "starts": {"p50_ms": p50, "p99_ms": p99},
            "on_disk": on_disk,
            "recovery": _recovery(crashes, cap_s) if crashes else None,
        }
    }


def _recovery(crashes: Sequence[Crash], cap_s: float) -> dict[str, Any]:
    seconds = [each.recovery_s for each in crashes]
    measured = [significant(each) for each in seconds if each is not None]
    return {
        "cap_s": cap_s,
        "seconds": [None if each is None else significant(each) for each in seconds],
        "median_s": median(measured) if len(measured) == len(seconds) else None,
        "jobs": sum(each.jobs for each in crashes),
        "cut": sum(each.cut for each in crashes),
        "unfinished": sum(each.unfinished for each in crashes),
        "ran_twice": sum(each.ran_twice for each in crashes),
    }
