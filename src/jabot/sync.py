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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

import jabot.client
from jabot.account import Account, resolve_account
from jabot.calls import Job as AsyncJob
from jabot.calls import Reply, begin
from jabot.calls.broadcast import TIMEOUT, Plan
from jabot.calls.calling import kept_errors, not_over, spread
from jabot.calls.calls import closed
from jabot.calls.options import MapOptions, Options, map_options
from jabot.errors import ConnectionFailed, JabotError
from jabot.jid import JID
from jabot.middleware import Middleware
from jabot.peers import Peer, Where
from jabot.tasks import Description, Retry, Step, Task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Job(concurrent.futures.Future[R]):
    """A job somewhere else, as a `concurrent.futures.Future`: `result()`, `exception()`,
    `add_done_callback()`, and what `concurrent.futures.wait` and `as_completed` do.

    `result(timeout)` raises `TimeoutError` when the job is not over by then; it goes on.
    """

    def __init__(self, job: AsyncJob[R], thread: _Thread) -> None:
        super().__init__()
        self.id = job.id
        self.task = job.task
        self.to = job.to
        self._job = job
        self._thread = thread
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
        return _Progress(self._steps)

    def result(self, timeout: float | None = None) -> R:
        """See `concurrent.futures.Future.result`; not in a callback of another job that has not
        ended, which would keep this one from ending: raises `JabotError` there."""
        self._check()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `concurrent.futures.Future.exception`, and `result`."""
        self._check()
        return super().exception(timeout)

    def _steps(self) -> Iterator[Step]:
        """Gone through on the loop; of a job that is over, the newest one needs no loop."""
        self._check()
        if self.done():
            yield from () if self.step is None else (self.step,)
            return

        async def first(_: jabot.client.Client) -> AsyncIterator[Step]:
            return aiter(self._job.progress)

        try:
            steps = self._thread.call(first)
            while True:
                yield self._thread.call(lambda _: _next(steps))
        except StopAsyncIteration:
            return
        except ConnectionFailed:
            if not self.done():
                raise

    def _check(self) -> None:
        """Raises `JabotError` where it would be waited for in vain."""
        if self._job.status != "unknown":  # a lock may be held for ever in a forked process
            return
        self._check_process()
        self._thread.check()

    def _check_process(self) -> None:
        if self._thread.pid != os.getpid():
            raise JabotError(
                f"job {self.id} was submitted before this process was forked, and is followed in "
                "the other one; ask for it here by its id: app.job(id)"
            )

    def cancel(self, reason: str = "") -> bool:
        """Ask for the job to be stopped; False when it is over already.

        Its outcome tells whether it was stopped: `result()` raises `JobCancelled` then.
        """
        if self._job.status == "unknown":
            self._check_process()
        return not self.done() and self._thread.on_loop(lambda: self._job.cancel(reason))

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
    load a program and fork afterwards. Jobs belong to the process that submitted them."""

    def __init__(
        self, account: Account, to: str | JID | None, middleware: tuple[Middleware, ...]
    ) -> None:
        self._account = account
        self._to = to
        self._middleware = middleware
        self._lock = threading.Lock()
        self._thread: _Thread | None = None
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
                yield thread.call(lambda _: _next(replies))
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
            if self._closed:
                raise closed("the client")
            thread = self._thread
            if thread is None or thread.pid != os.getpid():
                client = jabot.client.Client(
                    self._account, to=self._to, middleware=self._middleware
                )
                thread = self._thread = _Thread(client)
            return thread

    def _call(self, function: Callable[[jabot.client.Client], Coroutine[Any, Any, T]]) -> T:
        return self._running().call(function)

    def _job(
        self, submit: Callable[[jabot.client.Client], Coroutine[Any, Any, AsyncJob[Any]]]
    ) -> Job[Any]:
        thread = self._running()

        async def wrapped(app: jabot.client.Client) -> Job[Any]:
            # There, because between two threads the job's end could be missed.
            return Job(await submit(app), thread)

        return thread.call(wrapped)


class _Thread:
    """An event loop in a thread of its own, with a client that is signed in."""

    def __init__(self, client: jabot.client.Client) -> None:
        self.pid = os.getpid()
        self.client = client
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
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
        with self._lock:
            if self._closed:
                raise closed("the client")
            future = asyncio.run_coroutine_threadsafe(function(self.client), self.loop)
        return self._wait(future)

    def on_loop(self, function: Callable[[], object]) -> bool:
        """Call a function there; False when it is closed."""
        with self._lock:
            if not self._closed:
                self.loop.call_soon_threadsafe(function)
            return not self._closed

    def _wait(self, future: concurrent.futures.Future[T]) -> T:
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._closed:  # in that moment
                raise closed("the client") from None
            raise
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
        with self._lock:  # what others have begun is on the loop by now, and ends with it
            if self._closed:
                return
            self._closed = True
        leave = self.client.__aexit__()
        try:
            self._wait(asyncio.run_coroutine_threadsafe(leave, self.loop))
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
    return Client(found, to, tuple(middleware))
