"""What users call to have jobs done elsewhere: the same methods on a client and on a node."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from jabot.account import parse_jid
from jabot.calls.calls import Calls
from jabot.calls.description import Description
from jabot.calls.job import Job
from jabot.calls.options import Options, encode, name_of, options, result_type
from jabot.errors import ConfigError
from jabot.jid import JID
from jabot.peers import Peer, Where
from jabot.tasks import Retry, Task

P = ParamSpec("P")
R = TypeVar("R")
J = TypeVar("J", bound=Job[Any])

_IN_FLIGHT = 100


class Calling:
    """Mixed into what has `_calls` and perhaps a `_default_to`."""

    _default_to: str | JID | None = None

    @property
    def _calls(self) -> Calls:
        raise NotImplementedError

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

        A task is given by its name, or as itself: then its result has the annotated type. Waits
        while too much is under way to its node already.

        Raises what kept the job from being taken: `NobodyThere`, `UnknownTask`, `BadArguments`,
        `NotAllowed`, `TooManyJobs`, `Draining`, `TooLarge`, `JobTimeout`; `ConfigError` for an
        option that cannot be used; `ConnectionFailed` when this program was refused for good.
        """
        chosen = options(to or self._default_to, timeout, retries, where, wait)
        name = name_of(task)
        arguments = encode(name, args, kwargs)
        return await self._calls.submit(name, arguments, result_type(task), chosen)

    @overload
    def map(
        self,
        task: Task[..., Coroutine[Any, Any, R]],
        /,
        *iterables: Iterable[Any],
        to: str | JID | None = None,
        in_flight: int = _IN_FLIGHT,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
    ) -> AsyncIterator[R]: ...

    @overload
    def map(
        self,
        task: Task[..., R],
        /,
        *iterables: Iterable[Any],
        to: str | JID | None = None,
        in_flight: int = _IN_FLIGHT,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
    ) -> AsyncIterator[R]: ...

    @overload
    def map(
        self,
        task: str,
        /,
        *iterables: Iterable[Any],
        to: str | JID | None = None,
        in_flight: int = _IN_FLIGHT,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
    ) -> AsyncIterator[Any]: ...

    def map(
        self,
        task: str | Task[..., Any],
        /,
        *iterables: Iterable[Any],
        to: str | JID | None = None,
        in_flight: int = _IN_FLIGHT,
        timeout: float | str | None = None,
        retries: int | Retry = 0,
        where: Where | None = None,
        wait: bool = False,
    ) -> AsyncIterator[Any]:
        """The results of a task for each item, in the order of the items; as `map()`, several
        iterables are several arguments.

        At most `in_flight` jobs are under way, and the iterables are read no further than that. The
        first job that fails raises its error here, and those that are under way are cancelled; so
        they are when the iteration is left. The other options are those of `submit`.
        """
        most, chosen = self.map_options(
            to=to, in_flight=in_flight, timeout=timeout, retries=retries, where=where, wait=wait
        )
        return self._map(task, zip(*iterables, strict=False), most, chosen)

    async def _map(
        self,
        task: str | Task[..., Any],
        calls: Iterable[tuple[Any, ...]],
        in_flight: int,
        chosen: Options,
    ) -> AsyncIterator[Any]:
        under_way: deque[Job[Any]] = deque()
        try:
            for args in calls:
                if len(under_way) >= in_flight:
                    yield await under_way[0]
                    under_way.popleft()
                under_way.append(await self.begin(task, args, chosen))
            while under_way:
                yield await under_way[0]
                under_way.popleft()
        finally:
            for job in under_way:
                job.cancel("the others of its map are not wanted any more")

    async def begin(
        self,
        task: str | Task[..., Any],
        args: tuple[Any, ...],
        chosen: Options,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Job[Any]:
        """Give a job away without waiting until it is taken; what would be raised then, its handle
        fails with. With options that are checked already, and arguments of any name."""
        name = name_of(task)
        arguments = encode(name, args, kwargs or {})
        return await self._calls.begin(name, arguments, result_type(task), chosen)

    def map_options(self, *, in_flight: int = _IN_FLIGHT, **given: Any) -> tuple[int, Options]:
        """The options of a `map`, checked. Raises `ConfigError`."""
        if in_flight < 1:
            raise ConfigError(f"in_flight is at least 1, not {in_flight}")
        to = given.pop("to", None) or self._default_to
        return in_flight, options(to, **given)

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
        return await self._calls.attach(job_id, Any, chosen)

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
        return await self._calls.describe(self._address(address), task)

    def _address(self, address: str | JID | None) -> str:
        address = address or self._default_to
        if address is None:
            raise ConfigError("whose? Give the address, or to= to connect()")
        return str(parse_jid(address))
