"""How much is measured: rounds, loads, and seconds for each."""

from dataclasses import dataclass

ONE_AT_A_TIME = 1
HEADLINE = 1_000  # in flight: what `jobs_per_s` of a subject means


@dataclass(frozen=True)
class Plan:
    """In each round every subject is visited once, and every visit goes through the loads.

    Subjects take turns within a round, so that a machine which slows down slows all of them, and
    ratios are taken within a round.
    """

    rounds: int
    loads: dict[int, float]  # jobs in flight: seconds
    warm_up: float  # seconds with 100 in flight that count for nothing
    idle: float  # seconds that an idle worker is watched
    settle: float  # seconds between the start of a worker and the watching
    durable_loads: dict[int, float]  # the same for durable subjects
    starts: float  # seconds of one durable job at a time, for the time from submit to start
    crashes: int  # rounds in which a worker of a durable subject is killed
    recovery_cap: float  # seconds that are waited for the next attempt

    def loads_up_to(self, most: int) -> dict[int, float]:
        """The loads for a subject that takes no more than `most` in flight."""
        return {load: seconds for load, seconds in self.loads.items() if load <= most}


FULL = Plan(
    rounds=5,
    loads={ONE_AT_A_TIME: 3.0, 100: 2.0, HEADLINE: 3.0, 30_000: 3.0},
    warm_up=1.0,
    idle=10.0,
    settle=2.0,
    durable_loads={HEADLINE: 3.0},
    starts=3.0,
    crashes=3,
    # A worker of Dramatiq counts as gone after 60 s: less would not tell that from never.
    recovery_cap=90.0,
)
QUICK = Plan(
    rounds=3,
    loads={ONE_AT_A_TIME: 1.0, HEADLINE: 2.0},
    warm_up=0.5,
    idle=3.0,
    settle=0.5,
    durable_loads={HEADLINE: 2.0},
    starts=1.0,
    crashes=1,
    recovery_cap=60.0,
)
