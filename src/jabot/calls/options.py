"""What is to be done, and how: the arguments and the options of `submit`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Unpack

import msgspec
from msgspec import Raw

from jabot.account import parse_jid
from jabot.calls.queue_options import QueueOptions, for_any, for_queue, job_options
from jabot.errors import BadArguments, ConfigError
from jabot.jid import JID
from jabot.peers import Where
from jabot.protocol.caller_jobs import Request, never
from jabot.protocol.frames import NO_ARGS, NO_KWARGS
from jabot.protocol.options import NO_OPTIONS, JobOptions
from jabot.schedule import parse_duration
from jabot.tasks import Retry, Task

_PLAIN = (float, int, str, type(None))

_IN_FLIGHT = 100
_encoder = msgspec.json.Encoder()


class Call(NamedTuple):
    """A task and its arguments, as they travel."""

    task: str
    args: Raw = NO_ARGS
    kwargs: Raw = NO_KWARGS
    result_type: Any = Any
    """What its result is made into."""

    @classmethod
    def of(
        cls, task: str | Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Call:
        """Of a task that is given by its name or as itself: then its result has the annotated type.

        Raises `ConfigError` for what is no task, `BadArguments` for what JSON cannot carry.
        """
        if isinstance(task, Task):
            name, kind = task.name, task.signature.result
        elif isinstance(task, str) and task:
            name, kind = task, Any
        else:
            raise ConfigError(f"{task!r} is no task: give its name, or the task itself")
        try:
            named = Raw(_encoder.encode(kwargs)) if kwargs else NO_KWARGS
            return cls(name, Raw(_encoder.encode(args)), named, kind)
        except (TypeError, ValueError, UnicodeError, RecursionError, OverflowError) as error:
            raise BadArguments(f"{name}: an argument cannot be sent as JSON: {error}") from None


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one job or many."""

    to: str
    """The address of a pool or queue (bare) or of one node (full), normalised."""
    timeout: float | None = None
    """Seconds from the submit, after which the job fails with `JobTimeout`."""
    retry: Retry | None = None
    where: Where = field(default_factory=dict)
    wait: bool = False
    """Whether to wait for a node, up to `timeout`, when none is online."""
    for_any: bytes = b"null"
    """What only a queue can do for it; a plain node refuses that."""
    for_queue: bytes = b"null"
    """The same, and what else a queue is told."""
    not_for_queue: str = ""
    """Why a queue cannot be given it."""

    @property
    def asks_queue(self) -> bool:
        """Whether it has options that only a queue can keep."""
        return self.for_any != b"null"

    @property
    def movable(self) -> bool:
        """Whether any node of a pool will do."""
        return "/" not in self.to

    def request(self, job_id: str, call: Call, meta: Mapping[str, str] | None) -> Request:
        """A job as the protocol is asked for it."""
        return Request(
            job_id,
            call.task,
            call.args,
            call.kwargs,
            self.timeout,
            never if self.retry is None else self.retry.delay,
            self.movable,
            meta,
            Raw(self.for_any),
            Raw(self.for_queue),
        )


class MapOptions(QueueOptions, total=False):
    """The options of a `map`: how many jobs are under way, and those of `submit`."""

    in_flight: int
    to: str | JID | None
    timeout: float | str | None
    retries: int | Retry
    where: Where | None
    wait: bool


def map_options(default_to: str | JID | None, given: MapOptions) -> tuple[int, Options]:
    """How many jobs are to be under way, and their options. Raises `ConfigError`."""
    in_flight = given.get("in_flight", _IN_FLIGHT)
    if in_flight < 1:
        raise ConfigError(f"in_flight is at least 1, not {in_flight}")
    chosen: dict[str, Any] = {k: v for k, v in given.items() if k not in ("to", "in_flight")}
    return in_flight, options(given.get("to") or default_to, **chosen)


def options(
    to: str | JID | None,
    timeout: float | str | None = None,
    retries: int | Retry = 0,
    where: Where | None = None,
    wait: bool = False,
    **queue: Unpack[QueueOptions],
) -> Options:
    """Check what a user gave. Raises `ConfigError`, naming the option."""
    if queue:
        return _checked(to, timeout, retries, where, wait, job_options(queue))
    if not where and isinstance(retries, int) and isinstance(timeout, _PLAIN):
        return _usual(to, timeout, retries, wait)
    return _checked(to, timeout, retries, where, wait)


@lru_cache(maxsize=256, typed=True)
def _usual(to: str | JID | None, timeout: float | str | None, retries: int, wait: bool) -> Options:
    """The same few are given thousands of times a second."""
    return _checked(to, timeout, retries, None, wait)


def _checked(
    to: str | JID | None,
    timeout: float | str | None,
    retries: int | Retry,
    where: Where | None,
    wait: bool,
    job: JobOptions = NO_OPTIONS,
) -> Options:
    if to is None:
        raise ConfigError("to whom? Give to=ADDRESS with the job, or to connect()")
    seconds = None if timeout is None else parse_duration(timeout)
    check_where(where or {})
    retry = Retry.of(retries) if retries else None
    address, problem = str(parse_jid(to)), ""
    try:
        told = for_queue(job, retry, where or {})
    except ConfigError as error:  # no matter where the job goes to plain nodes
        told, problem = for_any(job), str(error)
    return Options(address, seconds, retry, where or {}, wait, for_any(job), told, problem)


def check_where(where: Where) -> None:
    """Raises `ConfigError` for what cannot be labels."""
    for name, value in where.items():
        if isinstance(value, Mapping) or not hasattr(value, "__contains__"):
            raise ConfigError(f"where {name!r}: {value!r} is neither a text nor several")
