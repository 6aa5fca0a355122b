"""One task for many nodes: an ordinary job for each of them, and an account of all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Literal

from jabot.account import parse_jid
from jabot.calls.audience import EVERYBODY, Audience, Member
from jabot.calls.calls import Calls
from jabot.calls.job import Job
from jabot.calls.options import Call, check_where, options
from jabot.errors import (
    BadArguments,
    ConfigError,
    ConnectionFailed,
    Draining,
    JabotError,
    JobCancelled,
    JobTimeout,
    NobodyThere,
    NotAllowed,
    QueueNeeded,
    TooManyJobs,
    UnknownTask,
    WorkerLost,
)
from jabot.jid import JID
from jabot.peers import Where
from jabot.protocol.codec import check_payload
from jabot.schedule import parse_duration
from jabot.tasks import Task

TIMEOUT: Final = 10.0  # seconds for each node where no other limit is given
_REFUSED: Final = (NotAllowed, UnknownTask, BadArguments, TooManyJobs, Draining, QueueNeeded)

Status = Literal["answered", "failed", "refused", "silent", "left"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a broadcast at one node.

    `answered` has a `result`, all others an `error` that says why. `failed`: the task ran there,
    and raised or was stopped. `refused`: it did not run, for the node would not. `silent`: nothing
    was heard in time; it may have run, and was told to stop. `left`: the node went offline.
    """

    node: JID
    """Its full address."""
    name: str
    """Its nick in the room; without a room, the resource of its address."""
    status: Status
    result: Any
    error: JabotError | None
    seconds: float
    """From when it was asked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of whom, checked."""

    call: Call
    to: str
    timeout: float
    where: Where
    quorum: int | None
    batch: int | float | None
    """How many are asked at once: so many, or as a float this part of them."""

    @classmethod
    def of(
        cls,
        task: str | Task[..., Any],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        to: str | JID | None,
        timeout: float | str = TIMEOUT,
        where: Where | None = None,
        quorum: int | None = None,
        batch: int | str | None = None,
    ) -> Plan:
        """Check what a user gave. Raises `ConfigError`, `BadArguments`, `TooLarge`."""
        if to is None:
            raise ConfigError('to whom? Give to=ADDRESS: a room, a pool, a node, or "*"')
        if quorum is not None and quorum < 1:
            raise ConfigError(f"quorum is at least 1, not {quorum}")
        check_where(where or {})
        call = Call.of(task, *arguments)
        check_payload(bytes(call.args), bytes(call.kwargs))
        return cls(
            call,
            EVERYBODY if to == EVERYBODY else str(parse_jid(to)),
            parse_duration(timeout),
            where or {},
            quorum,
            None if batch is None else read_batch(batch),
        )

    def at_once(self, members: int) -> int:
        """How many are asked at the same time."""
        if self.batch is None:
            return members
        share = int(self.batch * members) if isinstance(self.batch, float) else self.batch
        return max(1, share)


def read_batch(batch: int | str) -> int | float:
    """`10`, `"10"` or `"25%"`. Raises `ConfigError`."""
    text = str(batch).strip()
    number = text.removesuffix("%")
    if number.isascii() and number.isdecimal() and int(number) > 0:
        if number == text:
            return int(number)
        if int(number) <= 100:
            return int(number) / 100
    raise ConfigError(f'batch is a number of nodes or a part of them, as 10 or "25%", not {batch}')


class Broadcast(AsyncIterable[Reply]):
    """The replies of many nodes as they come; to be iterated once.

    It asks when it is iterated. Each node that was there at that moment gives one reply, and when
    the last one has, the iteration ends. When it is left before that, what still runs is cancelled.

    Iterating raises `NobodyThere` when no node is there or there is no such room, `NotAllowed` when
    the room does not let this program in, `JobTimeout` when it cannot be found out who is there,
    `ConnectionFailed` when the program was closed.
    """

    nodes: tuple[JID, ...] = ()
    """The full addresses of all; known from the first reply on."""

    def __init__(
        self,
        calls: Calls,
        audience: Audience,
        plan: Plan,
        on_nodes: Callable[[int], object] = lambda count: None,
    ) -> None:
        self._calls = calls
        self._audience = audience
        self._plan = plan
        self._on_nodes = on_nodes
        self._begun = False

    def __aiter__(self) -> AsyncGenerator[Reply, None]:
        if self._begun:
            raise JabotError("a broadcast is iterated once; call broadcast() for another one")
        self._begun = True
        return self._run()

    async def _run(self) -> AsyncGenerator[Reply, None]:
        with ExitStack() as stack:
            fan = _Fan(self._calls, self._plan)
            plan = self._plan
            members = await self._audience.find(
                plan.to, plan.call.task, plan.where, stack, fan.left
            )
            stack.callback(fan.cancel, "its broadcast is over")
            self.nodes = tuple(JID(member.jid) for member in members)
            self._on_nodes(len(members))
            waiting, answers = deque(members), 0
            width, quorum = self._plan.at_once(len(members)), self._plan.quorum
            while waiting or fan.open:
                while waiting and fan.open < width:
                    fan.ask(waiting.popleft())
                reply = await fan.reply()
                yield reply
                answers += reply.status == "answered"
                if answers == quorum:
                    break
            for reply in fan.finish(waiting):
                yield reply


