"""What users call to have jobs done elsewhere: the same methods on a client and on a node."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload

from jabot.account import parse_jid
from jabot.calls.audience import Audience
from jabot.calls.broadcast import TIMEOUT, Broadcast, Plan
from jabot.calls.calls import Calls
from jabot.calls.job import Job
from jabot.calls.options import Call, MapOptions, Options, map_options, options
from jabot.calls.queue_options import split
from jabot.errors import (
    ConfigError,
    ConnectionFailed,
    JabotError,
)
from jabot.jid import JID
from jabot.peers import Peer, Where
from jabot.tasks import Description, Retry, Task

P = ParamSpec("P")
R = TypeVar("R")
J = TypeVar("J", bound=Job[Any])


class Calling:
    """Mixed into what has `_calls`, an `_audience`, and perhaps a `_default_to`."""

    _default_to: str | JID | None = None

    @property
    def _calls(self) -> Calls:
        raise NotImplementedError

    @property
    def _audience(self) -> Audience:
        raise NotImplementedError

    # Each overload stands twice, for coroutine functions and for plain ones: mypy would see through
    # a generic that unwraps the coroutine, and pyright would not.

    @overload
    async def submit(
        self, task: Task[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    async def submit(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    @overload
    async def submit(
        self,
        task: Task[..., Coroutine[Any, Any, R]],
        /,
        *args: Any,
        to: str | JID,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> Job[R]: ...

    @overload
    async def submit(
        self,
        task: Task[..., R],
        /,
        *args: Any,
        to: str | JID,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> Job[R]: ...

    @overload
    async def submit(
        self,
        task: str,
        /,
        *args: Any,
        to: str | JID | None = None,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> Job[Any]: ...

    async def submit(  # type: ignore[misc]  # a task's own `to` can be given by position only
        self,
        task: str | Task[..., Any],
        /,
        *args: Any,
        to: str | JID | None = None,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> Job[Any]:
        """Give a job away; returns its handle once a node is responsible for it.

        `to` is a pool (`bot@example.org`: the least loaded node that offers the task and has the
        labels in `where`) or one node (a full address). After `timeout` (seconds, or a text as
        `"5m"`) the job fails with `JobTimeout` and its node is told to stop it. Without `retries`
        it runs at most once; with them it may run again, elsewhere, when it failed or its node was
        lost. With `wait` it waits for a node, up to `timeout`, when none is online.

        A queue takes more options: `delay`, `at`, `expires`, `priority`, `key`, `key_for`,
        `unique`, `concurrency`, `rate`, `limit_key`, `after` and `labels` (`QueueOptions` in
        `jabot.calls.queue_options` says what each is); a plain worker refuses them. A task's
        parameter that has the name of an option is given by position, or in `arguments`, a mapping.

        A task is given by its name, or as itself: then its result has the annotated type. Waits
        while too much is under way to its node already.

        Raises what kept the job from being taken: `NobodyThere`, `UnknownTask`, `BadArguments`,
        `NotAllowed`, `TooManyJobs`, `Draining`, `TooLarge`, `JobTimeout`, `QueueNeeded`,
        `KeyReused`; `ConfigError` for an option that cannot be used; `ConnectionFailed` when this
        program was refused for good.
        """
        queue, kwargs = split(kwargs)
        chosen = options(to or self._default_to, timeout, retries, where, wait, **queue)
        return await self._calls.submit(Call.of(task, args, kwargs), chosen)

    @overload
    def map(
        self,
        task: Task[..., Coroutine[Any, Any, R]],
        /,
        *iterables: Iterable[Any],
        return_exceptions: Literal[False] = False,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[R]: ...

    @overload
    def map(
        self,
        task: Task[..., R],
        /,
        *iterables: Iterable[Any],
        return_exceptions: Literal[False] = False,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[R]: ...

    @overload
    def map(
        self,
        task: Task[..., Coroutine[Any, Any, R]],
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[R | JabotError]: ...

    @overload
    def map(
        self,
        task: Task[..., R],
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[R | JabotError]: ...

    @overload
    def map(
        self,
        task: str,
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool = False,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[Any]: ...

    def map(
        self,
        task: str | Task[..., Any],
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool = False,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[Any]:
        """The results of a task for each item, in the order of the items; as `map()`, several
        iterables are several arguments.

        At most `in_flight` (100) jobs are under way, and the iterables are read no further than
        that. The first job that fails raises its error here, and those that are under way are
        cancelled; so they are when the iteration is left. With `return_exceptions` an error stands
        in the place of its result, and the others go on; `ConnectionFailed` is raised all the same.
        The other options are those of `submit`.
        """
        in_flight, chosen = map_options(self._default_to, options)
        calls = zip(*iterables, strict=False)
        return self._map(task, calls, in_flight, chosen, return_exceptions)

    async def _map(
        self,
        task: str | Task[..., Any],
        calls: Iterable[tuple[Any, ...]],
        in_flight: int,
        chosen: Options,
        return_exceptions: bool,
    ) -> AsyncIterator[Any]:
        live = self._calls  # this one: when it is closed, that is no error of a job
        kept = kept_errors(return_exceptions)
        under_way: deque[Job[Any] | JabotError] = deque()
        try:
            for args in calls:
                if len(under_way) >= in_flight:
                    yield await _outcome(under_way[0], kept)
                    under_way.popleft()
                try:
                    under_way.append(await live.begin(Call.of(task, args, {}), chosen))
                except kept as error:
                    under_way.append(not_over(error))
            while under_way:
                yield await _outcome(under_way[0], kept)
                under_way.popleft()
        finally:
            for job in under_way:
                if isinstance(job, Job):
                    job.cancel("the others of its map are not wanted any more")

    def broadcast(
        self,
        task: str | Task[..., Any],
        /,
        *args: Any,
        to: str | JID | None = None,
        timeout: float | str = TIMEOUT,
        where: Where | None = None,
        quorum: int | None = None,
        batch: int | str | None = None,
        **kwargs: Any,
    ) -> Broadcast:
        """Have a task run by every node that is there, and iterate over their replies as they come.

        `to` is a room, a pool, one node, or `"*"` for the nodes of all contacts of this account. A
        room is entered for it where the program is not in it. Each node that is there at the
        beginning gives one `Reply`, at the latest `timeout` after it was asked; what is not
        answered by then is stopped.

        `where` are labels that the nodes must have; one that does not say what it has counts as one
        that has them. With `quorum`, so many answers are enough: the others are stopped, and
        `silent`. With `batch`, a number or a part as `"25%"`, so many are asked at once, the next
        one whenever a reply was taken.

        A task's parameter that has the name of an option is given by position. Raises
        `ConfigError`, `BadArguments` and `TooLarge`; iterating raises what `Broadcast` tells.
        """
        whom = to or self._default_to
        plan = Plan.of(task, (args, kwargs), whom, timeout, where, quorum, batch)
        return Broadcast(self._calls, self._audience, plan)

    async def as_completed(self, jobs: Iterable[J]) -> AsyncIterator[J]:
        """The jobs in the order in which they end; `await` each for its result or error."""
        left = list(jobs)
        ended: asyncio.Queue[J] = asyncio.Queue()
        try:
            for job in left:
                job.completion(ended.put_nowait)
            for _ in left:
                yield await ended.get()
        finally:
            for job in left:
                job.cancel_callback(ended.put_nowait)

    async def job(
        self, job_id: str, *, to: str | JID | None = None, timeout: float | str | None = None
    ) -> Job[Any]:
        """A job of this account's by its id, whichever program submitted it.

        It is asked for at `to`. A node keeps outcomes for 15 minutes. Raises `UnknownJob` when
        nobody there knows it, `NobodyThere` when nobody is there.
        """
        chosen = options(to or self._default_to, timeout)
        return await self._calls.attach(job_id, chosen)

    async def nodes(self, address: str | JID | None = None) -> list[Peer]:
        """Who is online at a bare or full address, with what they offer and how busy they are.

        Takes up to two seconds where nobody answers. Raises `NotAllowed` when whoever is there
        allows this account nothing.
        """
        return await self._calls.nodes(self._address(address))

    async def describe(
        self, address: str | JID | None = None, task: str | None = None
    ) -> dict[str, Description]:
        """What the nodes at an address offer to this account: one task, or all, by name.

        Raises `NobodyThere`, and `UnknownTask` when there is no such task.
        """
        return await self._calls.descriptions.at(self._address(address), task)

    def _address(self, address: str | JID | None) -> str:
        address = address or self._default_to
        if address is None:
            raise ConfigError("whose? Give the address, or to= to connect()")
        return str(parse_jid(address))


def kept_errors(return_exceptions: bool) -> tuple[type[JabotError], ...]:
    """The errors that a `map` gives as values."""
    return (JabotError,) if return_exceptions else ()


def not_over(error: JabotError) -> JabotError:
    """The error as the value in a `map`; raises it when no further job could be given away."""
    if isinstance(error, ConnectionFailed):
        raise error
    return error


async def _outcome(job: Job[Any] | JabotError, kept: tuple[type[JabotError], ...]) -> Any:
    if isinstance(job, JabotError):
        return job
    try:
        return await job
    except kept as error:
        return not_over(error)
