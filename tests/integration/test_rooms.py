"""Being in rooms, on a real server: in, out, and back in again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from xml.etree import ElementTree as ET

import pytest

from chatting import LIMIT, calling, serving, soon, until
from chatting.nodes import QUICK, jabot_account
from jabot import JID, Node
from jabot.xmpp import Session
from jabot.xmpp.room import Occupant, Room
from jabot.xmpp.room_stanzas import ADMIN, NODE, OWNER, configuration, configuration_wanted
from jabot.xmpp.rooms import Rooms
from servers import Account, Server


class Guest:
    """A session that only enters rooms, and notes what it is told of them."""

    def __init__(self, server: Server, account: Account, *, is_node: bool = True) -> None:
        self.session = Session(jabot_account(server, account), self, QUICK)
        self.rooms = Rooms(self.session, NODE if is_node else None)
        self.rooms.listeners.append(self)
        self.notes: list[str] = []
        self.came_in: list[Occupant] = []

    def online(self) -> None:
        self.rooms.online()

    def offline(self) -> None:
        self.rooms.offline()

    def text_received(self, text: object) -> None:
        """Nobody speaks here."""

    def typing_received(self, sender: JID, state: str) -> None:
        """Nor types."""

    def presence_received(self, stanza: object) -> None:
        self.rooms.received(stanza)

    def entered(self, room: JID) -> None:
        self.notes.append("entered")

    def kept_out(self, room: JID, why: str) -> None:
        """The rooms know it."""

    def out(self, room: JID, why: str) -> None:
        self.notes.append(f"out: {why}")

    def came(self, room: JID, occupant: Occupant) -> None:
        self.notes.append(f"came: {occupant.nick}")
        self.came_in.append(occupant)

    def went(self, room: JID, occupant: Occupant, why: str) -> None:
        self.notes.append(f"went: {occupant.nick}: {why}")

    async def note(self, beginning: str) -> str:
        """Wait for a note, and take it and those before it."""
        async with asyncio.timeout(LIMIT):
            while True:
                for number, note in enumerate(self.notes):
                    if note.startswith(beginning):
                        del self.notes[: number + 1]
                        return note
                await asyncio.sleep(0.01)

    async def moderate(self, room: str, **item: str) -> None:
        query = ET.Element(f"{{{ADMIN}}}query")
        ET.SubElement(query, f"{{{ADMIN}}}item", item)
        await self.session.requests.ask("set", JID(room), query)

    async def configure(self, room: str, **fields: str) -> None:
        named = {f"muc#roomconfig_{name}": value for name, value in fields.items()}
        await self.session.requests.ask("set", JID(room), configuration(named))

    async def destroy(self, room: str) -> None:
        query = ET.Element(f"{{{OWNER}}}query")
        ET.SubElement(query, f"{{{OWNER}}}destroy")
        await self.session.requests.ask("set", JID(room), query)


class House:
    """A server, a room of its own for each test, and who goes in there."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self.server = server
        self.room = (
            f"fleet-{server.fresh_user('x').jid.partition('@')[0]}@conference."
            + (server.fresh_user("y").jid.partition("@")[2])
        )
        self._stack = stack

    async def guest(self, name: str, account: Account | None = None, **options: bool) -> Guest:
        guest = Guest(self.server, account or self.server.fresh_user(name), **options)
        await self._stack.enter_async_context(signed_in(guest))
        return guest

    async def inside(self, name: str, **settings: object) -> Guest:
        guest = await self.guest(name)
        guest.rooms.enter(Room(self.room, nick=name, **settings))
        await guest.note("entered")
        return guest


@asynccontextmanager
async def signed_in(guest: Guest) -> AsyncIterator[None]:
    running = asyncio.create_task(guest.session.run())
    try:
        await until(lambda: guest.session.is_online)
        yield
    finally:
        guest.rooms.close()
        await guest.session.stop()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def house(xmpp: Server) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(xmpp, stack)


async def test_it_is_created_and_shows_real_addresses(house: House) -> None:
    first = await house.inside("one")
    person = await house.guest("ann", is_node=False)
    person.rooms.enter(Room(house.room, nick="Ann"))
    await person.note("entered")
    await first.note("came: Ann")
    assert first.came_in == [Occupant("Ann", person.session.jid, False)]
    assert person.rooms.occupants(house.room) == [
        Occupant("Ann", person.session.jid, False),
        Occupant("one", first.session.jid, True),
    ]
    assert person.rooms.occupant(JID(f"{house.room}/one")).jid == first.session.jid
    person.rooms.leave(house.room)
    assert await first.note("went: Ann") == "went: Ann: left"


async def test_a_nick_that_is_taken(house: House) -> None:
    await house.inside("one")
    second = await house.guest("two")
    second.rooms.enter(Room(house.room, nick="one"))
    await second.note("entered")
    assert second.rooms.nick(house.room) == "one-2"


async def test_a_pool_with_one_nick(house: House) -> None:
    """Some servers would make one occupant of two programs of an account."""
    account = house.server.fresh_user("bot")
    guests = [await house.guest("bot", account) for _ in range(3)]
    for guest in guests:
        guest.rooms.enter(Room(house.room, nick="bot"))
        await guest.note("entered")
    everybody = {guest.session.jid for guest in guests}
    for guest in guests:
        await until(
            lambda guest=guest: (
                {there.jid for there in guest.rooms.occupants(house.room)} == everybody
            )
        )
    nicks = {guest.rooms.nick(house.room) for guest in guests}
    assert len(nicks) == 3
    assert guests[-1].rooms.nick(house.room) == "bot"


