"""Topics with a service that is made up: names, handlers, and who is told of what."""

import asyncio
import logging
from dataclasses import dataclass

import pytest

from jabot.errors import ConfigError, ConnectionFailed, NotAllowed, StanzaError
from jabot.topics import Event, Follower, Following, Handler, Publishing
from jabot.topics.follower import WAITING
from jabot.topics.names import Pattern, check_topic
from jabot.topics.publishing import NEW_TOPICS
from jabot.xmpp.topic_stanzas import Item, Notification
from jabot.xmpp.topics import TopicSettings
from unit.clock import turns

SERVICE = "pubsub.example.org"
HALL = "sensors/hall"


class Topics:
    """A service's answers."""

    own = "plot@example.org"

    def __init__(self):
        self.kept, self.asked, self.denied, self.up = {}, [], set(), True
        self.during = lambda: None  # what happens while items are asked for
        self.unreadable = None  # why they are not told
        self.looks = 0

    def _check(self, topic):
        if not self.up:
            raise ConnectionFailed("lost")
        if topic in self.denied:
            raise NotAllowed(f"you may not subscribe to {topic}")
        if topic not in self.kept:
            raise StanzaError("item-not-found")

    async def service(self, of=None):
        return of or SERVICE

    async def subscribe(self, topic, of=None):
        self._check(topic)
        self.asked.append(topic)

    async def items(self, topic, most, of=None):
        items = list(self.kept[topic])
        self.during()
        await asyncio.sleep(0)
        if self.unreadable is not None and topic != NEW_TOPICS:
            raise self.unreadable
        return items

    async def names(self, of=None):
        self.looks += 1
        return list(self.kept)

    async def create(self, topic, settings, of=None, *, change):
        self.asked.append(("create", topic, settings, of, change))
        self.kept.setdefault(topic, [])
        return change or len(self.kept[topic]) == 0

    async def publish(self, topic, item, of=None, settings=None):
        self.asked.append(("publish", topic, item.text, of))

    def lost(self):
        pass


def item(number, text=None):
    return Item(f"{number:04d}", str(number) if text is None else text, "hall@example.org/pi")


class Desk:
    """Following, over that service."""

    def __init__(self):
        self.topics = Topics()
        self.topics.kept[NEW_TOPICS] = []
        self.following = Following(self.topics)

    def follow(self, topics, kind=int, **options):
        follower = Follower(topics, kind, **options)
        self.following.follow(follower)
        return follower

    def publish(self, topic, *items):
        self.topics.kept.setdefault(topic, []).extend(items)
        self.following.received(Notification(SERVICE, topic, list(items)))


@pytest.fixture
async def desk():
    desk = Desk()
    desk.following.online()
    yield desk
    desk.following.close(ConnectionFailed("over"))
    await turns()


def told(follower):
    """What a follower was told since the last call."""
    events = []
    while follower._waiting:
        events.append(follower._waiting.popleft())
    return events


def numbers(follower):
    return [event.payload for event in told(follower)]


@pytest.mark.parametrize("name", ["a", "sensors/hall", "sensors/hall-2/ä.ö"])
def test_a_name(name):
    assert check_topic(name) == name
    assert Pattern(name).fits(name)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "a b", "a/*", "**", "a\nb", "x" * 201, 5])
def test_what_is_no_name(name):
    with pytest.raises(ConfigError):
        check_topic(name)


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        ("sensors/*", ["sensors/hall"], ["sensors", "sensors/a/b", "xsensors/hall"]),
        ("*/hall", ["a/hall"], ["hall", "a/b/hall", "a/hallway"]),
        ("sensors/**", ["sensors/hall", "sensors/a/b"], ["sensors", "x/sensors/a"]),
        ("**", ["a", "a/b"], []),
        ("a.b/*", ["a.b/c"], ["axb/c"]),
    ],
)
def test_a_pattern(pattern, fits, not_):
    assert all(map(Pattern(pattern).fits, fits))
    assert not any(map(Pattern(pattern).fits, not_))


@pytest.mark.parametrize("pattern", ["a*", "**/a", "a/***", "", "* "])
def test_what_is_no_pattern(pattern):
    with pytest.raises(ConfigError, match="topic"):
        Pattern(pattern)


def test_how_a_handler_is_called():
    def plain(payload): ...
    def typed(payload: int, event: Event): ...
    def by_name(payload: dict[str, float] = {}, *, event: Event): ...  # noqa: B006

    assert (Handler.of(typed).kind, Handler.of(typed).event) == (int, "event")
    assert Handler.of(by_name).event == "event"
    assert Handler.of(plain).event is None
    for wrong in (lambda: 1, lambda a, b: 1, lambda *, a: 1):
        with pytest.raises(ConfigError, match="one argument"):
            Handler.of(wrong)

    @dataclass
    class Odd:
        what: complex

    def odd(payload: Odd): ...

    odd.__annotations__["payload"] = Odd
    with pytest.raises(ConfigError, match="payload"):
        Handler.of(odd)


