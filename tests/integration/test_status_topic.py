"""The status of nodes as a topic: who is told of it, and what of nodes that are gone."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chatting import LIMIT, calling, node_program, serving, soon
from jabot import Client, Event, Node, NodeStatus, NotAllowed, StanzaError
from jabot.jid import JID
from jabot.status_topic import STATUS_TOPIC
from jabot.xmpp.topics import Topics
from servers import Server

PROGRAM = """
from jabot import Node

node = Node(status_topic=True)
"""


class Screen:
    """What somebody knows of the nodes of an account, by its topic alone."""

    def __init__(self, app: Client, of: str) -> None:
        self.events: list[Event] = []
        self._app = app
        self._news = asyncio.Event()
        self._task = asyncio.ensure_future(self._follow(app, of))

    async def _follow(self, app: Client, of: str) -> None:
        async for event in app.follow(STATUS_TOPIC, NodeStatus, of=of):
            self.events.append(event)
            self._news.set()

    async def until(self, fits: Any) -> NodeStatus:
        async with asyncio.timeout(LIMIT):
            while not (found := [e.payload for e in self.events if fits(e.payload)]):
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 1)
                    continue
                # Whether the topic is there by now is looked for once a minute.
                self._app._signed.following._look_again.set()
        status: NodeStatus = found[-1]
        return status

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def kept(app: Client, of: str) -> list[str]:
    """The resources of which the topic keeps something."""
    return [each.slot for each in await Topics(app._signed.session).items(STATUS_TOPIC, 99, of)]


async def test_a_change_is_told_to_who_manages_the_node(xmpp: Server) -> None:
    bot, ann, boss, eve = (xmpp.fresh_user(name) for name in ("bot", "ann", "boss", "eve"))
    node = Node(allow={ann.jid: "*"}, manage=[boss.jid], concurrency=1, status_topic=True)
    node.status_fields["queue_depth"] = 3
    go = asyncio.Event()

    @node.task
    async def hold() -> None:
        await go.wait()
        raise ValueError("ouch")

    async with (
        serving(node, xmpp, bot),
        calling(xmpp, bot.jid, ann) as app,
        calling(xmpp, bot.jid, boss) as manager,
        calling(xmpp, bot.jid, eve) as stranger,
    ):
        screen = Screen(manager, bot.jid)
        first = await screen.until(lambda status: True)
        assert (first.jid, first.running, first.slots) == (str(node.jid), 0, 1)
        assert first.fields == {"queue_depth": 3}
        job = await app.submit("hold")
        busy = await screen.until(lambda status: status.running == 1)
        assert [(each.id, each.caller) for each in busy.jobs] == [(job.id, ann.jid)]
        go.set()
        failed = await screen.until(lambda status: status.last_error is not None)
        assert failed.last_error is not None
        assert (failed.running, failed.last_error.message) == (0, "ValueError: ouch")
        gaps = [b.at - a.at for a, b in zip(screen.events, screen.events[1:], strict=False)]
        assert all(gap.total_seconds() > 0.9 for gap in gaps)
        assert {event.publisher for event in screen.events} == {node.jid}
        assert await kept(manager, bot.jid) == [node.jid.resource]

        for other in (app, stranger):  # ann asks for node.status, and sees there what is hers
            topics = Topics(other._signed.session)
            with pytest.raises(NotAllowed):
                await topics.subscribe(STATUS_TOPIC, bot.jid)
            with pytest.raises(NotAllowed):
                await topics.items(STATUS_TOPIC, 99, bot.jid)
            assert await names(topics, bot.jid) == []
        await screen.stop()
    async with calling(xmpp, bot.jid, boss) as manager:
        assert await kept(manager, bot.jid) == []  # it left in good order


async def names(topics: Topics, of: str) -> list[str]:
    """What somebody is told of an account's topics; some servers refuse to say anything."""
    try:
        return await topics.names(of)
    except (NotAllowed, StanzaError):
        return []