async def test_who_dies_is_gone(house: House) -> None:
    first, second = await house.inside("one"), await house.inside("two")
    await first.note("came: two")
    second.session._stream.abort()  # no farewell
    await second.note("out: the connection was lost")
    await first.note("went: two")
    await second.note("entered")  # by itself, after the reconnect
    await first.note("came: two")


async def test_who_is_kicked_comes_back(house: House, caplog: pytest.LogCaptureFixture) -> None:
    first, second = await house.inside("one"), await house.inside("two")
    await first.note("came: two")
    await first.moderate(house.room, nick="two", role="none")
    assert await first.note("went: two") == "went: two: kicked"
    assert await second.note("out") == "out: kicked"
    await second.note("entered")
    assert second.rooms.problem(house.room) == ""
    assert f"not in the room {house.room}: kicked; I keep trying" in caplog.text


async def test_who_is_banned_stays_out_and_says_so(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await house.inside("one"), await house.inside("two")
    await first.moderate(house.room, jid=second.session.jid.bare, affiliation="outcast")
    assert await second.note("out") == "out: banned"
    second.rooms.leave(house.room)
    second.rooms.enter(Room(house.room, nick="two"))
    await until(lambda: "is banned from it" in second.rooms.problem(house.room))
    assert f"not in the room {house.room}: {second.session.jid.bare} is banned" in caplog.text


async def test_a_room_for_members(house: House) -> None:
    member = house.server.fresh_user("two")
    await house.inside("one", members=[member.jid])
    second = await house.guest("two", member)
    second.rooms.enter(Room(house.room, nick="two"))
    await second.note("entered")
    stranger = await house.guest("eve")
    stranger.rooms.enter(Room(house.room, nick="eve"))
    await until(lambda: "members only" in stranger.rooms.problem(house.room))


async def test_a_room_that_is_destroyed_is_made_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    first = await house.inside("one")
    await first.destroy(house.room)
    assert (await first.note("out")).startswith("out: the room was destroyed")
    await first.note("entered")
    assert f"not in the room {house.room}: the room was destroyed" in caplog.text


async def test_a_node_does_its_jobs_whatever_becomes_of_its_room(house: House) -> None:
    owner = await house.guest("boss", is_node=False)
    owner.rooms.enter(Room(house.room, nick="boss"))
    await owner.note("entered")
    node = Node(rooms=[Room(house.room, nick="one")])
    begun, go_on = [], asyncio.Event()

    @node.task
    async def hold() -> str:
        begun.append("hold")
        await go_on.wait()
        return "held"

    @node.task
    def greet() -> str:
        return "hello"

    async with (
        serving(node, house.server, timing=QUICK, for_people=False) as served,
        calling(house.server, served) as app,
    ):
        await owner.note("came: one")
        job = await app.submit("hold")
        await until(lambda: begun)
        await owner.moderate(house.room, nick="one", role="none")
        assert await owner.note("went: one") == "went: one: kicked"
        assert await soon(await app.submit("greet")) == "hello"
        await owner.note("came: one")
        await owner.destroy(house.room)
        await owner.note("out: the room was destroyed")
        assert await soon(await app.submit("greet")) == "hello"
        await owner.note("entered")
        await until(lambda: any(each.nick == "one" for each in owner.rooms.occupants(house.room)))
        go_on.set()
        assert await soon(job) == "held"
        assert begun == ["hold"]


async def test_a_room_that_is_full(house: House, caplog: pytest.LogCaptureFixture) -> None:
    first = await house.inside("one")
    await first.configure(house.room, maxusers="1")
    second = await house.guest("two")
    second.rooms.enter(Room(house.room, nick="two"))
    await until(lambda: second.rooms.problem(house.room))
    domain = JID(house.room).domain
    why = f"it is full, or {domain} takes no more rooms"
    assert second.rooms.problem(house.room) == why
    assert f"not in the room {house.room}: {why}; I keep trying" in caplog.text
    second.rooms.enter(Room(f"other-{house.room}"))
    await second.note("entered")  # the full one is no concern of this one
    await first.configure(house.room, maxusers="2")
    await second.note("entered")  # by itself
    assert second.rooms.problem(house.room) == ""


async def test_a_new_room_holds_as_many_as_the_service_allows(house: House) -> None:
    first = await house.inside("one")
    form = await first.session.requests.ask("get", JID(house.room), configuration_wanted())
    (most,) = form.iterfind(".//{jabber:x:data}field[@var='muc#roomconfig_maxusers']")
    assert most.findtext("{jabber:x:data}value") == "1000"  # both servers are set up for so many


async def test_a_server_without_rooms(house: House) -> None:
    guest = await house.guest("one")
    nowhere = f"fleet@rooms.{guest.session.jid.domain}"
    guest.rooms.enter(Room(nowhere))
    await until(lambda: "has the server rooms?" in guest.rooms.problem(nowhere))
    guest.rooms.enter(Room(house.room))
    await guest.note("entered")  # the other one is no concern of this one


async def test_two_at_once_make_one_room(house: House) -> None:
    guests = [await house.guest(name) for name in ("one", "two", "three")]
    for guest in guests:
        guest.rooms.enter(Room(house.room))
    for guest in guests:
        await guest.note("entered")
    addresses = {guest.session.jid for guest in guests}
    for guest in guests:  # also where they came in before the room showed any
        await until(
            lambda guest=guest: (
                {each.jid for each in guest.rooms.occupants(house.room)} == addresses
            )
        )
