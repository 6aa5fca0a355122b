"""A node that works for queues: it says what it can do, what it has, and that it is still there."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jabot.alarm import Alarm
from jabot.calls.directory import Directory
from jabot.errors import JabotError
from jabot.intake import Intake
from jabot.peers import Peers
from jabot.protocol import Leftover
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Frame, Heartbeat, Hello, Rejected
from jabot.xmpp import IncomingPresence, Link, Session
from jabot.xmpp.end import End

log = logging.getLogger(__name__)

_BEATS: Final = 3  # heartbeats in a lease
# The share of a lease after which a node that takes nothing is left for another one: that is to
# hear of our jobs before it gives them to others.
_SILENCE: Final = 0.6
_GREET_MOST: Final = 5.0  # seconds between two looks for a queue that is not there
_REFUSED_FIRST: Final = 0.5  # seconds before a node that refused us is asked again; then twice that
_REFUSED_MOST: Final = 5.0
_PACE: Final = 1.0  # seconds between two words about our free slots
_AGAIN: Final = 60.0  # seconds after which all is said again; a queue may have taken offence
_BUSY_LINK: Final = 0.1  # seconds before a hello that would have to wait is tried again
_HELLO: Final = "hello"  # the id in a queue's answer to a hello that it does not take


@dataclass(slots=True)
class _Post:
    """One queue, and the node of it that we work with."""

    queue: str
    node: str | None = None  # the one that we are with, or were with last
    attached: bool = False
    has_been: bool = False  # with anybody: it need not wait to see who else is there
    lease: float = 15.0  # seconds that a silent worker keeps its jobs
    heard: float = 0.0  # when the node last showed that it is alive
    beat_at: float = 0.0
    said: Hello | None = None  # the last hello, without what we had then
    said_at: float = 0.0
    hello_at: float = float("inf")  # when to say the next one
    avoid: dict[str, float] = field(default_factory=dict)  # who refused us, and until when
    pause: float = _REFUSED_FIRST
    problem: str = ""  # the last one in the log


class Employment(End):
    """Keeps a node at work with one node of each queue: an `End` of the link.

    `abilities(queue)` is what the node tells a queue of itself. A node that stops has no slots.
    `choose` picks one of several nodes, so that workers spread over them.
    """

    def __init__(
        self,
        session: Session,
        link: Link,
        intake: Intake,
        queues: Collection[str],
        abilities: Callable[[str], Hello],
        choose: Callable[[Sequence[str]], str] = random.choice,
    ) -> None:
        self._link = link
        self._intake = intake
        self._abilities = abilities
        self._choose = choose
        self._loop = asyncio.get_running_loop()
        self._posts = {queue: _Post(queue) for queue in queues}
        self._peers = Peers(lambda _: 0)
        self._directory = Directory(session, self._peers, self._news, lambda _: True, _GREET_MOST)
        self._alarm = Alarm(self._tick)
        if self._posts:
            link.ends.append(self)

    def presence_received(self, stanza: IncomingPresence) -> None:
        """Somebody's presence."""
        if stanza.sender.bare in self._posts:
            self._directory.received(stanza)

    def news(self) -> None:
        """What we can do has changed, perhaps: say so soon. That we stop is said at once."""
        now = self._loop.time()
        for post in self._posts.values():
            if post.attached and (hello := self._abilities(post.queue)) != post.said:
                at = now if not hello.slots else max(now, post.said_at + _PACE)
                post.hello_at = min(post.hello_at, at)
                if at <= now:
                    self._say_hello(post, now)
                self._alarm.set(post.hello_at)

    def close(self) -> None:
        """Stop the timers."""
        self._alarm.cancel()
        self._directory.close()

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return account in self._posts

    def received(self, peer: str, account: str, frames: Sequence[Incoming], now: float) -> None:
        post = self._post_with(peer)
        if post is not None:
            post.heard = now
            for frame in frames:
                if isinstance(frame, Rejected) and frame.id == _HELLO:
                    self._refused(post, frame.message, now)

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        post = self._post_with(peer)
        if post is not None:
            post.heard = now

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        if peer.partition("/")[0] in self._posts:
            self._directory.lost(peer)
            self.peer_gone(peer, Leftover([], []), now)

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        if (post := self._greeted(peer, frames)) is not None:
            self._refused(post, str(error), now)

    def put_off(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        if (post := self._greeted(peer, frames)) is not None:
            self._refused(post, f"{peer} takes nothing for now", now)

    def unanswered(self, peer: str, frames: Sequence[Frame]) -> None:
        if (post := self._greeted(peer, frames)) is not None:
            post.hello_at = self._loop.time()
            self._alarm.set(post.hello_at)

    def wants(self, peer: str, frame: Frame) -> bool:
        # What an old one said is not true any more: a queue takes what is not in a hello for lost.
        return not isinstance(frame, (Hello, Heartbeat))

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        post = self._post_with(peer)
        if post is not None:
            self._leave(post, f"the queue's node {peer} is gone")
            self._look(post, now)

    def peer_here(self, peer: str, now: float) -> None:
        post = self._post_with(peer)
        if post is not None:
            post.heard = now

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        for post in self._posts.values():
            post.attached = False
        self._directory.offline()
        self._alarm.cancel()

    def online(self, now: float) -> None:
        """A queue gives what we have to others when we are away for longer than a second. So the
        node that we were with hears of us at once; if it is not there any more, that comes back."""
        self._directory.online()
        for post in self._posts.values():
            self._directory.watch(post.queue)
            if post.node is not None:
                self._attach(post, post.node, now)

    # -- within -------------------------------------------------------------------------------

    def _post_with(self, peer: str) -> _Post | None:
        """The queue whose node we are with has that address."""
        post = self._posts.get(peer.partition("/")[0])
        return post if post is not None and post.attached and post.node == peer else None

    def _greeted(self, peer: str, frames: Sequence[Frame]) -> _Post | None:
        """The same, where these frames to it say hello."""
        return self._post_with(peer) if any(isinstance(f, Hello) for f in frames) else None

    def _news(self, queue: str) -> None:
        """A node of a queue came or changed, or nobody answers."""
        post = self._posts[queue]
        self._look(post, now := self._loop.time())
        if not post.attached and not self._there(queue) and now >= self._directory.settles(queue):
            self._complain(post, str(self._directory.nobody(queue)))

    def _there(self, queue: str) -> list[str]:
        return [peer.jid for peer in self._peers.at(queue) if peer.queue]

    def _willing(self, post: _Post, now: float) -> list[str]:
        """The nodes that have not refused us just now."""
        post.avoid = {node: until for node, until in post.avoid.items() if now < until}
        return [node for node in self._there(post.queue) if node not in post.avoid]

    def _look(self, post: _Post, now: float) -> None:
        """Go to work with somebody, unless we are."""
        if post.attached or not (there := self._there(post.queue)):
            return
        known_at = now if post.has_been else self._directory.complete(post.queue)
        if now < known_at:  # not with the quickest one: all would be with that
            self._alarm.set(known_at)
            return
        if willing := self._willing(post, now):
            self._attach(post, self._choose(willing), now)
        else:
            self._alarm.set(min(post.avoid[node] for node in there))

    def _attach(self, post: _Post, node: str, now: float) -> None:
        log.log(logging.DEBUG if post.problem else logging.INFO, "working for %s", node)
        post.node, post.attached, post.has_been = node, True, True
        if (peer := self._peers.get(node)) is not None:
            post.lease = peer.lease
        post.heard, post.beat_at = now, now + post.lease / _BEATS
        self._note(post, now)
        self._intake.work_with(post.queue, node, post.said or self._abilities(post.queue))
        self._alarm.set(post.beat_at)

    def _leave(self, post: _Post, why: str) -> None:
        """What we have of it waits for its other nodes, or for it to come back."""
        log.warning("%s", why)
        post.attached, post.hello_at = False, float("inf")

    def _refused(self, post: _Post, why: str, now: float) -> None:
        node = post.node or ""
        post.avoid[node] = now + post.pause
        post.pause = min(2 * post.pause, _REFUSED_MOST)
        self._complain(post, f"the queue's node {node} does not take us: {why}")
        post.attached, post.hello_at = False, float("inf")
        self._look(post, now)
        self._alarm.set(post.avoid[node])

    def _complain(self, post: _Post, problem: str) -> None:
        """Once: it is tried again and again."""
        if problem != post.problem:
            post.problem = problem
            log.error("%s", problem)

    def _say_hello(self, post: _Post, now: float) -> None:
        """Say anew what we can do. What has to wait behind other frames is not said: a queue that
        knows of a job that we took meanwhile would miss it in there."""
        node = post.node
        if node is None or not self._link.is_free(node):
            post.hello_at = now + _BUSY_LINK
            self._alarm.set(post.hello_at)
            return
        self._note(post, now)
        self._intake.worker.greet(node, post.said or self._abilities(post.queue))

    def _note(self, post: _Post, now: float) -> None:
        post.said, post.said_at = self._abilities(post.queue), now
        post.hello_at = now + _AGAIN

    def _tick(self) -> None:
        now = self._loop.time()
        for post in self._posts.values():
            if post.attached and post.beat_at <= now:
                self._beat(post, now)
            if post.attached and post.hello_at <= now:
                self._say_hello(post, now)
            self._look(post, now)
            if post.attached:
                self._alarm.set(min(post.beat_at, post.hello_at))

    def _beat(self, post: _Post, now: float) -> None:
        """Say that we are there; and see whether the node is."""
        node = post.node or ""
        silent = now - post.heard
        if silent >= _SILENCE * post.lease and set(self._willing(post, now)) - {node}:
            self._leave(post, f"the queue's node {node} has taken nothing for {silent:.0f} s")
            post.avoid[node] = now + post.lease
            return
        beat = post.lease / _BEATS
        if silent < beat:
            post.pause, post.problem = _REFUSED_FIRST, ""
        post.beat_at = now + beat
        self._intake.worker.heartbeat(node)
