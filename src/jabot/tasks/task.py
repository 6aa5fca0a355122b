"""A task: a function with a name, a signature, and a way to run it."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any, Generic, Literal, ParamSpec, TypedDict, TypeVar

from jabot.errors import ConfigError
from jabot.schedule import parse_duration
from jabot.tasks.command import Command
from jabot.tasks.offer import Offer
from jabot.tasks.queueing import defaults
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


class TaskOptions(TypedDict, total=False):
    """The options of any task: see `Task`."""

    name: str | None
    scheduled: str | None
    done: str | None
    concurrency: int | None
    timeout: float | str | None
    retries: int | Retry
    priority: int | None
    expires: float | str | None
    unique: Literal[True] | str | None
    rate: float | str | None
    pool_concurrency: int | None


class Task(Offer, Generic[P, R]):
    """What `@node.task` makes of a function. Calling it calls the function, as in a unit test.

    `scheduled` and `done` are what people are told in chat when the job is taken and when it
    succeeded. They may hold `{task}`, `{job}` and (only `done`) `{result}`. `concurrency` is how
    many of its jobs run at once, `timeout` how long one run may take (seconds, or a text as
    `"5m"`), and `retries` how often a job that failed is run again: a number, or a `Retry`. The
    others are for a queue: what holds for its jobs unless their submit says otherwise.

    Raises `ConfigError` for what cannot be used.
    """

    def __init__(  # noqa: PLR0913 - the options of a task, by name
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        process: bool = False,
        scheduled: str | None = None,
        done: str | None = None,
        concurrency: int | None = None,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        priority: int | None = None,
        expires: float | str | None = None,
        unique: Literal[True] | str | None = None,
        rate: float | str | None = None,
        pool_concurrency: int | None = None,
    ) -> None:
        name = name or str(getattr(function, "__name__", ""))
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
        doc = inspect.getdoc(function)
        super().__init__(name, signature, doc=doc, scheduled=scheduled, done=done)
        if concurrency is not None and concurrency < 1:
            raise ConfigError(f"task {self.name}: concurrency is at least 1, not {concurrency}")
        self.concurrency = concurrency
        self.timeout = None if timeout is None else parse_duration(timeout)
        self.retry = Retry.of(retries)
        try:
            self.defaults = defaults(
                priority=priority,
                expires=expires,
                unique=unique,
                rate=rate,
                pool_concurrency=pool_concurrency,
                retry=self.retry if retries else None,
            )
        except ConfigError as error:
            raise ConfigError(f"task {self.name}: {error}") from None
        """What a queue is told of its jobs."""
        self.__wrapped__ = function

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
