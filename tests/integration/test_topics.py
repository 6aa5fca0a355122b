"""Topics: published by one program, followed by others, over reconnects and restarts."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import jabot.sync
from chatting import LIMIT, calling, serving, soon, until
from chatting.nodes import QUICK, jabot_account
from jabot import (
    BadArguments,
    Client,
    ConfigError,
    ConnectionFailed,
    Event,
    Node,
    NotAllowed,
    Replaced,
    TooLarge,
    connect,
)
from jabot.xmpp.topic_stanzas import OWNER, Item
from jabot.xmpp.topics import Topics
from network import Proxy
from servers import Account, Server


@dataclass
class Reading:
    celsius: float


class Field:
    """A server, a stem for topics that no other test has, and who publishes and follows."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self.server = server
        self.publisher = server.fresh_user("sensor")
        self.subscriber = server.fresh_user("plot")
        self.stem = self.publisher.jid.partition("@")[0]
        self._stack = stack

    async def client(self, account: Account) -> Client:
        return await self._stack.enter_async_context(calling(self.server, account.jid, account))


@pytest.fixture
async def field(xmpp: Server) -> AsyncIterator[Field]:
    async with AsyncExitStack() as stack:
        yield Field(xmpp, stack)


class Ear:
    """Reads what comes in the background."""

    def __init__(self, client: Client, topics: str, kind: Any = Any, **options: Any) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._task = asyncio.ensure_future(self._listen(client, topics, kind, options))

    async def _listen(self, client: Client, topics: str, kind: Any, options: Any) -> None:
        async for event in client.follow(topics, kind, **options):
            self.events.append(event)
            self._news.set()

    async def hear(self, count: int) -> list[Any]:
        """Wait for so many payloads in all."""
        async with asyncio.timeout(LIMIT):
            while len(self.events) < count:
                self._news.clear()
                await self._news.wait()
        return [event.payload for event in self.events]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    await until(lambda: text in caplog.text)


async def delete(app: Client, topic: str) -> None:
    query = ET.Element(f"{{{OWNER}}}pubsub")
    ET.SubElement(query, f"{{{OWNER}}}delete", {"node": topic})
    session = app._signed.session
    await session.requests.ask("set", await Topics(session).service(), query)


async def test_the_last_one_at_once_and_the_next_ones_as_they_come(field: Field) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    topic = f"{field.stem}/hall"
    app.topic(topic, keep=5, subscribers=[field.subscriber.jid])
    for number in range(3):
        await app.publish(topic, {"celsius": number})
    ear = Ear(plot, topic, Reading)
    assert await ear.hear(1) == [Reading(2)]
    await app.publish(topic, {"celsius": 3.5})
    assert await ear.hear(2) == [Reading(2), Reading(3.5)]
    before, after = ear.events
    assert (before.retained, after.retained) == (True, False)
    assert before.id < after.id
    assert after.publisher == app.jid
    assert after.topic == topic
    assert before.at <= after.at
    await ear.stop()


async def test_history_up_to_what_is_kept(field: Field) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    topic = f"{field.stem}/hall"
    app.topic(topic, keep=3, subscribers="*")
    for number in range(5):
        await app.publish(topic, number)
    whole, none = Ear(plot, topic, history=100), Ear(plot, topic, history=0)
    assert await whole.hear(3) == [2, 3, 4]
    await app.publish(topic, 5)
    assert await whole.hear(4) == [2, 3, 4, 5]
    assert await none.hear(1) == [5]
    await whole.stop()
    await none.stop()


async def test_many_topics_and_those_that_are_new(field: Field) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    for room in ("hall", "cellar", "a/b"):
        app.topic(f"{field.stem}/{room}", subscribers=[field.subscriber.jid])
    await app.publish(f"{field.stem}/hall", "hall")
    await app.publish(f"{field.stem}/a/b", "too deep")
    ear = Ear(plot, f"{field.stem}/*")
    await ear.hear(1)
    for payload in ("cellar", "cellar again"):  # both are news, though the first made the topic
        await app.publish(f"{field.stem}/cellar", payload)
    assert await ear.hear(3) == ["hall", "cellar", "cellar again"]
    deep = Ear(plot, f"{field.stem}/**", history=10)
    assert sorted(await deep.hear(4)) == ["cellar", "cellar again", "hall", "too deep"]
    await ear.stop()
    await deep.stop()


async def test_a_topic_that_comes_later(field: Field) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    topic = f"{field.stem}/hall"
    ear = Ear(plot, topic)
    other = Ear(plot, f"{field.stem}/there")
    app.topic(f"{field.stem}/there", subscribers="*")
    await app.publish(f"{field.stem}/there", 0)
    await other.hear(1)  # by then, what is not there was looked for
    app.topic(topic, subscribers="*")
    await app.publish(topic, 1)
    assert await ear.hear(1) == [1]
    await ear.stop()
    await other.stop()


