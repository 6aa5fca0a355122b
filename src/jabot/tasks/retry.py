"""Whether a job is run again after an error, and when. A policy without clock or state."""

from __future__ import annotations

import builtins
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jabot.errors import (
    BadArguments,
    ConfigError,
    JobCancelled,
    NotAllowed,
    TaskFailed,
    TooLarge,
    UnknownTask,
    WorkerLost,
)

# Of the job itself, and not raised by its task: another run comes to the same.
_FINAL = (BadArguments, UnknownTask, NotAllowed, TooLarge, ConfigError, JobCancelled)

On: TypeAlias = type[BaseException] | str | Callable[[BaseException], bool]


_USUAL: tuple[On, ...] = (TaskFailed, WorkerLost)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is run after an error, and how long it waits before each new run.

    `attempts` counts all runs, the first one included. The n-th wait takes `backoff` seconds times
    `factor` to the power of n - 1, but no more than `most`; of that, chance takes away up to the
    share `jitter` (0 to 1), so that jobs that failed together do not come back together.

    `on` says which errors are worth another run, as one of these or several: an exception class;
    the name of one, for exceptions of other programs (`"Oops"` or `"mymodule.Oops"`, only the last
    part counts); or a function that is given the error. What a task raises is a `TaskFailed`, and
    is also looked for by its own class. A `JobTimeout` is not retried unless `on` names it. What
    comes out the same each time never is, whatever `on` says: `TooLarge`, refusals of the job.

    Raises `ConfigError` for values that cannot be used.
    """

    attempts: int = 3
    backoff: float = 1.0
    factor: float = 2.0
    most: float = 60.0
    jitter: float = 0.1
    on: On | Sequence[On] = _USUAL

    def __post_init__(self) -> None:
        for name in ("attempts", "backoff", "factor", "most", "jitter"):
            value = getattr(self, name)
            if not isinstance(value, int | float):
                raise ConfigError(f"Retry: {name} is a number, not {value!r}")
        # Written so that a NaN fails, too.
        for fits, what in (
            (self.attempts >= 1, f"attempts is at least 1, not {self.attempts}"),
            (0 <= self.backoff < float("inf"), f"backoff is in seconds, not {self.backoff}"),
            (1 <= self.factor < float("inf"), f"factor is at least 1, not {self.factor}"),
            (0 <= self.most < float("inf"), f"most is in seconds, not {self.most}"),
            (0 <= self.jitter <= 1, f"jitter is a share from 0 to 1, not {self.jitter}"),
        ):
            if not fits:
                raise ConfigError(f"Retry: {what}")
        for wanted in self._wanted():
            if isinstance(wanted, type) and not issubclass(wanted, BaseException):
                raise ConfigError(f"Retry: on={wanted.__name__} is no class of exceptions")
            if not isinstance(wanted, str) and not callable(wanted):
                raise ConfigError(
                    f"Retry: on={wanted!r} is no class, name or function; give one or several"
                )

    @classmethod
    def of(cls, retries: int | Retry) -> Retry:
        """The policy that `retries=` stands for: as a number, so many runs after the first."""
        if isinstance(retries, Retry):
            return retries
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise ConfigError(f"retries is a number from 0 on, or a Retry, not {retries!r}")
        return cls(attempts=retries + 1)

    def delay(
        self, runs: int, error: BaseException, chance: Callable[[], float] = random.random
    ) -> float | None:
        """Seconds until the next run after `runs` of them, the last of which ended with `error`.

        None when there is to be no other. `chance` gives numbers from 0 to 1. Raises what a
        function in `on` raises.
        """
        if isinstance(error, _FINAL):
            return None
        if runs >= self.attempts or not any(_fits(wanted, error) for wanted in self._wanted()):
            return None
        if runs == 1 and isinstance(error, WorkerLost):
            return 0.0  # another node can have it at once; a second loss may be the job's own fault
        try:
            wait = min(self.most, self.backoff * self.factor ** (runs - 1))
        except OverflowError:
            wait = self.most
        return wait * (1 - self.jitter * chance())

    @property
    def travels(self) -> bool:
        """Whether it can be told to a queue: it holds no function."""
        return all(isinstance(wanted, str | type) for wanted in self._wanted())

    def names(self) -> list[str]:
        """What `on` says, as names that can travel; none for what is usual.

        Raises `ConfigError` when it holds a function.
        """
        if self.on == _USUAL:
            return []
        names = []
        for wanted in self._wanted():
            if not isinstance(wanted, str | type):
                raise ConfigError(
                    f"Retry: on={wanted!r} is a function, which a queue cannot be told; name "
                    "exceptions instead"
                )
            names.append(wanted if isinstance(wanted, str) else wanted.__name__)
        return names

    def _wanted(self) -> Sequence[On]:
        if isinstance(self.on, Sequence) and not isinstance(self.on, str):
            return self.on
        return (self.on,)


def _fits(wanted: On, error: BaseException) -> bool:
    if isinstance(wanted, type):
        return isinstance(error, wanted) or _raised(error, wanted)
    if isinstance(wanted, str):
        name = error.type if isinstance(error, TaskFailed) else type(error).__name__
        return _last_part(name) == _last_part(wanted)
    return wanted(error)


def _raised(error: BaseException, wanted: type[BaseException]) -> bool:
    """Whether the task itself raised such an exception, here or in another program."""
    if not isinstance(error, TaskFailed):
        return False
    if error.__cause__ is not None:
        return isinstance(error.__cause__, wanted)
    name = _last_part(error.type)
    builtin = getattr(builtins, name, None)  # of these the family is known from afar
    if isinstance(builtin, type):
        return issubclass(builtin, wanted)
    return name == wanted.__name__


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]
