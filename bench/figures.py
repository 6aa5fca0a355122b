"""From what single visits measured to the figures of a run: medians, spreads, ratios, targets."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from bench.plan import HEADLINE, ONE_AT_A_TIME

PROCESSES = ("caller", "worker", "server")
_ROOM_LIMITS = {"join_s": 60.0, "broadcast_as_guest_s": 2.0, "broadcast_most_s": 2.0}
_RELATIONS = {"≥": operator.ge, "≤": operator.le, "<": operator.lt}
Results = Mapping[str, Mapping[str, Any]]  # subject: its entry in the JSON file


@dataclass(frozen=True)
class Load:
    """One load of one visit."""

    in_flight: int
    jobs_per_s: float
    cpu_s_per_1000: dict[str, float]  # process: seconds of CPU for 1,000 jobs
    memory_mb: dict[str, float]  # process: MB when the load was over
    rtt_p50_ms: float | None = None  # with one in flight only
    rtt_p99_ms: float | None = None


@dataclass(frozen=True)
class Idle:
    """A worker that is signed in and has nothing to do."""

    cpu_percent: float  # of one core
    rss_mb: float


@dataclass(frozen=True)
class Visit:
    """What one round measured of one subject."""

    loads: Sequence[Load]
    idle: Idle | None = None


@dataclass(frozen=True)
class Target:
    """What a run is to show. `figures` gives one value a round, or nothing when it cannot."""

    what: str
    relation: Literal["≥", "≤", "<"]
    wanted: float
    figures: Callable[[Results], Sequence[float]]

    def judge(self, results: Results) -> dict[str, Any] | None:
        """The figure, its spread, and whether it is what was wanted; None when not measured."""
        values = self.figures(results)
        if not values:
            return None
        found = spread(values)
        met = _RELATIONS[self.relation](found["median"], self.wanted)
        return {"what": self.what, "wanted": f"{self.relation} {self.wanted:g}", "met": met} | found


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(int(rank) - 1, 0)]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The median of the rounds, the lowest and the highest of them, and all of them in order."""
    rounded = [significant(value) for value in values]
    return {
        "median": significant(median(values)),
        "low": min(rounded),
        "high": max(rounded),
        "rounds": rounded,
    }


def significant(value: float) -> float:
    """Four digits: more would be noise."""
    return float(f"{value:.4g}")


def summary(visits: Sequence[Visit]) -> dict[str, Any]:
    """The entry of a subject, from all its rounds."""
    entry: dict[str, Any] = {"in_flight": {}}
    for position, load in enumerate(visits[0].loads):
        same = [visit.loads[position] for visit in visits]
        entry["in_flight"][str(load.in_flight)] = {
            "jobs_per_s": spread([each.jobs_per_s for each in same]),
            "cpu_s_per_1000": _by_process([each.cpu_s_per_1000 for each in same]),
            "memory_mb": _by_process([each.memory_mb for each in same]),
        }
        for name in ("rtt_p50_ms", "rtt_p99_ms"):
            values = [value for each in same if (value := getattr(each, name)) is not None]
            if values:
                entry["in_flight"][str(load.in_flight)][name] = spread(values)
                entry[name] = spread(values)["median"]
    headline = entry["in_flight"].get(str(HEADLINE))
    if headline is not None:
        entry["jobs_per_s"] = headline["jobs_per_s"]["median"]
    idle = [visit.idle for visit in visits if visit.idle is not None]
    if idle:
        entry["idle"] = {
            "cpu_percent": spread([each.cpu_percent for each in idle]),
            "rss_mb": spread([each.rss_mb for each in idle]),
        }
    return entry


def judged(results: Results) -> list[dict[str, Any]]:
    """Each target that the measured subjects allow to judge."""
    return [verdict for target in TARGETS if (verdict := target.judge(results)) is not None]


def too_slow_rooms(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What took longer in a room of nodes than it may, a line for each."""
    return [
        f"{row['nodes']} nodes: {name} is {row[name]:g}, and may be {most:g}"
        for row in rows
        for name, most in _ROOM_LIMITS.items()
        if row[name] > most
    ]


def _by_process(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        process: significant(median(each[process] for each in figures)) for process in PROCESSES
    }


def _rounds(results: Results, subject: str, load: int, figure: str) -> Sequence[float]:
    loads = results.get(subject, {}).get("in_flight", {})
    rounds: Sequence[float] = loads.get(str(load), {}).get(figure, {}).get("rounds", ())
    return rounds


def _ratio(
    load: int, figure: str, over: str, subject: str = "direct"
) -> Callable[[Results], Sequence[float]]:
    """jabot's figure over another subject's, round by round."""

    def figures(results: Results) -> Sequence[float]:
        own = _rounds(results, subject, load, figure)
        other = _rounds(results, over, load, figure)
        return [a / b for a, b in zip(own, other, strict=False)]

    return figures


def _idle(figure: str) -> Callable[[Results], Sequence[float]]:
    def figures(results: Results) -> Sequence[float]:
        rounds: Sequence[float] = (
            results.get("direct", {}).get("idle", {}).get(figure, {}).get("rounds", ())
        )
        return rounds

    return figures


TARGETS = (
    Target(
        "throughput, 1,000 in flight, over NATS core",
        "≥",
        2.0,
        _ratio(HEADLINE, "jobs_per_s", "nats_core"),
    ),
    Target(
        "throughput, 1,000 in flight, over SPADE",
        "≥",
        15.0,
        _ratio(HEADLINE, "jobs_per_s", "spade"),
    ),
    Target(
        "round trip of one job (p50), over the raw echo",
        "≤",
        1.7,
        _ratio(ONE_AT_A_TIME, "rtt_p50_ms", "raw_echo"),
    ),
    Target("CPU of an idle worker, % of a core", "<", 1.0, _idle("cpu_percent")),
    Target("memory of an idle worker, MB (RSS)", "<", 60.0, _idle("rss_mb")),
    Target(
        "durable throughput on SQLite, over JetStream as it comes",
        "≥",
        2.5,
        _ratio(HEADLINE, "jobs_per_s", "nats_jetstream", "durable_sqlite"),
    ),
    Target(
        "durable throughput on SQLite, over Celery",
        "≥",
        50.0,
        _ratio(HEADLINE, "jobs_per_s", "celery_redis_late", "durable_sqlite"),
    ),
    Target(
        "durable throughput on PostgreSQL, over Procrastinate",
        "≥",
        5.0,
        _ratio(HEADLINE, "jobs_per_s", "procrastinate", "durable_postgres"),
    ),
)