async def test_what_was_missed_is_told_after_a_reconnect(field: Field) -> None:
    app = await field.client(field.publisher)
    topic = f"{field.stem}/hall"
    app.topic(topic, keep=3, subscribers="*")
    await app.publish(topic, 0)
    with Proxy(field.server.port) as proxy:
        account = jabot_account(field.server, field.subscriber, proxy.address)
        async with connect(account=account, timing=QUICK) as plot:
            ear = Ear(plot, topic)
            await ear.hear(1)
            proxy.refuse()
            proxy.cut()
            for number in (1, 2):
                await app.publish(topic, number)
            proxy.allow()
            assert await ear.hear(3) == [0, 1, 2]
            assert [event.missed for event in ear.events] == [False, False, False]
            proxy.refuse()
            proxy.cut()
            for number in range(3, 9):
                await app.publish(topic, number)
            proxy.allow()
            assert await ear.hear(6) == [0, 1, 2, 6, 7, 8]
            assert [event.missed for event in ear.events[3:]] == [True, False, False]
            assert all(event.retained for event in ear.events)
            await ear.stop()


async def test_who_may_publish_and_who_may_follow(
    field: Field, caplog: pytest.LogCaptureFixture
) -> None:
    eve = field.server.fresh_user("eve")
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    stranger = await field.client(eve)
    topic = f"{field.stem}/hall"
    app.topic(topic, publishers=[field.subscriber.jid], subscribers=[])
    await app.publish(topic, 1)
    with pytest.raises(NotAllowed, match=topic):
        await stranger.publish(topic, 2)
    await plot.publish(topic, 3)
    ear = Ear(stranger, topic)
    await logged(caplog, f"the topic {topic} is not followed")
    assert ear.events == []
    own = Ear(app, topic, history=10)
    assert await own.hear(2) == [1, 3]
    assert [event.publisher for event in own.events] == [app.jid, plot.jid]
    await ear.stop()
    await own.stop()


async def test_rights_that_are_taken(field: Field, caplog: pytest.LogCaptureFixture) -> None:
    """A service would go on telling who was subscribed."""
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    topic = f"{field.stem}/hall"
    app.topic(topic, publishers=[field.subscriber.jid])
    await app.publish(topic, 1)
    await plot.publish(topic, 2)
    ear = Ear(plot, topic)
    assert await ear.hear(1) == [2]
    again = await field.client(field.publisher)
    again.topic(topic)
    await again.publish(topic, 3)
    with pytest.raises(NotAllowed, match=f"you may not publish to {topic}"):
        await plot.publish(topic, 4)
    await logged(caplog, f"the topic {topic} is not followed: you may not subscribe")
    fresh = await field.client(field.publisher)
    fresh.topic(topic, subscribers="*")
    await fresh.publish(topic, 5)
    assert await ear.hear(3) == [2, 3, 5]
    await app.publish(topic, 6)  # what another program has set up since then holds
    assert await ear.hear(4) == [2, 3, 5, 6]
    await ear.stop()


async def test_a_topic_that_is_deleted(field: Field, caplog: pytest.LogCaptureFixture) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    topic = f"{field.stem}/hall"
    app.topic(topic, subscribers=[field.subscriber.jid])
    await app.publish(topic, 1)
    ear, all_ = Ear(plot, topic), Ear(plot, f"{field.stem}/*")
    await ear.hear(1)
    await all_.hear(1)
    await delete(app, topic)
    await logged(caplog, f"the topic {topic} was deleted")
    await app.publish(topic, 2)  # It is there again, and never one that everybody may follow.
    eve = Ear(await field.client(field.server.fresh_user("eve")), topic)
    await logged(caplog, f"the topic {topic} is not followed: you may not")
    again = await field.client(field.publisher)
    again.topic(topic, subscribers=[field.subscriber.jid])
    await again.publish(topic, 3)
    assert (await ear.hear(3))[-1] == 3
    assert (await all_.hear(3))[-1] == 3
    assert eve.events == []
    for each in (ear, all_, eve):
        await each.stop()


async def test_what_others_put_into_a_topic(field: Field, caplog: pytest.LogCaptureFixture) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    app.topic(field.stem, subscribers="*")
    await app.publish(field.stem, 1)
    ear = Ear(plot, field.stem)
    await ear.hear(1)
    topics = Topics(app._signed.session)
    await topics.publish(field.stem, Item("ffff", "{no JSON"))
    await app.publish(field.stem, 2)
    assert await ear.hear(2) == [1, 2]
    assert f"{field.stem} of {app.jid} is no JSON" in caplog.text
    await ear.stop()


async def test_a_long_history_is_told_whole(field: Field) -> None:
    """A service answers with no more at once than a stanza may hold."""
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    app.topic(field.stem, keep=20, subscribers="*")
    for number in range(20):
        await app.publish(field.stem, [number, "x" * 30_000])
    ear = Ear(plot, field.stem, history=20)
    assert [number for number, _ in await ear.hear(20)] == list(range(20))
    await ear.stop()


