"""A queue with its workers inside a test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any, Final, cast

from jabot.account import Account
from jabot.calls import Calling, Calls
from jabot.client import Client, connect
from jabot.errors import ConfigError, JabotError
from jabot.jid import JID
from jabot.node import Node
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, job_line
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import Filter, List
from jabot.queue_node import QueueNode
from jabot.queue_serving import QueueServing
from jabot.schedule import parse_duration
from jabot.testing.clock import Clock, moment
from jabot.testing.exchange import Exchange
from jabot.testing.noticing import Handles
from jabot.xmpp import Timing

ADDRESS: Final = "jobs@localhost"
CALLER: Final = "app@localhost"
WORKER: Final = "bot@localhost"
LEASE: Final = "5m"  # three heartbeats in 15 s would be most of what a made-up day has to do
_QUIET: Final = 86_400.0  # seconds without a ping on a line that cannot die
_LOOK: Final = 0.01  # made-up seconds between two looks whether a worker is known
_BEFORE: Final = 2.0  # made-up seconds from the start of the queue to the first line of the test
_START: Final = 60.0  # made-up seconds in which it must be
_LAST_WAIT: Final = 120.0  # made-up seconds for a node to leave, with all limits of its own
_MOST: Final = 1000  # failed jobs that are looked at


class TestQueue(Calling):
    """A queue, its workers and a caller, as a test sees them: `submit`, `map`, `job` and the others
    of a client, and what moves the clock and lets workers die. See `queue()`."""

    __test__ = False  # pytest would take the name for a class of tests

    def __init__(self, address: str, caller: str, node: QueueNode, clock: Clock) -> None:
        self.address = address
        self._node = node
        self._clock = clock
        self._exchange = Exchange()
        self._timing = Timing(quiet=_QUIET, wall=clock.wall)
        self._serving: dict[Node, asyncio.Task[None]] = {}  # the queue's own first
        self._client = self.connect(caller)
        self._default_to = address
        self._handles = Handles(lambda: self._client._calls)
        clock.anybody_runs = self._anybody_runs
        clock.explain = self._handles.unfinished

    # -- time ---------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The date, in UTC."""
        return self._clock.date

    async def advance(self, by: float | str = 0.0, *, to: datetime | None = None) -> None:
        """Let time pass, by seconds or a text such as `"1h"`, or up to a date; and let all happen
        that is due by then. Without arguments: what needs no time.

        Raises `ConfigError` for a date that is past or has no time zone.
        """
        seconds = parse_duration(by) if by else 0.0
        if to is not None:
            seconds = moment(to) - self._clock.wall()
            if seconds < 0:
                raise ConfigError(f"it is {self.now} already, after {to}")
        await self._clock.advance(seconds)

    # -- who is there -------------------------------------------------------------------------

    def account(self, jid: str) -> Account:
        """An account here, for code that connects by itself: `jabot.connect(account=...)`."""
        return self._exchange.account(jid)

    def connect(self, jid: str, *, to: str | JID | None = None) -> Client:
        """A client of another account, to be entered with `async with`; its jobs go to the queue,
        or to `to`."""
        return connect(account=self.account(jid), to=to or self.address, timing=self._timing)

    async def start(self, node: Node) -> None:
        """Let a node work for the queue: a further one, or one that was stopped or lost."""
        node.work_for(self.address)
        await self._serve(node, node.account_jid or WORKER)
        crew = cast(QueueServing, self._node._live).crew
        await self._until(node, lambda: crew.get(str(node.jid)) is not None)

    async def stop(self, node: Node) -> None:
        """Stop a worker in good order: it finishes what it runs, and hands back the rest."""
        serving = self._serving.pop(node)
        node.stop()
        await serving

    async def lose(self, node: Node) -> None:
        """End a worker as if its process were killed: the server says that it is gone, and what it
        ran is lost. Its coroutines are cancelled; a thread cannot be, and runs on."""
        serving = self._serving.pop(node)
        self._exchange.end(str(node.jid))
        serving.cancel()
        await asyncio.wait({serving})

    def cut_off(self, node: Node) -> None:
        """Let a worker run on with a dead line, of which nobody is told: its lease will run out."""
        self._exchange.cut_off(str(node.jid))

    def join(self, node: Node) -> None:
        """Mend the line that was `cut_off`: the worker comes again by itself."""
        self._exchange.join(str(node.jid))

    # -- jobs ---------------------------------------------------------------------------------

    async def failures(self) -> list[JobLine]:
        """The jobs that have failed for good, whoever submitted them, the newest first. They count
        as noticed."""
        found = await self._failed()
        self._handles.noticed.update(record.id for record in found)
        return [job_line(record) for record in found]

    # -- within -------------------------------------------------------------------------------

    @property
    def _calls(self) -> Calls:
        return self._handles.calls

    async def _enter(self, stack: AsyncExitStack, nodes: tuple[Node, ...]) -> None:
        begun = self._clock.time()
        stack.callback(self._exchange.close)
        stack.push_async_callback(self._end)
        await self._serve(self._node, self.address)
        for node in nodes:
            await self.start(node)
        await stack.enter_async_context(self._client)
        await self._clock.advance(max(0.0, begun + _BEFORE - self._clock.time()))

    async def _serve(self, node: Node, jid: str) -> None:
        """Returns when it is signed in."""
        account = self.account(jid)
        self._serving[node] = asyncio.create_task(node.serve(account, timing=self._timing))
        await self._until(node, lambda: node._serving is not None and node._live.session.is_online)

    async def _until(self, node: Node, condition: Callable[[], bool]) -> None:
        serving = self._serving[node]
        until = self._clock.time() + _START
        while not serving.done() and not condition():
            if self._clock.time() > until:
                raise JabotError(
                    f"{node.account_jid or WORKER} is not at work for {self.address} after "
                    f"{_START:g} s; the log says why"
                )
            await asyncio.sleep(_LOOK)
        if serving.done():
            del self._serving[node]
            serving.result()
            raise JabotError(f"{node.account_jid or WORKER} has left at once")

    async def _end(self) -> None:
        """Stop the workers and then the queue, in good order."""
        serving, self._serving = self._serving, {}
        for node, task in reversed(serving.items()):
            node.stop()
            passing = asyncio.ensure_future(self._clock.advance(_LAST_WAIT))
            await asyncio.wait({task, passing}, return_when="FIRST_COMPLETED")
            for left in (task, passing):
                left.cancel()
            await asyncio.wait({task, passing})
        for task in serving.values():
            if not task.cancelled():
                task.result()

    async def _failed(self) -> list[Record]:
        store = cast(QueueServing, self._node._live).store
        found: list[Record] = await store.read(List(Filter(states=[JobState.FAILED]), _MOST))
        return found

    async def _check(self) -> None:
        """Raises `AssertionError` when jobs have failed and nobody has seen it. What a task or a
        client of somebody's has submitted, and heard of, is theirs."""
        cast(QueueServing, self._node._live).receipts.hand_in()
        await self._clock.settle()
        unseen = [
            job_line(record)
            for record in await self._failed()
            if record.id not in self._handles.noticed
            and (record.id in self._handles or not record.delivered)
        ]
        if unseen:
            lines = "\n".join(f"  {job.task} {job.id}: {job.error}" for job in unseen)
            raise AssertionError(
                f"jobs have failed, and the test has not looked at that:\n{lines}\n"
                "Await them, or ask for failures(), or give queue(strict=False)."
            )

    def _anybody_runs(self) -> bool:
        return any(node._live.runner.running for node in self._serving if node._serving is not None)


