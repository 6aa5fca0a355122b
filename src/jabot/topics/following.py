"""Following topics: subscriptions that stand, events in order and once, and what was missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from jabot.alarm import Alarm
from jabot.errors import ConnectionFailed, NotAllowed, StanzaError
from jabot.topics.event import Event
from jabot.topics.follower import Follower
from jabot.topics.handler import Handler
from jabot.topics.publishing import HINTS, MOST_KEPT, NEW_TOPICS
from jabot.topics.stream import Stream, event_of, newest
from jabot.xmpp.topic_stanzas import Item, Notification
from jabot.xmpp.topics import Topics

log = logging.getLogger(__name__)

_LOOK: Final = 60.0  # seconds between two looks for topics that are new, or allowed now
_SOON: Final = 0.2  # seconds after a hint, so that many at once are one look
_HINTS: Final = 2.0  # seconds between two looks for which others are the reason


class Following:
    """All that one session follows.

    Each event is told once to each follower, those of one publisher in their order. What is
    published while there is no connection is told after the reconnect, as far as the topic keeps
    it. A follower that is too slow misses the oldest; the log says so.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._streams: dict[tuple[str | None, str], Stream] = {}
        self._followers: dict[Follower, None] = {}
        self._settled: set[Follower] = set()  # for whom all topics were looked through once
        self._serving: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[None] | None = None
        self._look_again = asyncio.Event()
        self._hinted = float("-inf")  # when others were the last time the reason for a look
        self._hint = Alarm(self._take_hint)
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
        self._hint.cancel()
        for stream in self._streams.values():
            stream.is_caught_up = False
            stream.early.clear()

    def close(self, why: ConnectionFailed) -> None:
        """Tell nobody anything any more, but why."""
        self.offline()
        for follower in self._followers:
            follower.end(why)
        for serving in self._serving:
            serving.cancel()

    def received(self, notification: Notification) -> None:
        """A service tells of something published."""
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
                stream.ends += 1
                stream.is_caught_up = False
                self._look_soon()
            elif stream.is_caught_up:
                self._tell(stream, notification.items)
            else:
                stream.early += notification.items
            if (of, stream.topic) == (None, NEW_TOPICS):
                self._look_soon()

    # -- finding topics -----------------------------------------------------------------------

    def _look_soon(self) -> None:
        """There is a hint. Anybody may give one, as often as they like; we do not look as often."""
        now = asyncio.get_running_loop().time()
        self._hint.set(max(now, self._hinted + _HINTS))

    def _take_hint(self) -> None:
        self._hinted = asyncio.get_running_loop().time()
        self._look_again.set()

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

    async def _wanted(self) -> list[Stream]:
        names: dict[str | None, list[str]] = {}
        wanted: list[Stream] = []
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

    def _stream(self, of: str | None, topic: str) -> Stream:
        return self._streams.setdefault((of, topic), Stream(topic, of))

    async def _catch_up(self, stream: Stream) -> None:
        """Subscribe, and tell what was published before: first of all subscribe, so that nothing
        falls in between."""
        ends = stream.ends
        try:
            stream.service = str(await self._topics.service(stream.of))
            await self._subscribe(stream)
            kept = await self._kept(stream)
        except (NotAllowed, StanzaError, TimeoutError) as error:
            problem = str(error) or "there was no answer in time"
            if problem != stream.problem:
                stream.problem = problem
                self._complain(stream, error)
            return
        self._tell_kept(stream, kept)
        early = list(stream.early)
        stream.early.clear()
        stream.is_caught_up = stream.ends == ends  # it may have been deleted meanwhile
        self._tell(stream, early)

    async def _kept(self, stream: Stream) -> list[Item]:
        """What was published before; nothing where the service does not tell who is subscribed."""
        try:
            kept = await self._topics.items(stream.topic, MOST_KEPT, stream.of)
        except (NotAllowed, StanzaError) as error:
            if isinstance(error, StanzaError) and error.condition == "item-not-found":
                raise  # there is no such topic any more
            if str(error) != stream.problem:
                stream.problem = str(error)
                log.warning(
                    "of the topic %s only what comes from now on is told: %s", stream.topic, error
                )
            return []
        stream.problem = ""
        return kept

    async def _subscribe(self, stream: Stream) -> None:
        try:
            await self._topics.subscribe(stream.topic, stream.of)
        except StanzaError as error:
            if (stream.of, stream.topic, error.condition) != (None, NEW_TOPICS, "item-not-found"):
                raise
            await self._topics.create(NEW_TOPICS, HINTS, change=False)  # else the first is no news
            await self._topics.subscribe(NEW_TOPICS)

    def _complain(self, stream: Stream, error: Exception) -> None:
        """Once. A topic that is not there yet is nothing to complain of; one among many that is
        not for us is none either."""
        missing = isinstance(error, StanzaError) and error.condition == "item-not-found"
        level = logging.WARNING if self._is_plain(stream) and not missing else logging.DEBUG
        log.log(
            level, "the topic %s is not followed: %s; I keep trying", stream.topic, stream.problem
        )

    def _is_plain(self, stream: Stream) -> bool:
        """Whether somebody named it."""
        return any(f.names(stream.topic) and f.of == stream.of for f in self._followers)

    # -- telling ------------------------------------------------------------------------------

    def _tell_kept(self, stream: Stream, kept: list[Item]) -> None:
        """Those who have followed hear what they have not heard; those who begin, the newest."""
        hearing = self._hearing(stream)
        if not stream.is_caught_up:
            # When nothing of what is kept was seen before, there was more than that.
            stream.has_gap = bool(stream.seen) and not any(i.id in stream.seen for i in kept)
        self._tell(stream, kept, retained=True)
        for follower in hearing - stream.begun:
            # Of a topic that came later than who follows, everything is news.
            history = len(kept) if follower in self._settled else follower.history
            for item in newest(kept, history):
                _put(follower, event_of(stream.topic, item, retained=True))
        stream.begun |= hearing

    def _tell(self, stream: Stream, items: Iterable[Item], *, retained: bool = False) -> None:
        hearing = self._hearing(stream) & stream.begun
        for item in items:
            if not stream.note(item.id):
                continue
            event = event_of(stream.topic, item, retained=retained, missed=stream.has_gap)
            stream.has_gap = False
            for follower in hearing:
                _put(follower, event)

    def _hearing(self, stream: Stream) -> set[Follower]:
        return {follower for follower in self._followers if _hears(follower, stream)}


def _put(follower: Follower, event: Event | None) -> None:
    if event is not None:
        follower.put(event)


def _hears(follower: Follower, stream: Stream) -> bool:
    if stream.topic == NEW_TOPICS and not follower.names(NEW_TOPICS):
        return False  # what is said there is for us
    return follower.of == stream.of and follower.fits(stream.topic)
