"""A blocking client, for scripts and for web frameworks with threads.

    with jabot.sync.connect("app@example.org", to="bot@example.org") as app:
        job = app.submit("lift", 30)
        print(job.result(timeout=60))

The connection lives in a thread of its own; any number of threads may use the client.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

import jabot.client
from jabot.account import Account, resolve_account
from jabot.calls import Description
from jabot.calls import Job as AsyncJob
from jabot.errors import JabotError
from jabot.jid import JID
from jabot.middleware import Middleware
from jabot.peers import Peer, Where
from jabot.tasks import Retry, Step, Task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Job(concurrent.futures.Future[R]):
    """A job somewhere else, as a `concurrent.futures.Future`: `result()`, `exception()`,
    `add_done_callback()`, and what `concurrent.futures.wait` and `as_completed` do.

    `result(timeout)` raises `TimeoutError` when the job is not over by then; it goes on.
    """

    def __init__(self, job: AsyncJob[R], client: Client) -> None:
        super().__init__()
        self.id = job.id
        self.task = job.task
        self.to = job.to
        self._job = job
        self._client = client
        self.set_running_or_notify_cancel()
        job.completion(self._settle)

    @property
    def step(self) -> Step | None:
        """The newest progress."""
        return self._job.step

    @property
    def progress(self) -> Iterable[Step]:
        """The steps as they come, the newest known one first; ends with the job.

        Each `for` reads them anew; what is not iterated costs nothing.
        """
        return _Progress(lambda: self._client._iterate(lambda: aiter(self._job.progress)))

    def result(self, timeout: float | None = None) -> R:
        """See `concurrent.futures.Future.result`; not in a callback of another job that has not
        ended, which would keep this one from ending: raises `JabotError` there."""
        self._check()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `concurrent.futures.Future.exception`, and `result`."""
        self._check()
        return super().exception(timeout)

    def _check(self) -> None:
        thread = self._client._thread
        if thread is not None and not self.done():
            thread.check()

    def cancel(self, reason: str = "") -> bool:
        """Ask for the job to be stopped; False when it is over already.

        Its outcome tells whether it was stopped: `result()` raises `JobCancelled` then.
        """
        if self.done():
            return False
        self._client._on_loop(self._job.cancel, reason)
        return True

    def _settle(self, job: AsyncJob[Any]) -> None:
        if job.error is not None:
            self.set_exception(job.error)
        else:
            self.set_result(job.value)