@asynccontextmanager
async def queue(
    *nodes: Node,
    now: datetime | None = None,
    caller: str = CALLER,
    strict: bool = True,
    **options: Any,
) -> AsyncIterator[TestQueue]:
    """A queue inside the test: the real one, with its store in memory, and nodes that work for it.

    Everything runs in this process, over a server without sockets. Time is made up: it passes when
    all wait for it, and then at once (`jabot.testing.Clock` says what cannot be hurried). The date
    begins at `now`, else at the machine's; `time.time()` and `datetime.now()` in your own code go
    on telling the machine's.

    Jobs are submitted as `caller`, by the methods of a client. `options` are those of a `QueueNode`
    (`losses`, `grace`, `allow`, ...); without `allow` everybody may have all tasks run, without
    `work` every account may work for it, and without `lease` that is five minutes. Its address is
    the first that one of the nodes works for. When the context is left while jobs have failed that
    nobody awaited or asked for, it raises `AssertionError`, unless `strict` is False.

    Raises what keeps a node or the queue from being served, and `ConfigError` on another event loop
    than asyncio's own.
    """
    addresses = [address for node in nodes for address in node.queues]
    address = addresses[0] if addresses else ADDRESS
    usual = {"store": "sqlite:///:memory:", "lease": LEASE, "allow": {"*": "*"}, "work": ["*"]}
    node = QueueNode(address, **(usual | {"manage": [caller]} | options))
    begin = time.time() if now is None else moment(now)
    clock = Clock(asyncio.get_running_loop(), begin - _BEFORE)
    async with AsyncExitStack() as stack:
        stack.callback(clock.release)
        inside = TestQueue(address, caller, node, clock)
        await inside._enter(stack, nodes)
        yield inside
        if strict:
            await inside._check()