async def test_each_event_once_and_in_order(desk):
    desk.publish(HALL, item(1), item(2))
    follower = desk.follow(HALL)
    await turns()
    assert numbers(follower) == [2]
    desk.publish(HALL, item(3))
    desk.publish(HALL, item(3), item(4))  # some servers tell each resource, and the account
    assert numbers(follower) == [3, 4]


async def test_what_comes_while_it_is_looked_for_is_not_lost(desk):
    desk.publish(HALL, item(1))
    desk.topics.during = lambda: desk.following.received(Notification(SERVICE, HALL, [item(2)]))
    follower = desk.follow(HALL)
    await turns()
    assert numbers(follower) == [1, 2]


async def test_who_comes_later_begins_with_the_newest(clock, desk):
    desk.publish(HALL, item(1), item(2))
    first = desk.follow(HALL)
    await turns()
    second = desk.follow(HALL, history=2)
    await clock.advance(0.3)
    desk.publish(HALL, item(3))
    assert numbers(first) == [2, 3]
    assert numbers(second) == [1, 2, 3]
    desk.following.unfollow(first)
    desk.publish(HALL, item(4))
    assert (numbers(first), numbers(second)) == ([], [4])


async def test_nobody_else_speaks_for_a_service(clock, desk):
    desk.publish(HALL, item(1))
    follower = desk.follow(["sensors/*"])
    await turns()
    looks = desk.topics.looks
    for topic, items, is_over in (
        (HALL, [item(9)], False),
        (HALL, [], True),
        (NEW_TOPICS, [item(9, '"sensors/attic"')], False),
        (NEW_TOPICS, [], True),
    ):
        desk.following.received(Notification("mallory@example.org", topic, items, is_over))
        await clock.advance(3)
    assert numbers(follower) == [1]
    assert desk.topics.looks == looks


async def test_hints_do_not_make_work_without_end(clock, desk):
    follower = desk.follow("sensors/*")
    await turns()
    looks = desk.topics.looks
    for number in range(100):
        desk.publish(NEW_TOPICS, item(number, '"sensors/hall"'))
        await clock.advance(0.1)
    assert looks + 3 <= desk.topics.looks <= looks + 6
    desk.topics.kept[HALL] = [item(1)]
    desk.publish(NEW_TOPICS, item(100, '"sensors/hall"'))
    await clock.advance(3)
    assert numbers(follower) == [1]


async def test_a_topic_that_is_deleted_while_it_is_caught_up(clock, desk):
    desk.publish(HALL, item(1))
    over = Notification(SERVICE, HALL, [], is_over=True)
    desk.topics.during = lambda: desk.following.received(over) if HALL in desk.topics.asked else 0
    follower = desk.follow(HALL)
    await turns()
    desk.topics.during = lambda: None
    assert desk.topics.asked.count(HALL) == 1
    await clock.advance(1)
    assert desk.topics.asked.count(HALL) == 2
    desk.publish(HALL, item(2))
    assert numbers(follower) == [1, 2]


async def test_a_service_that_does_not_tell_what_it_keeps(clock, desk, caplog):
    desk.publish(HALL, item(1))
    desk.topics.unreadable = NotAllowed("you may not read sensors/hall")
    follower = desk.follow(HALL)
    await turns()
    desk.publish(HALL, item(2))
    assert numbers(follower) == [2]
    desk.following.offline()
    desk.following.online()
    await clock.advance(200)
    desk.publish(HALL, item(4), item(5))
    assert [(event.payload, event.missed) for event in told(follower)] == [(4, True), (5, False)]
    assert caplog.text.count("only what comes from now on is told: you may not read") == 1


async def test_what_comes_while_a_service_is_too_slow_is_kept_within_bounds(clock, desk):
    desk.topics.kept[HALL] = []
    desk.topics.unreadable = TimeoutError()
    follower = desk.follow(HALL)
    await turns()
    for number in range(3000):
        desk.publish(HALL, item(number))
    (stream,) = (each for each in desk.following._streams.values() if each.topic == HALL)
    assert len(stream.early) == 1000
    desk.topics.unreadable = None
    await clock.advance(61)
    assert numbers(follower) == list(range(2000, 3000))
    desk.publish(HALL, item(3000))
    assert numbers(follower) == [3000]