class _Progress(Iterable[Step]):
    """What may be iterated: not a reader yet, so that to look at it changes nothing."""

    def __init__(self, read: Callable[[], Iterator[Step]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Step]:
        return self._read()


class Client:
    """See `connect()`. It signs in at its first use, in the process that uses it: a web server may
    load a program and fork afterwards."""

    def __init__(self, account: Account, **options: Any) -> None:
        self._account = account
        self._options = options
        self._lock = threading.Lock()
        self._thread: _Thread | None = None
        renew = partial(_renew_lock, weakref.ref(self))
        os.register_at_fork(after_in_child=renew)  # another thread may hold it at that moment

    def __enter__(self) -> Self:
        """Sign in. Raises `ConnectionFailed` when that does not succeed."""
        self._running()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Sign out. Jobs that are under way go on; waiting for them raises `ConnectionFailed`."""
        if self._thread is not None:
            self._thread.check()
        with self._lock:
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
        self, task: Task[..., Coroutine[Any, Any, R]], /, *iterables: Iterable[Any], **options: Any
    ) -> Iterator[R]: ...

    @overload
    def map(
        self, task: Task[..., R], /, *iterables: Iterable[Any], **options: Any
    ) -> Iterator[R]: ...

    @overload
    def map(self, task: str, /, *iterables: Iterable[Any], **options: Any) -> Iterator[Any]: ...

    def map(self, task: Any, /, *iterables: Iterable[Any], **options: Any) -> Iterator[Any]:
        """The results in the order of the items. As `jabot.Client.map`."""
        in_flight, chosen = self._running().client.map_options(**options)
        under_way: deque[Job[Any]] = deque()
        try:
            for args in zip(*iterables, strict=False):
                if len(under_way) >= in_flight:
                    yield under_way[0].result()
                    under_way.popleft()
                under_way.append(self._job(lambda app: app.begin(task, args, chosen)))  # noqa: B023
            while under_way:
                yield under_way[0].result()
                under_way.popleft()
        finally:
            for job in under_way:
                job.cancel("the others of its map are not wanted any more")

    def job(
        self, job_id: str, *, to: str | JID | None = None, timeout: float | str | None = None
    ) -> Job[Any]:
        """A job of this account's by its id. As `jabot.Client.job`."""
        return self._job(lambda app: app.job(job_id, to=to, timeout=timeout))

    def nodes(self, address: str | JID | None = None) -> list[Peer]:
        """Who is online at an address. As `jabot.Client.nodes`."""
        return self._call(lambda app: app.nodes(address))

    def describe(
        self, address: str | JID | None = None, task: str | None = None
    ) -> dict[str, Description]:
        """What is offered at an address. As `jabot.Client.describe`."""
        return self._call(lambda app: app.describe(address, task))

    # -- between the threads ------------------------------------------------------------------

    def _running(self) -> _Thread:
        """The thread that is signed in, a new one when there is none in this process."""
        with self._lock:
            thread = self._thread
            if thread is None or thread.pid != os.getpid():
                thread = self._thread = _Thread(jabot.client.Client(self._account, **self._options))
            return thread

    def _call(self, function: Callable[[jabot.client.Client], Coroutine[Any, Any, T]]) -> T:
        return self._running().call(function)

    def _job(
        self, submit: Callable[[jabot.client.Client], Coroutine[Any, Any, AsyncJob[Any]]]
    ) -> Job[Any]:
        async def wrapped(app: jabot.client.Client) -> Job[Any]:
            # There, because between two threads the job's end could be missed.
            return Job(await submit(app), self)

        return self._call(wrapped)

    def _on_loop(self, function: Callable[..., object], *args: object) -> None:
        self._running().loop.call_soon_threadsafe(function, *args)

    def _iterate(self, begin: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """An asynchronous iteration, begun and gone through on the loop, as a blocking one."""

        async def first(_: jabot.client.Client) -> AsyncIterator[T]:
            return begin()

        items = self._call(first)
        while True:
            try:
                yield self._call(lambda _: _next(items))
            except StopAsyncIteration:
                return


class _Thread:
    """An event loop in a thread of its own, with a client that is signed in."""

    def __init__(self, client: jabot.client.Client) -> None:
        self.pid = os.getpid()
        self.client = client
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="jabot client", daemon=True)
        self._thread.start()
        try:
            self.call(lambda app: app.__aenter__())
        except BaseException:
            self._end()
            raise
        atexit.register(self.close)

    def call(self, function: Callable[[jabot.client.Client], Coroutine[Any, Any, T]]) -> T:
        """What a coroutine of the client returns; when this is interrupted, so is that."""
        self.check()
        future = asyncio.run_coroutine_threadsafe(function(self.client), self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def check(self) -> None:
        """Raises `JabotError` in the client's own thread, which must not wait for itself."""
        if threading.current_thread() is self._thread:
            raise JabotError(
                "this would wait for itself: it was called in the client's own thread (a callback "
                "of a job?); do it in another thread"
            )

    def close(self) -> None:
        """Sign out and end the thread; nothing in a process that was forked since."""
        if self.pid != os.getpid():
            return
        self.check()
        atexit.unregister(self.close)
        try:
            self.call(lambda app: app.__aexit__(None, None, None))
        finally:
            self._end()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


def _renew_lock(client: weakref.ref[Client]) -> None:
    alive = client()
    if alive is not None:
        alive._lock = threading.Lock()


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


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
    return Client(found, to=to, middleware=tuple(middleware))
