"""Following topics: subscriptions that stand, events in order and once, and what was missed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from jabot.errors import ConnectionFailed, NotAllowed, StanzaError
from jabot.jid import JID, InvalidJID
from jabot.topics.event import Event
from jabot.topics.follower import Follower
from jabot.topics.handler import Handler
from jabot.topics.publishing import HINTS, MOST_KEPT, NEW_TOPICS
from jabot.xmpp.topic_stanzas import Item, Notification
from jabot.xmpp.topics import Topics

log = logging.getLogger(__name__)

_LOOK: Final = 60.0  # seconds between two looks for topics that are new, or allowed now
_SOON: Final = 0.2  # seconds after a hint, so that many at once are one look
_SEEN: Final = 2 * MOST_KEPT  # ids that are remembered of a topic


@dataclass(slots=True, eq=False)
class _Stream:
    """One topic that is followed."""

    topic: str
    of: str | None
    service: str = ""  # whose notifications are of this topic
    is_caught_up: bool = False  # in this connection
    seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    begun: set[Follower] = field(default_factory=set)  # who was told of what was before
    early: list[Item] = field(default_factory=list)  # what came while it was caught up
    problem: str = ""

    def note(self, item_id: str) -> bool:
        """Whether this was not seen before."""
        if item_id in self.seen:
            return False
        self.seen[item_id] = None
        if len(self.seen) > _SEEN:
            self.seen.popitem(last=False)
        return True


class Following:
    """All that one session follows.

    Each event is told once to each follower, those of one publisher in their order. What is
    published while there is no connection is told after the reconnect, as far as the topic keeps
    it. A follower that is too slow misses the oldest; the log says so.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._streams: dict[tuple[str | None, str], _Stream] = {}
        self._followers: dict[Follower, None] = {}
        self._settled: set[Follower] = set()  # for whom all topics were looked through once
        self._serving: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[None] | None = None
        self._look_again = asyncio.Event()
        self._is_online = False
        self._problems: dict[str | None, str] = {}  # why nobody tells what topics there are

    def follow(self, follower: Follower) -> None:
        """Tell somebody of topics from now on."""
        self._followers[follower] = None
        self._look_again.set()
        if self._is_online and self._looking is None:
            self._looking = asyncio.ensure_future(self._look())

    def serve(self, follower: Follower, handler: Handler) -> None:
        """The same, and have a function called with each event, one after the other."""

        async def serve() -> None:
            with suppress(ConnectionFailed):  # it is over
                while True:
                    await handler.call(await follower.next())

        self._serving.append(asyncio.create_task(serve(), name="jabot follower"))
        self.follow(follower)

    def unfollow(self, follower: Follower) -> None:
        """Tell it no more. The account stays subscribed: other programs of it may follow, too."""
        self._followers.pop(follower, None)
        self._settled.discard(follower)
        for stream in self._streams.values():
            stream.begun.discard(follower)

    def online(self) -> None:
        """There is a new connection: catch up."""
        self._is_online = True
        if self._followers:
            self._looking = asyncio.ensure_future(self._look())

    def offline(self) -> None:
        """The connection is gone."""
        self._is_online = False
        self._topics.lost()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for stream in self._streams.values():
            stream.is_caught_up, stream.early = False, []

    def close(self, why: ConnectionFailed) -> None:
        """Tell nobody anything any more, but why."""
        self.offline()
        for follower in self._followers:
            follower.end(why)
        for serving in self._serving:
            serving.cancel()

    def received(self, notification: Notification) -> None:
        """A service tells of something published."""
        if notification.topic == NEW_TOPICS or notification.is_over:
            self._look_again.set()
        for of in (None, notification.service):  # the server's, or an account's own
            stream = self._streams.get((of, notification.topic))
            if stream is None or stream.service != notification.service:
                continue
            if notification.is_over:
                log.log(
                    logging.WARNING if self._is_plain(stream) else logging.INFO,
                    "the topic %s was deleted, or its owner ended the subscription; I keep trying",
                    stream.topic,
                )
                stream.is_caught_up = False
            elif stream.is_caught_up:
                self._tell(stream, notification.items)
            else:
                stream.early += notification.items

    # -- finding topics -----------------------------------------------------------------------

    async def _look(self) -> None:
        """See to it that what is to be followed is, as long as the connection lives."""
        while True:
            self._look_again.clear()
            looking = set(self._followers)
            try:
                for stream in await self._wanted():
                    if not stream.is_caught_up or self._hearing(stream) - stream.begun:
                        await self._catch_up(stream)
                self._settled |= {each for each in looking if each.of not in self._problems}
            except ConnectionFailed:
                return
            try:
                async with asyncio.timeout(_LOOK):
                    await self._look_again.wait()
                    await asyncio.sleep(_SOON)
            except TimeoutError:
                continue

    async def _wanted(self) -> list[_Stream]:
        names: dict[str | None, list[str]] = {}
        wanted: list[_Stream] = []
        for follower in list(self._followers):
            if follower.of is None:
                wanted.append(self._stream(None, NEW_TOPICS))
            fitting = [pattern.text for pattern in follower.patterns if pattern.is_plain]
            if len(fitting) < len(follower.patterns):
                if follower.of not in names:
                    names[follower.of] = await self._names(follower.of)
                fitting += filter(follower.fits, names[follower.of])
            wanted += [self._stream(follower.of, name) for name in fitting]
        return list(dict.fromkeys(wanted))

    async def _names(self, of: str | None) -> list[str]:
        """The topics of one place. That it cannot be asked keeps nobody from following others."""
        try:
            found = await self._topics.names(of)
        except (NotAllowed, StanzaError, TimeoutError) as error:
            problem = str(error) or f"{of or 'the server'} does not say what topics there are"
            if self._problems.get(of) != problem:
                self._problems[of] = problem
                log.warning("%s; I keep trying", problem)
            return []
        self._problems.pop(of, None)
        return found

    def _stream(self, of: str | None, topic: str) -> _Stream:
        return self._streams.setdefault((of, topic), _Stream(topic, of))

    async def _catch_up(self, stream: _Stream) -> None:
        """Subscribe, and tell what was published before: first of all subscribe, so that nothing
        falls in between."""
        try:
            stream.service = str(await self._topics.service(stream.of))
            await self._subscribe(stream)
            kept = await self._topics.items(stream.topic, MOST_KEPT, stream.of)
        except (NotAllowed, StanzaError, TimeoutError) as error:
            problem = str(error) or "there was no answer in time"
            if problem != stream.problem:
                stream.problem = problem
                self._complain(stream, error)
            return
        stream.problem = ""
        self._tell_kept(stream, kept)
        early, stream.early = stream.early, []
        stream.is_caught_up = True
        self._tell(stream, early)

    async def _subscribe(self, stream: _Stream) -> None:
        try:
            await self._topics.subscribe(stream.topic, stream.of)
        except StanzaError as error:
            if (stream.of, stream.topic, error.condition) != (None, NEW_TOPICS, "item-not-found"):
                raise
            await self._topics.create(NEW_TOPICS, HINTS, change=False)  # else the first is no news
            await self._topics.subscribe(NEW_TOPICS)

    def _complain(self, stream: _Stream, error: Exception) -> None:
        """Once. A topic that is not there yet is nothing to complain of; one among many that is
        not for us is none either."""
        missing = isinstance(error, StanzaError) and error.condition == "item-not-found"
        level = logging.WARNING if self._is_plain(stream) and not missing else logging.DEBUG
        log.log(
            level, "the topic %s is not followed: %s; I keep trying", stream.topic, stream.problem
        )

    def _is_plain(self, stream: _Stream) -> bool:
        """Whether somebody named it."""
        return any(f.names(stream.topic) and f.of == stream.of for f in self._followers)

    # -- telling ------------------------------------------------------------------------------

    def _tell_kept(self, stream: _Stream, kept: list[Item]) -> None:
        """Those who have followed hear what they have not heard; those who begin, the newest."""
        hearing = self._hearing(stream)
        # When nothing of what is kept was seen before, there was more than that.
        missed = bool(stream.seen) and not any(item.id in stream.seen for item in kept)
        self._tell(stream, kept, retained=True, missed=missed)
        for follower in hearing - stream.begun:
            # Of a topic that came later than who follows, everything is news.
            history = len(kept) if follower in self._settled else follower.history
            for item in _newest(kept, history):
                _put(follower, _event(stream.topic, item, retained=True))
        stream.begun |= hearing

    def _tell(
        self,
        stream: _Stream,
        items: Iterable[Item],
        *,
        retained: bool = False,
        missed: bool = False,
    ) -> None:
        hearing = self._hearing(stream) & stream.begun
        for item in items:
            if not stream.note(item.id):
                continue
            event = _event(stream.topic, item, retained=retained, missed=missed)
            missed = False
            for follower in hearing:
                _put(follower, event)

    def _hearing(self, stream: _Stream) -> set[Follower]:
        return {follower for follower in self._followers if _hears(follower, stream)}


def _newest(kept: list[Item], count: int) -> list[Item]:
    """So many of the newest: of each slot, and of those that are in none."""
    passed = Counter(item.slot for item in kept)
    chosen = []
    for item in kept:
        if passed[item.slot] <= count:
            chosen.append(item)
        passed[item.slot] -= 1
    return chosen


def _event(topic: str, item: Item, *, retained: bool, missed: bool = False) -> Event | None:
    try:
        publisher = JID(item.publisher) if item.publisher else None
    except InvalidJID:
        publisher = None
    try:
        payload = msgspec.json.decode(item.text)
    except (msgspec.DecodeError, RecursionError) as error:
        log.warning("%s of %s is no JSON: %s", topic, publisher or "somebody", error)
        return None
    return Event(topic, payload, publisher, item.id, retained, missed)


def _put(follower: Follower, event: Event | None) -> None:
    if event is not None:
        follower.put(event)


def _hears(follower: Follower, stream: _Stream) -> bool:
    if stream.topic == NEW_TOPICS and not follower.names(NEW_TOPICS):
        return False  # what is said there is for us
    return follower.of == stream.of and follower.fits(stream.topic)
