"""Whether a queue has kept its promises: a pure function over what was written down."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Run:
    """One execution of a job, as its worker wrote it down."""

    job: str
    number: int  # what its submitter calls it
    attempt: int
    worker: str
    began: float
    result: str | None = None  # what it returned, if it came to that
    raised: bool = False
    ended: float | None = None


@dataclass(frozen=True)
class Lost:
    """An attempt that the queue gave up, as its log or the job's history tells."""

    job: str
    attempt: int
    why: str = ""


@dataclass(frozen=True)
class Crash:
    """A worker was killed or stopped, and began anew."""

    worker: str
    at: float


@dataclass(frozen=True)
class Outcome:
    """What a caller was told: a result, or the name of an error."""

    job: str
    result: str | None = None
    error: str = ""


@dataclass(frozen=True)
class Stored:
    """A job in the store, in the end."""

    job: str
    state: str
    number: int | None = None
    result: str | None = None
    error: str = ""
    code: str = ""  # of its failure
    attempt: int = 0
    expires: bool = False  # it was submitted with a time in which to be begun
    retries: bool = False  # it was submitted to be run again after an error


@dataclass(frozen=True)
class History:
    """All that was written down."""

    submitted: Sequence[int]  # numbers, whether the submit was answered or not
    acknowledged: Sequence[tuple[int, str]]  # the number, and the job that it is
    runs: Sequence[Run]
    outcomes: Sequence[Outcome]
    stored: Mapping[str, Stored]  # by their own ids
    aliases: Mapping[str, str] = field(default_factory=dict)  # ids that callers know -> own ids
    unknown: Sequence[str] = ()  # ids of which the queue told its caller that there is no such job
    lost: Sequence[Lost] = ()
    crashes: Sequence[Crash] = ()


@dataclass(frozen=True)
class Verdict:
    """What came out. `problems` are sentences, one for each thing that must not be."""

    jobs: int
    executed: int
    lost: int
    unexpected: int
    double_committed: int
    duplicates: int
    unexplained: int
    problems: list[str]

    @property
    def holds(self) -> bool:
        return not (self.lost or self.unexpected or self.double_committed or self.unexplained)

    def __str__(self) -> str:
        return (
            f"jobs={self.jobs} executed={self.executed} lost={self.lost}"
            f" unexpected={self.unexpected} double_committed={self.double_committed}"
            f" duplicates={self.duplicates} unexplained={self.unexplained}"
        )


def judge(history: History) -> Verdict:
    """Compare what was acknowledged, executed, committed and told.

    - lost: acknowledged, and neither executed to an end that its outcome tells of, nor ended for a
      reason that needs no execution (cancelled, a parent failed, lost too often); or its caller
      was not told;
    - unexpected: executed or kept, and never submitted;
    - double committed: two outcomes of one job, among what callers were told and what the store
      has, or a result that no execution of the attempt with that number returned;
    - duplicates: executions after another one of the same job, unless that raised and the job was
      to be run again then; unexplained ones are those of which nobody wrote down that the one
      before was lost, or that its worker crashed.
    """
    trial = _Trial(history)
    lost = list(trial.lost())
    unexpected = list(trial.unexpected())
    double = list(trial.double_committed())
    duplicates, unexplained = trial.duplicates()
    return Verdict(
        jobs=len(trial.acknowledged),
        executed=sum(job in trial.runs for job in trial.acknowledged),
        lost=len(lost),
        unexpected=len(unexpected),
        double_committed=len(double),
        duplicates=duplicates,
        unexplained=len(unexplained),
        problems=[*lost, *unexpected, *double, *unexplained],
    )


