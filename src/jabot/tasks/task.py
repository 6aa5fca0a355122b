"""A task: a function with a name, a signature, and a way to run it."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from jabot.errors import ConfigError
from jabot.tasks.command import Command
from jabot.tasks.offer import Offer
from jabot.tasks.queueing import READERS, CommonOptions, duration, job_options, lane, policy
from jabot.tasks.retry import Retry
from jabot.tasks.signature import Signature

P = ParamSpec("P")
R = TypeVar("R")


class Kind(enum.Enum):
    """Where a task's code runs."""

    COROUTINE = "coroutine"  # on the event loop
    ASYNC_GENERATOR = "async generator"  # on the event loop; each yield is progress
    THREAD = "thread"
    GENERATOR = "generator"  # in a thread; each yield is progress
    PROCESS = "process"
    COMMAND = "command"  # another program; what it writes is progress


class TaskOptions(CommonOptions, total=False):
    """The options of a task. The common ones, and `pool_concurrency`, are what a queue is told:
    they hold for its jobs unless their submit says otherwise."""

    name: str | None
    """One word; the function's own name without it."""
    scheduled: str | None
    """What people are told in chat when the job is taken. It may hold `{task}` and `{job}`."""
    done: str | None
    """What they are told when it has succeeded; here `{result}` stands for that, too."""
    concurrency: int | None
    """How many of its jobs run at once on this node."""
    timeout: float | str | None
    """How long one run may take."""
    retries: int | Retry
    """How often a job that failed is run again: a number, or a `Retry`."""
    pool_concurrency: int | None
    """How many of its jobs run at once on all workers of a queue."""


class Task(Offer, Generic[P, R]):
    """What `@node.task` makes of a function. Calling it calls the function, as in a unit test.

    Raises `ConfigError` for options that cannot be used.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        process: bool = False,
        **options: Unpack[TaskOptions],
    ) -> None:
        name = options.get("name") or str(getattr(function, "__name__", ""))
        if not name or any(c.isspace() for c in name):
            raise ConfigError(f"{name!r} is no name for a task: use one word")
        self.function = function
        self.kind = _kind(function, process)
        # A generator's annotation speaks of what it yields, which is progress, not the result.
        generator = self.kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR)
        if isinstance(function, Command):
            signature = function.signature
        else:
            signature = Signature.of(function, check_result=not generator)
        super().__init__(
            name,
            signature,
            doc=inspect.getdoc(function),
            scheduled=options.get("scheduled"),
            done=options.get("done"),
        )
        try:
            self._read(options)
        except ConfigError as error:
            raise ConfigError(f"task {name}: {error}") from None
        self.__wrapped__ = function

    def _read(self, options: TaskOptions) -> None:
        if unknown := options.keys() - TaskOptions.__annotations__.keys():
            raise ConfigError(f"{', '.join(sorted(unknown))}: there is no such option")
        self.concurrency = options.get("concurrency")
        if self.concurrency is not None and self.concurrency < 1:
            raise ConfigError(f"concurrency is at least 1, not {self.concurrency}")
        timeout, retries = options.get("timeout"), options.get("retries", 0)
        self.timeout = None if timeout is None else duration("timeout")(timeout)
        self.retry = Retry.of(retries)
        self.defaults = job_options(
            options,
            READERS,
            lane=lane(
                options.get("pool_concurrency"),
                options.get("rate"),
                slots_option="pool_concurrency",
            ),
            # A policy with a function holds for direct jobs only.
            retry=policy(self.retry) if retries and self.retry.travels else None,
        )
        """What a queue is told of its jobs."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


def _kind(function: Callable[..., Any], process: bool) -> Kind:
    if isinstance(function, Command):
        return Kind.COMMAND
    asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if process and (asynchronous or inspect.isgeneratorfunction(function)):
        raise ConfigError(f"task {function.__qualname__}: process=True takes a plain function")
    if process:
        return Kind.PROCESS
    if inspect.isasyncgenfunction(function):
        return Kind.ASYNC_GENERATOR
    if asynchronous:
        return Kind.COROUTINE
    return Kind.GENERATOR if inspect.isgeneratorfunction(function) else Kind.THREAD