async def test_a_topic_that_was_not_spoken_of_is_the_account_s_alone(
    field: Field, caplog: pytest.LogCaptureFixture
) -> None:
    """Some services would make one that everybody may follow."""
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    await app.publish(field.stem, 1)
    ear = Ear(plot, field.stem)
    await logged(caplog, f"the topic {field.stem} is not followed")
    assert ear.events == []
    await ear.stop()


async def test_a_node_publishes_and_follows(field: Field) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    node = Node()
    node.topic(f"{field.stem}/hall", subscribers="*")

    @node.on(f"{field.stem}/*")
    async def reading(reading: Reading, event: Event) -> None:
        await heard.put((reading, event.topic))

    @node.on(f"{field.stem}/*")
    def plain(reading: dict[str, float]) -> None:
        node_thread.append(reading)
        raise ValueError("one that raises keeps nobody from hearing")

    node_thread: list[Any] = []
    async with serving(node, field.server, field.publisher):
        await node.publish(f"{field.stem}/hall", "not what they take")
        await node.publish(f"{field.stem}/hall", {"celsius": 20})
        await node.publish(f"{field.stem}/hall", {"celsius": 21})
        async with asyncio.timeout(LIMIT):
            assert await heard.get() == (Reading(20), f"{field.stem}/hall")
            assert await heard.get() == (Reading(21), f"{field.stem}/hall")
            while len(node_thread) < 2:
                await asyncio.sleep(0.01)


async def test_the_account_s_own_topics(field: Field) -> None:
    app, plot = await field.client(field.publisher), await field.client(field.subscriber)
    app.topic("state", subscribers=[field.subscriber.jid], own=True)
    await app.publish("state", "idle", own=True)
    ear = Ear(plot, "state", of=field.publisher.jid)
    assert await ear.hear(1) == ["idle"]
    await app.publish("state", "busy", own=True)
    assert await ear.hear(2) == ["idle", "busy"]
    await ear.stop()


async def test_what_cannot_be_published(field: Field) -> None:
    app = await field.client(field.publisher)
    with pytest.raises(TooLarge, match="49,152"):
        await app.publish(field.stem, "x" * 50_000)
    with pytest.raises(BadArguments, match="nan"):
        await app.publish(field.stem, float("nan"))
    with pytest.raises(ConfigError, match="sensors/hall"):
        await app.publish("two words", 1)
    for keep in (0, 1001):
        with pytest.raises(ConfigError, match="1 to 1000"):
            app.topic(field.stem, keep=keep)


async def test_without_a_loop(field: Field) -> None:
    topic = f"{field.stem}/hall"

    def program(plot: jabot.sync.Client, app: jabot.sync.Client) -> None:
        with plot, app:
            plot.topic(topic, keep=3, publishers=[field.publisher.jid])
            plot.publish(topic, {"celsius": 1})
            with plot.follow(f"{field.stem}/*", Reading) as events:
                first = next(events)
                assert (first.payload, first.retained) == (Reading(1), True)
                with pytest.raises(TimeoutError):
                    events.next(timeout=0.01)
                for number in (2, 3):
                    app.publish(topic, {"celsius": number})
                assert events.next(timeout=LIMIT).payload == Reading(2)
                waiting = threading.Timer(0.05, events.close)
                waiting.start()
                assert [event.payload for event in events] == [Reading(3)]
                with pytest.raises(StopIteration):
                    next(events)
            left = plot.follow(topic, history=2)
            assert [next(left).payload["celsius"] for _ in range(2)] == [2, 3]
        with pytest.raises(ConnectionFailed, match="was closed"):
            next(left)

    accounts = [jabot_account(field.server, a) for a in (field.subscriber, field.publisher)]
    clients = [jabot.sync.connect(account=account) for account in accounts]
    await asyncio.to_thread(program, *clients)


async def test_who_is_refused_for_good_hears_why(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jabot.xmpp.session.new_resource", lambda: "the-same")
    account = jabot_account(field.server, field.subscriber)

    def program() -> None:
        with jabot.sync.connect(account=account) as app:
            events = app.follow(field.stem)
            with jabot.sync.connect(account=account):
                for _ in range(2):
                    with pytest.raises(Replaced):
                        events.next(timeout=LIMIT)
                with pytest.raises(Replaced):
                    app.follow(field.stem)

    await asyncio.to_thread(program)


async def test_who_leaves_hears_that_it_is_over(field: Field) -> None:
    async with calling(field.server, field.subscriber.jid, field.subscriber) as plot:
        following = plot.follow(f"{field.stem}/hall")
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
    with pytest.raises(ConnectionFailed, match=r"^the client was closed$"):
        await soon(waiting)
