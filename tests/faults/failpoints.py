"""A queue that crashes where a test wants it: at a transaction, or at a frame, just before or just
after. Everything is jabot's own, over a server without sockets and with a made-up clock; a crash is
the end of a program's line and of its task, without a word and without a commit.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints
from xml.etree import ElementTree as ET

from campaign.checker import Crash, Run

from jabot import Context, Node, connect
from jabot.account import Account
from jabot.errors import StoreUnavailable
from jabot.protocol import codec
from jabot.protocol.codec import Damaged
from jabot.protocol.frames import FRAMES, kind_of
from jabot.protocol.states import TRANSITIONS, JobEvent, JobState
from jabot.queue.store import open_store
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import Filter, Finish, List, Verb
from jabot.queue_node import QueueNode
from jabot.testing import Clock, Exchange
from jabot.xmpp import Timing
from jabot.xmpp.frames import read_batch

QUEUE, WORKER, APP = "jobs@localhost", "bot@localhost", "app@localhost"
LEASE = 3.0
_SLOW = 1.5  # made-up seconds
_PAUSE = 0.2  # made-up seconds before a crashed program is started again

When = Literal["before", "after"]


@dataclass(frozen=True)
class Point:
    """Where something can crash."""

    who: str  # `queue` or `worker`
    at: str  # `commit Add`, `event due`, `send hello`
    when: When

    def __str__(self) -> str:
        return f"{self.who}: {self.when} {self.at}"


def verbs() -> list[str]:
    """What a store is asked to do, each way for an attempt to end on its own."""
    (events,) = [get_args(get_type_hints(Finish)["event"])]
    names = [verb.__name__ for verb in get_args(Verb) if verb is not Finish]
    return [*names, *(f"Finish {event}" for event in events)]


def points() -> list[Point]:
    """All there are, from the tables of the code."""
    both: tuple[When, ...] = get_args(When)
    kinds = [str(frame.__struct_config__.tag) for frame in FRAMES]
    return [
        *(Point("queue", f"commit {name}", when) for name in verbs() for when in both),
        *(Point("queue", f"event {event.value}", "after") for event in JobEvent),
        *(
            Point(who, f"send {kind}", when)
            for who in ("queue", "worker")
            for kind in kinds
            for when in both
        ),
    ]


class Failpoints:
    """Which point is to crash next, and which were passed."""

    def __init__(self, *armed: Point) -> None:
        self.armed = list(armed)
        self._armed_first = bool(armed)
        self.passed: set[Point] = set()
        self.doubts: list[type] = []
        """Verbs that the store is to do, once each, while their answers are lost."""
        self.slow: list[type] = []
        """Verbs for which it is to take its time, once each."""

    @property
    def watches_events(self) -> bool:
        """Whether it matters what becomes of jobs; to see that takes time."""
        return not self._armed_first or any(point.at.startswith("event") for point in self.armed)

    def hits(self, point: Point) -> bool:
        """Whether it is now that this one crashes."""
        self.passed.add(point)
        if not self.armed or self.armed[0] != point:
            return False
        del self.armed[0]
        return True


class FailingStore:
    """A store whose queue crashes at some of its transactions."""

    def __init__(self, store: Any, failpoints: Failpoints, crash: Callable[[], None]) -> None:
        self._store = store
        self._failpoints = failpoints
        self._crash = crash
        self._states: dict[str, JobState] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, asked: list[Any]) -> list[Any]:
        await self._pass((f"commit {_name(verb)}" for verb in asked), "before")
        if _next_is(self._failpoints.slow, asked):
            await asyncio.sleep(_SLOW)
        answers: list[Any] = await self._store.apply(asked)
        if _next_is(self._failpoints.doubts, asked):
            raise StoreUnavailable("the answer was lost")
        await self._pass((f"commit {_name(verb)}" for verb in asked), "after")
        if self._failpoints.watches_events:
            await self._pass([f"event {event.value}" for event in await self._happened()], "after")
        return answers

    async def read(self, question: Any) -> Any:
        await self._pass([f"commit {_name(question)}"], "before")
        answer = await self._store.read(question)
        await self._pass([f"commit {_name(question)}"], "after")
        return answer

    async def _pass(self, places: Any, when: When) -> None:
        for place in list(places):
            if self._failpoints.hits(Point("queue", place, when)):
                self._crash()
                await asyncio.get_running_loop().create_future()  # for ever: there is no answer

    async def _happened(self) -> set[JobEvent]:
        """What the last transaction did to jobs, from their states before and after it."""
        before, found = self._states, set()
        (records,) = await self._store.apply([List(Filter(), most=1000)])
        self._states = {record.id: record.state for record in records}
        for record in records:
            was = before.get(record.id, record.state)
            found |= set(_events(was, record))
        return found


def _next_is(kinds: list[type], asked: list[Any]) -> bool:
    """Whether the first of these is among what is asked; then it is the first no more."""
    found = bool(kinds) and any(isinstance(verb, kinds[0]) for verb in asked)
    if found:
        del kinds[0]
    return found


def _name(verb: Any) -> str:
    name = type(verb).__name__
    return f"{name} {verb.event}" if isinstance(verb, Finish) else name


def _events(was: JobState, record: Record) -> Iterator[JobEvent]:
    expired = record.failure is not None and record.failure.code == "expired"
    for event, to in TRANSITIONS[was].items():
        if to is record.state is not was and (event is JobEvent.EXPIRE) <= expired:
            yield event


class FailingLine:
    """A connection whose program crashes at some of the frames that it sends."""

    def __init__(self, line: Any, who: str, failpoints: Failpoints, crash: Callable[[], None]):
        self.__dict__.update(_line=line, _who=who, _failpoints=failpoints, _crash=crash)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._line, name, value)

    def send_text(self, xml: str) -> None:
        kinds = list(_kinds(xml))
        if self._hits(kinds, "before"):
            self._crash()
            return
        self._line.send_text(xml)
        if self._hits(kinds, "after"):
            self._crash()

    def _hits(self, kinds: list[str], when: When) -> bool:
        return any(self._failpoints.hits(Point(self._who, f"send {kind}", when)) for kind in kinds)


def _kinds(xml: str) -> Iterator[str]:
    for stanza in ET.fromstring(f"<s xmlns='jabber:client'>{xml}</s>"):
        stanza.set("from", stanza.get("to", "nobody@localhost/x"))
        batch = read_batch(stanza)
        if batch is not None:
            for frame in codec.decode_batch(batch.text, deflated=batch.deflated):
                yield frame.kind if isinstance(frame, Damaged) else kind_of(frame)


class Yard:
    """A queue on a file, a worker and a caller. Whoever crashes is started again."""

    def __init__(self, folder: Path, clock: Clock, failpoints: Failpoints) -> None:
        self.store = f"sqlite:///{folder}/jobs.db"
        self.clock = clock
        self.failpoints = failpoints
        self.runs: list[Run] = []
        self.crashes: list[Crash] = []
        self.exchange = Exchange()
        self.timing = Timing(wall=clock.wall)
        self._programs = {"queue": self._queue, "worker": self._worker}
        self.nodes: dict[str, Node] = {}
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._keeping: set[asyncio.Task[None]] = set()
        self._opened: list[FailingStore] = []
        self.over = False

    async def start(self) -> None:
        for who in self._programs:
            self._start(who)
        await self.until(lambda: all(map(self._is_online, self._programs)))

    def _start(self, who: str) -> None:
        account = self.exchange.account(QUEUE if who == "queue" else WORKER)
        node = self.nodes[who] = self._programs[who]()
        keeping = asyncio.create_task(self._keep(who, node, self._failing(account, who)))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)

    async def _keep(self, who: str, node: Node, account: Account) -> None:
        """Serve it until it crashes, and then another one."""
        serving = asyncio.create_task(node.serve(account, timing=self.timing))
        self._serving[who] = serving
        await asyncio.wait({serving})
        if who == "queue" and self._opened:
            await self._opened.pop().close()  # as the end of its process does
        if serving.cancelled() and not self.over:
            await asyncio.sleep(_PAUSE)
            self._start(who)
        elif not serving.cancelled():
            serving.result()

    def crash(self, who: str) -> None:
        """End a program here and now."""
        if who == "worker":
            self.crashes.append(Crash("worker", self.clock.time()))
        if self._is_online(who):
            self.exchange.end(str(self.nodes[who].jid))
        self._serving[who].cancel()

    async def stop(self) -> None:
        """In order: the worker hands back what it has not begun."""
        self.over = True
        for who in ("worker", "queue"):
            if who in self.nodes:
                self.nodes[who].stop()
                await asyncio.wait({self._serving[who]}, timeout=60)
        await asyncio.wait(self._keeping, timeout=60) if self._keeping else None
        self.exchange.close()

    async def restart(self, who: str) -> None:
        """Stop it in order, and start another one."""
        serving = self._serving[who]
        self.nodes[who].stop()
        await asyncio.wait({serving})
        if serving is self._serving[who] and not serving.cancelled():
            self._start(who)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(600):
            while not condition():
                await asyncio.sleep(0.05)

    def connect(self) -> Any:
        account = self.exchange.account(APP)
        return connect(account=account, to=QUEUE, timing=self.timing)

    # -- the programs -------------------------------------------------------------------------

    def _queue(self) -> Node:
        rules = {"allow": {APP: "*"}, "manage": [APP], "work": [WORKER]}
        return QueueNode(QUEUE, store=self.store, lease=LEASE, **rules)

    def _worker(self) -> Node:
        node = Node(WORKER, queue=QUEUE, concurrency=2, drain_limit=20)

        @node.task
        async def lift(number: int, seconds: float = 0.0, size: int = 0, *, ctx: Context) -> str:
            mine = self._begun(number, ctx)
            ctx.progress(1, 2)
            await asyncio.sleep(seconds)
            return self._ended(mine, "x" * size)

        @node.task(concurrency=1)
        async def press(number: int, seconds: float, *, ctx: Context) -> str:
            mine = self._begun(number, ctx)
            await asyncio.sleep(seconds)
            return self._ended(mine)

        @node.task
        async def drop(number: int, times: int, *, ctx: Context) -> str:
            mine = self._begun(number, ctx)
            if ctx.attempt <= times:
                self.runs[mine] = replace(self.runs[mine], raised=True)
                raise ValueError(f"attempt {ctx.attempt}")
            return self._ended(mine)

        return node

    # -- within -------------------------------------------------------------------------------

    def _begun(self, number: int, ctx: Context) -> int:
        run = Run(ctx.job_id, number, ctx.attempt, "worker", self.clock.time())
        self.runs.append(run)
        return len(self.runs) - 1

    def _ended(self, mine: int, more: str = "") -> str:
        """The result of a run, which no other one has."""
        run = self.runs[mine]
        result = f"{run.job} {run.attempt} {mine} {more}"
        self.runs[mine] = replace(run, result=result)
        return result

    def _is_online(self, who: str) -> bool:
        node = self.nodes[who]
        return node._serving is not None and node._serving.session.is_online

    def _failing(self, account: Account, who: str) -> Account:
        lines = account.lines
        assert lines is not None

        def failing(of: Account) -> Callable[..., Any]:
            def line(*args: Any, **options: Any) -> FailingLine:
                inner = lines(of)(*args, **options)
                return FailingLine(inner, who, self.failpoints, lambda: self.crash(who))

            return line

        return replace(account, lines=failing)

    def opened(self, url: str) -> FailingStore:
        """In place of `open_store`."""
        store = FailingStore(open_store(url), self.failpoints, lambda: self.crash("queue"))
        self._opened.append(store)
        return store