async def test_nobody_is_told_any_more_whom_the_rules_do_not_name(xmpp: Server) -> None:
    bot, boss = xmpp.fresh_user("bot"), xmpp.fresh_user("boss")
    async with calling(xmpp, bot.jid, boss) as manager, calling(xmpp, bot.jid, bot) as own:
        screen, ours = Screen(manager, bot.jid), Screen(own, bot.jid)
        async with serving(Node(manage=[boss.jid], status_topic=True), xmpp, bot):
            await ours.until(lambda status: True)
            await screen.until(lambda status: True)
        node = Node(status_topic=True)
        async with serving(node, xmpp, bot):
            await ours.until(lambda status: status.jid == str(node.jid))
            with pytest.raises(NotAllowed):
                await kept(manager, bot.jid)
            assert str(node.jid) not in {event.payload.jid for event in screen.events}
        await screen.stop()
        await ours.stop()


async def test_what_a_killed_node_left_behind_is_taken_away(xmpp: Server, tmp_path: Any) -> None:
    bot = xmpp.fresh_user("bot")
    async with calling(xmpp, bot.jid, bot) as own:
        screen = Screen(own, bot.jid)
        first, second = Node(status_topic=True), Node(status_topic=True)
        async with (
            serving(first, xmpp, bot),
            node_program(PROGRAM, tmp_path, xmpp, bot) as killed,
        ):
            await screen.until(lambda status: status.jid == str(first.jid))
            there = await screen.until(lambda status: status.jid != str(first.jid))
            both = {first.jid.resource, JID(there.jid).resource}
            assert set(await kept(own, bot.jid)) == both
            late = Screen(own, bot.jid)  # hears of both at once
            await late.until(lambda status: status.jid == there.jid)
            await late.until(lambda status: status.jid == str(first.jid))
            await late.stop()
            killed.kill()
            async with asyncio.timeout(LIMIT):  # by who is still there
                while await kept(own, bot.jid) != [first.jid.resource]:
                    await asyncio.sleep(0.1)
        async with node_program(PROGRAM, tmp_path, xmpp, bot, name="alone") as killed:
            async with asyncio.timeout(LIMIT):
                while len(await kept(own, bot.jid)) != 1:
                    await asyncio.sleep(0.1)
            killed.kill()
        async with serving(second, xmpp, bot):  # by who comes next
            async with asyncio.timeout(LIMIT):
                while await kept(own, bot.jid) != [second.jid.resource]:
                    await asyncio.sleep(0.1)
        await screen.stop()


@pytest.mark.not_on("embedded")  # where topics cannot be turned off
async def test_a_server_without_topics(
    new_xmpp: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once, and the node does its jobs."""
    server = new_xmpp(topics=False)
    bot = server.fresh_user("bot")
    node = Node(status_topic=True)

    @node.on(["sensors/*", "doors/front"])
    def heard(payload: Any) -> None: ...

    @node.on("mood", of=bot.jid)
    def own(payload: Any) -> None: ...

    @node.task
    async def lift() -> str:
        with pytest.raises(StanzaError, match="no publish-subscribe service; ejabberd: mod_pubsub"):
            await node.publish("sensors/hall", 1)
        with pytest.raises(StanzaError, match="no topics of their own"):
            await node.publish("mood", 1, own=True)
        return "Lifted"

    async with serving(node, server, bot), calling(server, bot.jid, bot) as app:
        assert await soon(await app.submit("lift")) == "Lifted"
        async with asyncio.timeout(LIMIT):
            for said in (
                "the status as a topic: feature not implemented",
                "cannot ask for the topics: the server localhost has no publish-subscribe service",
                "the topic doors/front is not followed: feature not implemented: the server",
                "the topic mood is not followed: feature not implemented: cannot subscribe to mood",
            ):
                while said not in caplog.text:
                    await asyncio.sleep(0.01)
    assert "Traceback" not in caplog.text
