"""A client for programs without an event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

import jabot.client
from jabot.account import Account, resolve_account
from jabot.calls import Job as AsyncJob
from jabot.calls import Reply, begin
from jabot.calls.broadcast import TIMEOUT, Plan
from jabot.calls.calling import kept_errors, not_over
from jabot.calls.calls import closed
from jabot.calls.faces import spread
from jabot.calls.options import MapOptions, Options, map_options
from jabot.errors import JabotError
from jabot.jid import JID
from jabot.middleware import Middleware
from jabot.peers import Peer, Where
from jabot.sync.events import Events
from jabot.sync.job import Job
from jabot.sync.thread import ClientThread, next_of
from jabot.tasks import Description, Retry, Task
from jabot.topics import Follower, Place, TopicOwner
from jabot.xmpp.topics import TopicSettings

P = ParamSpec("P")
R = TypeVar("R")


class Client(TopicOwner):
    """See `connect()`. It signs in at its first use, in the process that uses it: a web server may
    load a program and fork afterwards. Jobs belong to the process that submitted them."""

    def __init__(
        self, account: Account, to: str | JID | None, middleware: tuple[Middleware, ...]
    ) -> None:
        self._account = account
        self._to = to
        self._middleware = middleware
        self._topics: dict[Place, TopicSettings] = {}
        self._lock = threading.Lock()
        self._thread: ClientThread | None = None
        self._closed = False
        renew = partial(_renew_lock, weakref.ref(self))
        os.register_at_fork(after_in_child=renew)  # another thread may hold it at that moment

    def __enter__(self) -> Self:
        """Sign in, also anew. Raises `ConnectionFailed` when that does not succeed."""
        self._closed = False
        self._running()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sign out. Jobs that are under way go on; waiting for them raises `ConnectionFailed`, and
        so does every other use, but a `with` of the client, which signs in again."""
        if self._thread is not None:
            self._thread.check()
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None and thread.pid == os.getpid():
            thread.close()

    @overload
    def submit(
        self, task: Task[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    def submit(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    @overload
    def submit(
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
    def submit(
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
    def submit(
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

    def submit(self, task: Any, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Give a job away; returns once a node is responsible for it. As `jabot.Client.submit`."""
        return self._job(lambda app: app.submit(task, *args, **kwargs))

    @overload
    def map(
        self,
        task: Task[..., Coroutine[Any, Any, R]],
        /,
        *iterables: Iterable[Any],
        return_exceptions: Literal[False] = False,
        **options: Unpack[MapOptions],
    ) -> Iterator[R]: ...

    @overload
    def map(
        self,
        task: Task[..., R],
        /,
        *iterables: Iterable[Any],
        return_exceptions: Literal[False] = False,
        **options: Unpack[MapOptions],
    ) -> Iterator[R]: ...

    @overload
    def map(
        self,
        task: Task[..., Coroutine[Any, Any, R]],
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool,
        **options: Unpack[MapOptions],
    ) -> Iterator[R | JabotError]: ...

    @overload
    def map(
        self,
        task: Task[..., R],
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool,
        **options: Unpack[MapOptions],
    ) -> Iterator[R | JabotError]: ...

    @overload
    def map(
        self,
        task: str,
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool = False,
        **options: Unpack[MapOptions],
    ) -> Iterator[Any]: ...

    def map(
        self,
        task: Any,
        /,
        *iterables: Iterable[Any],
        return_exceptions: bool = False,
        **options: Unpack[MapOptions],
    ) -> Iterator[Any]:
        """The results in the order of the items. As `jabot.Client.map`."""
        in_flight, chosen = map_options(self._to, options)
        calls = zip(*iterables, strict=False)
        return self._map(task, calls, in_flight, chosen, return_exceptions)

    def _map(
        self,
        task: Any,
        calls: Iterable[tuple[Any, ...]],
        in_flight: int,
        chosen: Options,
        return_exceptions: bool,
    ) -> Iterator[Any]:
        kept = kept_errors(return_exceptions)
        under_way: deque[Job[Any] | JabotError] = deque()
        try:
            for args in calls:
                if len(under_way) >= in_flight:
                    yield _outcome(under_way[0], kept)
                    under_way.popleft()
                try:
                    under_way.append(self._job(lambda app: begin(app, task, args, {}, chosen)))  # noqa: B023
                except kept as error:
                    under_way.append(not_over(error))
            while under_way:
                yield _outcome(under_way[0], kept)
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
    ) -> Iterator[Reply]:
        """The replies of many nodes, as they come. As `jabot.Client.broadcast`."""
        plan = Plan.of(task, (args, kwargs), to or self._to, timeout, where, quorum, batch)
        return self._broadcast(plan)

    def _broadcast(self, plan: Plan) -> Iterator[Reply]:
        thread = self._running()

        async def first(app: jabot.client.Client) -> AsyncGenerator[Reply, None]:
            return aiter(spread(app, plan))

        replies = thread.call(first)
        try:
            while True:
                yield thread.call(lambda _: next_of(replies))
        except StopAsyncIteration:
            return
        finally:
            thread.on_loop(lambda: asyncio.ensure_future(_left(replies)))

    def job(
        self, job_id: str, *, to: str | JID | None = None, timeout: float | str | None = None
    ) -> Job[Any]:
        """A job of this account's by its id. As `jabot.Client.job`."""
        return self._job(lambda app: app.job(job_id, to=to, timeout=timeout))

    def nodes(self, address: str | JID | None = None) -> list[Peer]:
        """Who is online at an address. As `jabot.Client.nodes`."""
        return self._running().call(lambda app: app.nodes(address))

    def describe(
        self, address: str | JID | None = None, task: str | None = None
    ) -> dict[str, Description]:
        """What is offered at an address. As `jabot.Client.describe`."""
        return self._running().call(lambda app: app.describe(address, task))

    def publish(self, topic: str, payload: Any, *, own: bool = False) -> str:
        """Publish a JSON-shaped value to a topic. As `jabot.Client.publish`."""
        return self._running().call(lambda app: app.publish(topic, payload, own=own))

    def follow(
        self,
        topics: str | Iterable[str],
        kind: Any = Any,
        *,
        of: str | None = None,
        history: int = 1,
    ) -> Events:
        """What is published, as it comes. As `jabot.Client.follow`; it begins at once."""
        return Events(self._running(), Follower(topics, kind, of=of, history=history))

    # -- between the threads ------------------------------------------------------------------

    def _running(self) -> ClientThread:
        """The thread that is signed in, a new one when there is none in this process."""
        with self._lock:
            if self._closed:
                raise closed("the client")
            thread = self._thread
            if thread is None or thread.pid != os.getpid():
                client = jabot.client.Client(
                    self._account, to=self._to, middleware=self._middleware, topics=self._topics
                )
                thread = self._thread = ClientThread(client)
            return thread

    def _job(
        self, submit: Callable[[jabot.client.Client], Coroutine[Any, Any, AsyncJob[Any]]]
    ) -> Job[Any]:
        thread = self._running()

        async def wrapped(app: jabot.client.Client) -> Job[Any]:
            # There, because between two threads the job's end could be missed.
            return Job(await submit(app), thread)

        return thread.call(wrapped)


def _renew_lock(client: weakref.ref[Client]) -> None:
    alive = client()
    if alive is not None:
        alive._lock = threading.Lock()


def _outcome(job: Job[Any] | JabotError, kept: tuple[type[JabotError], ...]) -> Any:
    if isinstance(job, JabotError):
        return job
    try:
        return job.result()
    except kept as error:
        return not_over(error)


async def _left(replies: AsyncGenerator[Reply, None]) -> None:
    """Nobody wants the rest: what still runs is stopped."""
    with suppress(RuntimeError):  # it was interrupted while it waited, and is ending already
        await replies.aclose()


def connect(
    jid: str | None = None,
    *,
    to: str | JID | None = None,
    account: Account | None = None,
    middleware: Iterable[Middleware] = (),
) -> Client:
    """A blocking client. The account is found as `jabot.connect` finds it.

    Use it as `with jabot.sync.connect(...) as app:`, or keep it and call `close()` at the end; a
    program that ends without does so by itself.
    """
    found = account or resolve_account(jid)
    return Client(found, to, tuple(middleware))