async def test_a_gap_is_told(desk):
    desk.publish(HALL, item(1))
    follower = desk.follow(HALL)
    await turns()
    told(follower)
    for kept, missed in (([1, 2, 3], False), ([7, 8], True), ([8, 9], False)):
        desk.following.offline()
        desk.topics.kept[HALL] = [item(number) for number in kept]
        desk.following.online()
        await turns()
        events = told(follower)
        assert [event.payload for event in events] == [n for n in kept if n not in (1, 8)] or missed
        assert [event.missed for event in events[:1]] == [missed]
        assert not any(event.missed for event in events[1:])
        assert all(event.retained for event in events)


async def test_a_topic_that_is_new_to_all_is_news_from_its_beginning(clock, desk):
    follower = desk.follow("sensors/*")
    await turns()
    desk.topics.kept[HALL] = [item(1), item(2)]
    desk.publish(NEW_TOPICS, item(1, '"sensors/hall"'))
    await clock.advance(0.3)
    assert numbers(follower) == [1, 2]


async def test_hints_are_nobody_s_events(desk):
    follower = desk.follow("**", kind=object)
    await turns()
    desk.publish(NEW_TOPICS, item(1, '"sensors/hall"'))
    assert told(follower) == []


async def test_a_denial_is_said_once_and_tried_again(clock, desk, caplog):
    desk.publish(HALL, item(1))
    desk.topics.denied.add(HALL)
    follower = desk.follow(HALL)
    desk.follow("sensors/*")
    with caplog.at_level(logging.INFO):
        await clock.advance(200)
    assert caplog.text.count("sensors/hall is not followed: you may not") == 1
    desk.topics.denied.clear()
    await clock.advance(61)
    assert numbers(follower) == [1]


async def test_one_among_many_that_is_not_for_us_is_no_problem(desk, caplog):
    desk.publish(HALL, item(1))
    desk.publish("sensors/cellar", item(5))
    desk.topics.denied.add(HALL)
    follower = desk.follow("sensors/*")
    with caplog.at_level(logging.INFO):
        await turns()
    assert numbers(follower) == [5]
    assert "not followed" not in caplog.text


async def test_what_cannot_be_read_is_left_out_and_said(desk, caplog):
    desk.publish(HALL, item(1))
    follower = desk.follow(HALL)
    await turns()
    desk.publish(HALL, item(2, "no JSON"), item(3, '"three"'), item(4))
    assert numbers(follower) == [1, 4]
    assert "sensors/hall of hall@example.org/pi is no JSON" in caplog.text
    assert "sensors/hall of hall@example.org/pi: Expected `int`, got `str`" in caplog.text


async def test_who_is_too_slow_misses_the_oldest(desk, caplog):
    desk.publish(HALL, item(0))
    follower = desk.follow(HALL)
    await turns()
    desk.publish(HALL, *(item(number) for number in range(1, WAITING + 5)))
    assert numbers(follower) == list(range(5, WAITING + 5))
    assert caplog.text.count("the oldest are left out") == 1


async def test_the_end_wakes_who_waits(desk):
    follower = desk.follow(HALL)
    waiting = asyncio.ensure_future(follower.next())
    await turns()
    desk.following.close(ConnectionFailed("refused"))
    desk.following.close(ConnectionFailed("closed"))
    with pytest.raises(ConnectionFailed, match="refused"):
        await waiting
    with pytest.raises(ConnectionFailed, match="refused"):
        await follower.next()


async def test_a_handler_that_raises_hears_the_next_one(desk, caplog):
    heard = []

    async def hear(payload: int):
        heard.append(payload)
        raise ValueError("ouch")

    desk.publish(HALL, item(1))
    desk.following.serve(Follower(HALL, int), Handler.of(hear))
    await turns()
    desk.publish(HALL, item(2))
    await turns()
    assert heard == [1, 2]
    assert "ValueError: ouch" in caplog.text


@pytest.mark.parametrize("history", [-1, 1001])
def test_no_such_history(history):
    with pytest.raises(ConfigError, match="0 to 1000"):
        Follower(HALL, history=history)


async def test_a_topic_is_made_before_anything_is_said_to_it():
    topics = Topics()
    settings = TopicSettings(keep=3)
    publishing = Publishing(topics, {(False, HALL): settings})
    first, second = await publishing.publish(HALL, 1), await publishing.publish(HALL, 2)
    assert first < second
    about = [asked for asked in topics.asked if asked[1] == HALL]
    assert about == [
        ("create", HALL, settings, None, True),
        ("publish", HALL, "1", None),
        ("publish", HALL, "2", None),
    ]
    assert ("publish", NEW_TOPICS, '"sensors/hall"', None) in topics.asked
    topics.asked.clear()
    publishing.offline()
    await publishing.publish(HALL, 3)
    assert topics.asked[0][0] == "create"
    topics.asked.clear()
    await publishing.publish("mood", "fine", own=True)
    assert topics.asked == [
        ("create", "mood", TopicSettings(), Topics.own, False),
        ("publish", "mood", '"fine"', Topics.own),
    ]
