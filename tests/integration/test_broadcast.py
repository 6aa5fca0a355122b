"""One task for many nodes, on a real server: who is asked, and what is told of each."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from xml.etree import ElementTree as ET

import pytest
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

import jabot.sync
from chatting import LIMIT, Fleet, Person, calling, signed_in, told, until
from chatting.frames import by_hand
from chatting.nodes import jabot_account
from jabot import (
    JID,
    BadArguments,
    Broadcast,
    ConfigError,
    ConnectionFailed,
    Context,
    JobTimeout,
    NobodyThere,
    Node,
    NotAllowed,
    Reply,
    Room,
    TaskFailed,
)
from jabot.xmpp.stanzas import presence
from servers import Account, Server


@pytest.fixture
async def fleet(xmpp: Server) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(xmpp, stack)


def host(**options: object) -> Node:
    """A node that says where a job ran."""
    node = Node(drain_limit=0.1, **options)

    @node.task
    async def where_am_i(add: str = "", *, ctx: Context) -> str:
        return f"{node.jid}{add}"

    @node.task
    async def hold() -> None:
        node.held.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            node.let_go.set()
            raise

    node.held, node.let_go = asyncio.Event(), asyncio.Event()
    return node


async def all_of(broadcast: Broadcast) -> list[Reply]:
    async with asyncio.timeout(LIMIT):
        return [reply async for reply in broadcast]


async def test_each_node_of_a_room_gives_one_reply(fleet: Fleet) -> None:
    """Whatever becomes of it there."""
    server = fleet.server
    app_account = server.fresh_user("app")
    allow = {app_account.jid: "*"}
    pool = server.fresh_user("bot")
    good = [await fleet.serve(host(allow=allow, rooms=[fleet.room]), pool) for _ in range(2)]
    named = await fleet.serve(host(allow=allow, rooms=Room(fleet.room, nick="chief")))
    broken = Node(allow=allow, rooms=fleet.room)

    @broken.task(name="where_am_i")
    async def drop() -> None:
        raise ValueError("too heavy")

    slow = Node(allow=allow, rooms=[fleet.room], drain_limit=0.1)
    stopped = asyncio.Event()

    @slow.task(name="where_am_i")
    async def sleep() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    others = [
        await fleet.serve(node)
        for node in (broken, slow, host(rooms=[fleet.room]), Node(allow=allow, rooms=[fleet.room]))
    ]
    nodes = [*good, named, *others]
    await fleet.gathered(*nodes)
    async with calling(server, None, app_account) as app:
        broadcast = app.broadcast("where_am_i", to=fleet.room, timeout=1)
        replies = await all_of(broadcast)
        async with asyncio.timeout(LIMIT):
            await stopped.wait()
        assert told(replies) == {str(each.full): str(each.full) for each in nodes[:3]} | {
            str(others[0].full): "failed",
            str(others[1].full): "silent",
            str(others[2].full): "refused",
            str(others[3].full): "refused",
        }
        by_node = {reply.node: reply for reply in replies}
        assert set(broadcast.nodes) == set(by_node)
        assert by_node[named.full].name == "chief"
        for each, error, text in (
            (others[0], TaskFailed, "ValueError: too heavy"),
            (others[1], JobTimeout, "has no outcome after 1 s"),
            (others[2], NotAllowed, r"nothing|refuses"),
            (others[3], Exception, "there is no task where_am_i here"),
        ):
            with pytest.raises(error, match=text):
                raise by_node[each.full].error
        assert replies[-1].status == "silent"
        assert replies[-1].seconds >= 1
        # It was there for that alone.
        rooms = named.node._serving.rooms
        await until(lambda: all(each.jid != app.jid for each in rooms.occupants(fleet.room)))
        with pytest.raises(Exception, match="iterated once"):
            await all_of(broadcast)


async def test_a_node_of_the_room_calls_all_and_itself(fleet: Fleet) -> None:
    account = fleet.server.fresh_user("bot")
    nodes = [await fleet.serve(host(rooms=[fleet.room]), account) for _ in range(3)]
    await fleet.gathered(*nodes)
    replies = await all_of(nodes[0].node.broadcast("where_am_i", "!", to=fleet.room))
    assert told(replies) == {str(each.full): f"{each.full}!" for each in nodes}
    assert nodes[0].node._serving.rooms.is_inside(fleet.room)


async def test_a_pool_and_one_node(fleet: Fleet) -> None:
    server = fleet.server
    account, app_account = server.fresh_user("bot"), server.fresh_user("app")
    allow = {app_account.jid: "*"}
    nodes = [await fleet.serve(host(allow=allow), account) for _ in range(2)]
    stern = await fleet.serve(host(), account)
    absent = server.fresh_user("ann")
    expected = {str(each.full): str(each.full) for each in nodes} | {str(stern.full): "refused"}
    async with calling(server, account.jid, app_account) as app:
        assert told(await all_of(app.broadcast("where_am_i"))) == expected
        # Who has come since is asked as well, although the pool is known by now.
        late = await fleet.serve(host(allow=allow), account)
        expected[str(late.full)] = str(late.full)
        assert told(await all_of(app.broadcast("where_am_i"))) == expected
        one = app.broadcast("where_am_i", to=nodes[1].full)
        assert told(await all_of(one)) == {str(nodes[1].full): str(nodes[1].full)}
        with pytest.raises(NobodyThere, match=f"nobody at {absent.jid} answers"):
            await all_of(app.broadcast("where_am_i", to=absent.jid))


async def test_all_contacts(fleet: Fleet) -> None:
    """Also where one account has several nodes; who keeps nobody as a contact asks nobody."""
    server = fleet.server
    pool, app_account, ann = (server.fresh_user(name) for name in ("bot", "app", "ann"))
    nodes = [host(allow={app_account.jid: "*"}, labels={"gpu": gpu}) for gpu in ("a", "b", "a")]
    served = [await fleet.serve(node, pool) for node in nodes[:2]]
    served.append(await fleet.serve(nodes[2]))
    async with calling(server, None, app_account) as app:
        with pytest.raises(NobodyThere, match=f"{app_account.jid} has no contacts"):
            await all_of(app.broadcast("where_am_i", to="*"))
        session = app._signed.session
        for contact in (pool.jid, served[2].account.jid, ann.jid):
            session.send(presence(to=JID(contact), type="subscribe"))
        expected = {str(each.full): str(each.full) for each in served}
        async with asyncio.timeout(LIMIT):
            while True:
                try:
                    assert told(await all_of(app.broadcast("where_am_i", to="*"))) == expected
                    break
                except (NobodyThere, AssertionError):  # they have not agreed yet
                    await asyncio.sleep(0.05)
        some = app.broadcast("where_am_i", to="*", where={"gpu": "a"})
        assert set(told(await all_of(some))) == {str(served[0].full), str(served[2].full)}


async def test_labels_choose_among_the_nodes_of_a_room(fleet: Fleet) -> None:
    account = fleet.server.fresh_user("bot")
    nodes = [
        await fleet.serve(host(rooms=[fleet.room], labels={"gpu": gpu}), account)
        for gpu in ("a100", "h100", "v100")
    ]
    await fleet.gathered(*nodes)
    async with calling(fleet.server, fleet.room, account, rooms=[fleet.room]) as app:
        some = app.broadcast("where_am_i", where={"gpu": ["a100", "v100"]})
        assert set(told(await all_of(some))) == {str(nodes[0].full), str(nodes[2].full)}
        with pytest.raises(NobodyThere, match=r"3 nodes at \S+, and none of them has gpu=t4"):
            await all_of(app.broadcast("where_am_i", where={"gpu": "t4"}))


async def test_so_many_at_once_and_enough_of_them(fleet: Fleet) -> None:
    account, running, most, wanted = fleet.server.fresh_user("bot"), set(), 0, 2
    full = asyncio.Event()  # else each may end before a busy machine has asked the next

    def counting() -> Node:
        node = Node(rooms=[fleet.room], drain_limit=0.1)

        @node.task
        async def count() -> None:
            nonlocal most
            running.add(node)
            most = max(most, len(running))
            if len(running) == wanted:
                full.set()
            await full.wait()
            await asyncio.sleep(0.05)
            running.remove(node)

        return node

    nodes = [await fleet.serve(counting(), account) for _ in range(6)]
    await fleet.gathered(*nodes)
    async with calling(fleet.server, fleet.room, account, rooms=[fleet.room]) as app:
        assert len(await all_of(app.broadcast("count", batch=2))) == 6
        assert most == 2
        wanted = 3
        full.clear()
        assert len(await all_of(app.broadcast("count", batch="50%"))) == 6
        assert most == 3
        replies = await all_of(app.broadcast("count", batch=1, quorum=2))
        assert [reply.status for reply in replies] == 2 * ["answered"] + 4 * ["silent"]
        assert "enough others" in str(replies[-1].error)


async def test_who_dies_or_stops_has_left(fleet: Fleet) -> None:
    """One that took the job and is gone, one that never said a word and is gone, one that says
    nothing, and one that hands back what it has not begun."""
    server, account = fleet.server, fleet.server.fresh_user("app")
    node = host(allow={account.jid: "*"}, rooms=[fleet.room], concurrency=1)
    served = await fleet.serve(node)
    await fleet.gathered(served)
    async with (
        calling(server, fleet.room, account, rooms=[fleet.room]) as app,
        ghost(fleet, "silent") as silent,
        AsyncExitStack() as taken_away,
    ):
        shy = await taken_away.enter_async_context(ghost(fleet, "shy"))
        hand = await taken_away.enter_async_context(by_hand(server))
        enter_as_node(hand.person, fleet.room, "taker")
        hand.show_as_node(str(app.jid), "hold")
        running = await app.submit("hold", to=served.full)
        async with asyncio.timeout(LIMIT):
            while len(app._signed.rooms.occupants(fleet.room)) < 5:
                await asyncio.sleep(0.01)
            replying = asyncio.create_task(all_of(app.broadcast("hold", timeout=4)))
            await hand.hear("submit")
            await shy.greeted.wait()
            while len(node._serving.runner.jobs) < 2:
                await asyncio.sleep(0.01)
        addresses = str(shy.boundjid), hand.full
        await taken_away.aclose()
        node.stop()
        assert told(await replying) == {
            addresses[0]: "left",
            addresses[1]: "left",
            str(served.full): "refused",
            str(silent.boundjid): "silent",
        }
        with pytest.raises(Exception, match=r"cancelled|stop"):
            await running


@asynccontextmanager
async def ghost(fleet: Fleet, nick: str) -> AsyncIterator[Person]:
    """Takes part in the room as a node, and takes no notice of anybody."""
    async with signed_in(fleet.server, resource=nick) as person:
        person.greeted = asyncio.Event()
        path = MatchXPath("{jabber:client}iq/{urn:jabot:0}frames")
        person.register_handler(Callback("frames", path, lambda iq: person.greeted.set()))
        enter_as_node(person, fleet.room, nick)
        yield person


def enter_as_node(person: Person, room: str, nick: str) -> None:
    stanza = person.make_presence(pto=JID(f"{room}/{nick}"))
    stanza.append(ET.Element("{http://jabber.org/protocol/muc}x"))
    stanza.append(ET.Element("{urn:jabot:0}node"))
    stanza.send()


async def test_the_connection_goes_and_comes_back(fleet: Fleet) -> None:
    account, go = fleet.server.fresh_user("bot"), asyncio.Event()
    begun = []

    def waiting() -> Node:
        node = Node(rooms=[fleet.room], drain_limit=0.1)

        @node.task
        async def wait() -> str:
            begun.append(node)
            await go.wait()
            return str(node.jid)

        return node

    nodes = [await fleet.serve(waiting(), account) for _ in range(3)]
    await fleet.gathered(*nodes)
    async with calling(fleet.server, fleet.room, account) as app:
        replying = asyncio.create_task(all_of(app.broadcast("wait", timeout=LIMIT)))
        await until(lambda: len(begun) >= 3)
        app._signed.session._stream.abort()
        go.set()
        assert told(await replying) == {str(each.full): str(each.full) for each in nodes}
    assert len(begun) == 3


async def holding(fleet: Fleet) -> tuple[list[Node], Account]:
    """Two nodes that hold, and one of their account that is done when they do."""
    account = fleet.server.fresh_user("bot")
    nodes = [host(rooms=[fleet.room]) for _ in range(2)]
    served = [await fleet.serve(node, account) for node in nodes]
    quick = Node(rooms=[fleet.room])

    @quick.task(name="hold")
    async def hold() -> str:
        for node in nodes:
            await node.held.wait()
        return "quick"

    served.append(await fleet.serve(quick, account))
    await fleet.gathered(*served)
    return nodes, account


async def all_let_go(nodes: list[Node]) -> None:
    async with asyncio.timeout(LIMIT):
        for node in nodes:
            await node.let_go.wait()
            node.let_go.clear()
            node.held.clear()


async def test_leaving_the_loop_stops_the_jobs(fleet: Fleet) -> None:
    nodes, account = await holding(fleet)
    async with calling(fleet.server, fleet.room, account) as app:
        async for reply in app.broadcast("hold", timeout="5m"):
            assert reply.result == "quick"
            break
        await all_let_go(nodes)
        await until(lambda: len(app._calls) == 0)
        replying = asyncio.create_task(all_of(app.broadcast("hold", timeout="5m")))
        async with asyncio.timeout(LIMIT):
            for node in nodes:
                await node.held.wait()
        replying.cancel()
        await all_let_go(nodes)


async def test_without_a_loop(fleet: Fleet) -> None:
    """Replies one by one; and what still runs is stopped when the `for` is left."""
    nodes, account = await holding(fleet)
    login = jabot_account(fleet.server, account)

    def blocking() -> None:
        with jabot.sync.connect(account=login, to=fleet.room) as app:
            with pytest.raises(ConfigError, match="batch is a number"):
                app.broadcast("where_am_i", batch="many")
            statuses = [reply.status for reply in app.broadcast("where_am_i", "!", batch=1)]
            assert sorted(statuses) == ["answered", "answered", "refused"]
            with pytest.raises(NobodyThere, match="there is no room"):
                list(app.broadcast("where_am_i", to=f"missing-{fleet.room}"))
            for reply in app.broadcast("hold", timeout="5m"):
                assert reply.result == "quick"
                break
            asyncio.run_coroutine_threadsafe(all_let_go(nodes), loop).result(LIMIT)

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(blocking)


async def test_a_client_that_is_closed_meanwhile(fleet: Fleet) -> None:
    node = host(rooms=[fleet.room])
    served = await fleet.serve(node)
    await fleet.gathered(served)
    async with calling(fleet.server, fleet.room, served.account) as app:
        replying = asyncio.create_task(all_of(app.broadcast("hold")))
        await node.held.wait()
    with pytest.raises(ConnectionFailed, match="the client was closed"):
        await replying


async def test_rooms_that_nothing_can_be_asked_in(fleet: Fleet) -> None:
    """Missing, empty, closed, or none at all: told at once, and no room is made by that."""
    server = fleet.server
    served = await fleet.serve(host(rooms=Room(fleet.room, members=["nobody@example.org"])))
    await fleet.gathered(served)
    account = server.fresh_user("app")
    conference = fleet.room.partition("@")[2]
    missing = f"missing@{conference}"
    async with calling(server, None, account, rooms=[f"empty-{fleet.room}"]) as app:
        for _ in range(2):
            with pytest.raises(NobodyThere, match=f"there is no room {missing}"):
                await all_of(app.broadcast("where_am_i", to=missing))
        with pytest.raises(NotAllowed, match="members only; let an owner make"):
            await all_of(app.broadcast("where_am_i", to=fleet.room))
        with pytest.raises(NobodyThere, match="no node is in the room"):
            await all_of(app.broadcast("where_am_i", to=f"empty-{fleet.room}"))
        with pytest.raises(ConfigError, match="is no room, but in the domain of rooms"):
            await all_of(app.broadcast("where_am_i", to=f"{fleet.room}/chief"))
        with pytest.raises(NobodyThere):
            await all_of(app.broadcast("where_am_i", to=f"fleet@rooms.{server.domain}"))
        for options in (
            {"to": "@"},
            {"to": fleet.room, "quorum": 0},
            {"to": fleet.room, "batch": "0%"},
            {"to": fleet.room, "batch": "many"},
            {"to": fleet.room, "timeout": "soon"},
            {"to": fleet.room, "where": {"gpu": 7}},
            {},
        ):
            with pytest.raises(ConfigError):
                app.broadcast("where_am_i", **options)
        with pytest.raises(BadArguments):
            app.broadcast("where_am_i", object(), to=fleet.room)


async def test_a_stranger_in_the_room_learns_nothing(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may be in the room may not run anything for that, nor see how busy a node is."""
    caplog.set_level(logging.INFO)
    nodes = [host(rooms=[fleet.room], labels={"secret": "label"}) for _ in range(3)]
    served = [await fleet.serve(node) for node in nodes]
    await fleet.gathered(*served)
    async with calling(fleet.server, fleet.room, fleet.server.fresh_user("eve")) as eve:
        replies = await all_of(eve.broadcast("where_am_i", timeout=LIMIT))
        assert told(replies) == {str(each.full): "refused" for each in served}
        for reply in replies:
            assert isinstance(reply.error, NotAllowed)
            assert "where_am_i" not in str(reply.error)
            assert "label" not in str(reply.error)
        for each in served:
            with pytest.raises(NotAllowed):
                await eve.nodes(each.full)
        assert not any(eve._calls.peers.at(str(each.full)) for each in served)


async def test_a_node_that_stops_says_farewell_in_its_rooms(fleet: Fleet) -> None:
    node = host(rooms=[fleet.room], farewell="gone fishing")
    served = await fleet.serve(node)
    await fleet.gathered(served)
    async with calling(fleet.server, fleet.room, served.account, rooms=[fleet.room]) as app:
        await all_of(app.broadcast("where_am_i"))
        seen, hear = [], app._signed.rooms.received
        app._signed.rooms.received = lambda stanza: (seen.append(stanza), hear(stanza))[1]
        node.stop()
        await served.left()
        await until(lambda: not app._signed.rooms.occupants(fleet.room)[1:])
    (last,) = (s for s in seen if s.type == "unavailable" and s.sender.bare == fleet.room)
    assert last.status == "gone fishing"


async def test_thirty_nodes_in_one_process(fleet: Fleet) -> None:
    account = fleet.server.fresh_user("bot")
    nodes = [await fleet.serve(host(rooms=[fleet.room]), account) for _ in range(30)]
    await fleet.gathered(*nodes)
    async with calling(fleet.server, fleet.room, account) as app:
        replies = await all_of(app.broadcast("where_am_i", timeout=LIMIT))
        assert told(replies) == {str(each.full): str(each.full) for each in nodes}
