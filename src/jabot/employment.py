"""A node that works for queues: it says what it can do, what it has, and that it is still there."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from jabot.alarm import Alarm
from jabot.calls.directory import Directory
from jabot.errors import JabotError
from jabot.intake import Intake
from jabot.peers import Peers
from jabot.protocol import Leftover
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Frame, Heartbeat, Hello, Rejected
from jabot.xmpp import IncomingPresence, Link, Session

log = logging.getLogger(__name__)

HEARTBEAT: Final = 5.0  # seconds; a third of the usual lease
_GREET_MOST: Final = 5.0  # seconds between two looks for a queue that is not there


class Employment:
    """Keeps a node at work with one node of each queue: an `End` of the link.

    `abilities()` is what the node says of itself.
    """

    def __init__(
        self,
        session: Session,
        link: Link,
        intake: Intake,
        queues: Collection[str],
        abilities: Callable[[], Hello],
    ) -> None:
        self._link = link
        self._intake = intake
        self._queues = tuple(queues)
        self._abilities = abilities
        self._loop = asyncio.get_running_loop()
        self._peers = Peers(lambda _: 0)
        self._directory = Directory(session, self._peers, self._news, lambda _: True, _GREET_MOST)
        self._with: dict[str, str] = {}  # by queue, the node that we work for
        self._alarm = Alarm(self._beat)
        self._draining = False
        if self._queues:
            link.ends.append(self)

    def presence_received(self, stanza: IncomingPresence) -> None:
        """Somebody's presence."""
        if stanza.sender.bare in self._queues:
            self._directory.received(stanza)

    def drain(self) -> None:
        """Take no more."""
        self._draining = True
        for queue in self._with:
            self._say_hello(queue)

    def close(self) -> None:
        """Stop the timers."""
        self._alarm.cancel()
        self._directory.close()

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return account in self._queues

    def received(
        self, peer: str, account: str, frames: Sequence[Incoming], now: float
    ) -> asyncio.Future[None] | None:
        for frame in frames:
            if isinstance(frame, Rejected) and frame.id == "hello" and account in self._queues:
                log.error("the queue %s does not take us: %s", peer, frame.message)
        return None

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """It has heard us."""

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        if self._peers.gone(peer):
            self._news(peer.partition("/")[0])

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        if any(isinstance(frame, Hello) for frame in frames):
            log.error("the queue %s does not take us: %s", peer, error)

    def put_off(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """They go again."""

    def unanswered(self, peer: str, frames: Sequence[Frame]) -> None:
        """They go again."""

    def wants(self, peer: str, frame: Frame) -> bool:
        # What an old hello or heartbeat said is not true any more; there is a newer one.
        return not isinstance(frame, Heartbeat)

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        """Its presence tells."""

    def peer_here(self, peer: str, now: float) -> None:
        """Its presence tells."""

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        self._with.clear()
        self._directory.offline()
        self._alarm.cancel()

    def online(self, now: float) -> None:
        self._directory.online()
        for queue in self._queues:
            self._directory.watch(queue)

    # -- within -------------------------------------------------------------------------------

    def _news(self, queue: str) -> None:
        there = [peer.jid for peer in self._peers.at(queue) if peer.queue]
        now_with = self._with.get(queue)
        if now_with in there:
            return
        if now_with is not None:
            log.warning("the queue's node %s is gone", now_with)
            del self._with[queue]
        if there:
            self._with[queue] = random.choice(there)  # noqa: S311 - no secret
            log.info("working for %s", self._with[queue])
            self._say_hello(queue)
            self._alarm.set(self._loop.time() + HEARTBEAT)

    def _say_hello(self, queue: str) -> None:
        """What we have; then the outcomes that nobody has taken yet."""
        node = self._with[queue]
        hello = msgspec.structs.replace(self._abilities(), held=self._intake.held_of(queue))
        if self._draining:
            hello = msgspec.structs.replace(hello, slots=0)
        self._link.push(node, hello)
        self._intake.follow(queue, node)

    def _beat(self) -> None:
        for queue, node in self._with.items():
            if held := self._intake.held_of(queue):
                self._link.push(node, Heartbeat(held))
        if self._with:
            self._alarm.set(self._loop.time() + HEARTBEAT)