class _Fan:
    """The jobs of one broadcast."""

    def __init__(self, calls: Calls, plan: Plan) -> None:
        self._calls = calls
        self._plan = plan
        self._ended: asyncio.Queue[Reply] = asyncio.Queue()
        self._asked: dict[str, _Asked] = {}
        self.open = 0
        """How many were asked whose reply was not taken yet."""

    def ask(self, member: Member) -> None:
        """Give a member the job."""
        self.open += 1
        if member.refusal is not None:
            self._ended.put_nowait(_reply(member, "refused", error=member.refusal))
            return
        self._asked[member.jid] = _Asked(member, self._calls, self._plan, self._settled)

    async def reply(self) -> Reply:
        """The next one. Raises `ConnectionFailed` when none will ever come."""
        reply = await self._ended.get()
        if isinstance(reply.error, ConnectionFailed):
            raise reply.error
        self.open -= 1
        return reply

    def finish(self, never_asked: deque[Member]) -> list[Reply]:
        """Enough have answered: the replies that are there, and those of the silent."""
        replies = []
        while not self._ended.empty():
            reply = self._ended.get_nowait()
            if not isinstance(reply.error, ConnectionFailed):
                replies.append(reply)
        error = JobCancelled("enough others have answered before")
        for asked in list(self._asked.values()):
            replies.append(asked.silent(error))
        replies += [_reply(member, "silent", error=error) for member in never_asked]
        self.cancel("enough others have answered")
        return replies

    def left(self, jid: str) -> None:
        """A member has left the room, and never answered a greeting."""
        asked = self._asked.get(jid)
        if asked is not None:
            asked.left(NobodyThere(f"{jid} has left the room"))

    def cancel(self, reason: str) -> None:
        """Stop what still runs; nobody waits for its outcome."""
        for asked in self._asked.values():
            asked.cancel(reason)
        self._asked.clear()

    def _settled(self, reply: Reply) -> None:
        self._asked.pop(str(reply.node), None)
        self._ended.put_nowait(reply)


class _Asked:
    """One member, and its job."""

    def __init__(
        self, member: Member, calls: Calls, plan: Plan, settled: Callable[[Reply], None]
    ) -> None:
        self._member = member
        self._calls = calls
        self._plan = plan
        self._on_settled = settled
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._until = self._begun + plan.timeout
        self._job: Job[Any] | None = None
        self._is_over = False
        self._beginning = asyncio.ensure_future(self._begin())

    async def _begin(self) -> None:
        plan = self._plan
        chosen = options(self._member.jid, plan.timeout)
        try:
            job = await self._calls.begin(plan.call, chosen)
        except JabotError as error:
            self._settle(self._status(error, None), error=error)
        else:
            self._job = job
            job.completion(self._ended)

    def left(self, error: JabotError) -> None:
        """It is gone, and no outcome will come."""
        self._settle("left", error=error)
        self.cancel("its node has left")

    def silent(self, error: JabotError) -> Reply:
        """The reply of one that was not heard."""
        return _reply(self._member, "silent", error=error, seconds=self._seconds)

    def cancel(self, reason: str) -> None:
        """Have it stopped; its outcome is not told."""
        self._is_over = True
        self._beginning.cancel()
        if self._job is not None:
            self._job.cancel(reason)

    @property
    def _seconds(self) -> float:
        return self._loop.time() - self._begun

    def _ended(self, job: Job[Any]) -> None:
        if job.error is None:
            self._settle("answered", result=job.value)
            return
        error = job.error if isinstance(job.error, JabotError) else JabotError(str(job.error))
        self._settle(self._status(error, job), error=error)

    def _status(self, error: JabotError, job: Job[Any] | None) -> Status:
        if isinstance(error, JobTimeout) and self._loop.time() >= self._until:
            return "silent"  # before that, it is a limit of the task's own
        if isinstance(error, NobodyThere | WorkerLost):
            return "left"
        if isinstance(error, _REFUSED) or job is None or job.attempt == 0:
            return "refused"
        return "failed"

    def _settle(
        self, status: Status, *, result: Any = None, error: JabotError | None = None
    ) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_settled(_reply(self._member, status, result, error, self._seconds))


def _reply(
    member: Member,
    status: Status,
    result: Any = None,
    error: JabotError | None = None,
    seconds: float = 0.0,
) -> Reply:
    return Reply(JID(member.jid), member.name, status, result, error, seconds)