class _Trial:
    """The history, by jobs."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._submitted = set(history.submitted)
        self.acknowledged = {self._own(job): number for number, job in history.acknowledged}
        self.runs: dict[str, list[Run]] = {}
        for run in sorted(history.runs, key=lambda run: run.began):
            self.runs.setdefault(run.job, []).append(run)
        self._told: dict[str, list[Outcome]] = {}
        for outcome in history.outcomes:
            self._told.setdefault(self._own(outcome.job), []).append(outcome)
        self._lost = {(lost.job, lost.attempt) for lost in history.lost}
        self._losses = Counter(lost.job for lost in history.lost)
        self._unknown = {self._own(job) for job in history.unknown}
        self._crashes: dict[str, list[float]] = {}
        for crash in history.crashes:
            self._crashes.setdefault(crash.worker, []).append(crash.at)

    def _own(self, job: str) -> str:
        return self._history.aliases.get(job, job)

    def lost(self) -> Iterator[str]:
        for job, number in self.acknowledged.items():
            why = self._why_lost(job)
            if why:
                yield f"lost: job {job} (number {number}): {why}"

    def _why_lost(self, job: str) -> str:
        stored = self._history.stored.get(job)
        if stored is None:
            return "it was acknowledged, and the store has no such job"
        if stored.state not in ENDED:
            return f"it is {stored.state} when all is over"
        if job in self._unknown:
            return "its caller was told that there is no such job"
        if job not in self._told:
            return "its caller was not told what became of it"
        runs = self.runs.get(job, [])
        if stored.state == "succeeded" and not any(run.result is not None for run in runs):
            return "it has succeeded without that anybody ran it to its end"
        if stored.state == "failed":
            if stored.code in ("task", "") and not any(run.raised for run in runs):
                return f"it has failed ({stored.error}) without that it raised"
            if stored.code == "lost" and not self._losses[job]:
                return "it was given up, and no attempt of it was lost"
            if stored.code == "expired" and stored.expires:
                return ""
            if stored.code not in ("task", "", "lost", "parent"):
                return f"it has failed ({stored.code}: {stored.error})"
        return ""

    def unexpected(self) -> Iterator[str]:
        for job, runs in self.runs.items():
            for run in runs:
                if run.number not in self._submitted:
                    yield f"unexpected: {run.worker} ran number {run.number}: nobody submitted it"
                elif self.acknowledged.get(job, run.number) != run.number:
                    yield f"unexpected: job {job} ran as number {run.number}"
                elif job not in self._history.stored:
                    yield f"unexpected: {run.worker} ran job {job}, which the store does not have"
        for job, stored in self._history.stored.items():
            if stored.number is not None and stored.number not in self._submitted:
                yield f"unexpected: the store has job {job}, which nobody submitted"

    def double_committed(self) -> Iterator[str]:
        for job, stored in self._history.stored.items():
            outcomes = {(told.result, told.error) for told in self._told.get(job, [])}
            if stored.state in ENDED:
                outcomes.add((stored.result, stored.error))
            if len(outcomes) > 1:
                yield f"double committed: job {job} has {len(outcomes)} outcomes: {outcomes}"
            elif stored.state == "succeeded" and self.runs.get(job):
                runs = self.runs[job]
                # A worker that still runs an earlier attempt when it is given the newest one goes
                # on with that: then there is no run of that number.
                by = [run for run in runs if run.attempt == stored.attempt] or runs
                if stored.result not in {run.result for run in by}:
                    yield (
                        f"double committed: job {job} succeeded with {stored.result!r}, which is"
                        f" not what attempt {stored.attempt} of it returned: {by}"
                    )

    def duplicates(self) -> tuple[int, list[str]]:
        count, unexplained = 0, []
        for job, runs in self.runs.items():
            stored = self._history.stored.get(job)
            is_retried = stored is not None and stored.retries
            for before, run in pairwise(runs):
                if is_retried and before.raised and before.attempt < run.attempt:
                    continue
                count += 1
                if not self._is_explained(job, before, run):
                    unexplained.append(
                        f"unexplained: job {job}: {run.worker} began attempt {run.attempt} after"
                        f" {before.worker} had begun attempt {before.attempt}"
                    )
        return count, unexplained

    def _is_explained(self, job: str, before: Run, run: Run) -> bool:
        if run.attempt == before.attempt:
            return False
        if run.attempt < before.attempt:  # it came late to a worker that had been cut off
            return (job, run.attempt) in self._lost
        if any((job, number) in self._lost for number in range(before.attempt, run.attempt)):
            return True
        crashes = self._crashes.get(before.worker, [])
        return any(before.began <= at <= run.began for at in crashes)
