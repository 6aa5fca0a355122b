"""The status of the nodes of an account as a topic: for those who manage them, and nobody else."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from msgspec.structs import replace

from jabot.errors import ConnectionFailed, JabotError, StanzaError, TooLarge
from jabot.pool import Pool
from jabot.status import NodeStatus, Status
from jabot.topics import Publishing
from jabot.topics.publishing import MOST_KEPT
from jabot.xmpp import Session
from jabot.xmpp.topics import TopicSettings

log = logging.getLogger(__name__)

STATUS_TOPIC: Final = "jabot/status"
"""One of the account's own topics. It keeps the newest status of each of its nodes."""

_PACE: Final = 1.0  # seconds between two looks whether something has changed
_BEAT: Final = 30.0  # seconds after which it is told also when nothing has
_LAST: Final = 2.0  # seconds for the server to forget a node that leaves


def status_settings(readers: list[str]) -> TopicSettings:
    """How the topic is to be, for these bare addresses besides the own account."""
    return TopicSettings(keep=MOST_KEPT, subscribers=readers)


class StatusTopic:
    """Publishes the status whenever it has changed, and takes away what nodes left behind
    that are gone without a word: the senior of the pool does that."""

    def __init__(
        self, status: Status, publishing: Publishing, pool: Pool, session: Session
    ) -> None:
        self._status = status
        self._publishing = publishing
        self._pool = pool
        self._session = session
        self._running: asyncio.Task[None] | None = None
        self._told: NodeStatus | None = None  # in this connection
        self._next_beat = 0.0
        self._others: set[str] = set()
        self._gone: set[str] = set()  # whose status is still to be taken away
        self._is_tidy = False
        self._is_shortened = False
        self._problem = ""

    def start(self) -> None:
        """Look once a second, until `leave()` or `close()`."""
        self._running = asyncio.create_task(self._run(), name="jabot status")

    def close(self) -> None:
        """Look no more."""
        if self._running is not None:
            self._running.cancel()

    async def leave(self) -> None:
        """This node is going, in good order."""
        self.close()
        if self._told is None:
            return
        try:
            async with asyncio.timeout(_LAST):
                await self._forget(self._own)
        except (JabotError, TimeoutError) as error:
            log.debug("the status of this node stays behind: %s", error)

    @property
    def _own(self) -> str:
        return self._session.jid.resource

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PACE)
            if not self._pool.joined:
                self._told, self._is_tidy = None, False
                self._others, self._gone = set(), set()
                continue
            try:
                await self._tell()
                await self._tidy()
            except ConnectionFailed:
                continue  # the next one begins anew
            except (JabotError, TimeoutError) as error:
                self._complain(str(error) or "the server did not answer")
                await asyncio.sleep(_BEAT)
            else:
                self._problem = ""

    async def _tell(self) -> None:
        status, now = self._status.of(self._session.jid), asyncio.get_running_loop().time()
        lasting = _lasting(status)
        if lasting == self._told and now < self._next_beat:
            return
        await self._publish(status)
        self._told, self._next_beat = lasting, now + _BEAT

    async def _publish(self, status: NodeStatus) -> None:
        shorter = replace(status, jobs=[])
        for told in (status, shorter, replace(shorter, fields={})):
            try:
                await self._publishing.publish(STATUS_TOPIC, told, own=True, slot=self._own)
            except TooLarge as error:
                if not self._is_shortened:
                    self._is_shortened = True
                    log.warning(
                        "the status as a topic: %s; as long as it is too large, it is told without"
                        " its jobs, or without its fields, too",
                        error,
                    )
            else:
                if told is status:
                    self._is_shortened = False
                return

    async def _tidy(self) -> None:
        others = {jid.resource for jid in self._pool.others}
        self._gone = (self._gone | self._others) - others
        self._others = others
        if not self._pool.answers:
            self._gone.clear()  # the senior does it
            return
        if not self._is_tidy:
            kept = await self._publishing.slots(STATUS_TOPIC)
            self._gone |= kept - others - {self._own}
            self._is_tidy = True
        for resource in list(self._gone):
            await self._forget(resource)
            self._gone.discard(resource)

    async def _forget(self, resource: str) -> None:
        try:
            await self._publishing.retract(STATUS_TOPIC, resource)
        except StanzaError as error:
            if error.condition != "item-not-found":
                raise

    def _complain(self, problem: str) -> None:
        """Once, until it has worked again."""
        if problem != self._problem:
            self._problem = problem
            log.warning("the status as a topic: %s", problem)


def _lasting(status: NodeStatus) -> NodeStatus:
    """The part of a status of which a change is worth telling. (Of `since`, see `runner.Job`.)"""
    jobs = [replace(job, since=0.0) for job in status.jobs]
    return replace(status, uptime=0, cpu=0, memory=None, jobs=jobs)
