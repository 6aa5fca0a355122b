"""Stays in rooms, with a room that is made up: what is tried again, and when."""

import logging
from xml.etree import ElementTree as ET

import pytest

from jabot.errors import ConfigError, StanzaError
from jabot.jid import JID
from jabot.xmpp.room import Room
from jabot.xmpp.room_stanzas import NODE, QUEUE, enter, most_occupants, offered_fields
from jabot.xmpp.rooms import Rooms
from jabot.xmpp.stanzas import read_presence
from unit.clock import turns

OWN = JID("bot@example.org/host-4711-c36d")
ROOM = "fleet@conference.example.org"
BARRED = {"forbidden", "registration-required", "not-allowed", "not-authorized"}
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


class Requests:
    """A room's owner form."""

    def __init__(self):
        self.asked, self.problem, self.features = [], None, []

    async def ask(self, kind, to, payload):
        self.asked.append((kind, ET.tostring(payload, "unicode")))
        if self.problem is not None:
            raise self.problem
        features = "".join(f"<feature var='{name}'/>" for name in self.features)
        info = "http://jabber.org/protocol/disco#info"
        return ET.fromstring(f"<query xmlns='{info}'>{features}</query>")


class Session:
    """A connection, and what was sent on it."""

    def __init__(self):
        self.jid, self.is_online, self.sent, self.requests = OWN, True, [], Requests()

    def send(self, stanza):
        self.sent.append(stanza)
        return True


class House:
    """A session in rooms, what it is told, and what the room says."""

    def __init__(self, **settings):
        self.session, self.notes, self.problems = Session(), [], []
        self.rooms = Rooms(self.session, NODE)
        self.rooms.listeners.append(self)
        self.affiliation = "none"
        self.rooms.enter(Room(ROOM, **settings))

    def entered(self, room):
        self.notes.append("entered")

    def kept_out(self, room, why):
        self.problems.append(why)

    def out(self, room, why):
        self.notes.append(f"out: {why}")

    def came(self, room, occupant):
        self.notes.append(f"came: {occupant.nick}")

    def went(self, room, occupant, why):
        self.notes.append(f"went: {occupant.nick}: {why}")

    @property
    def tries(self):
        """The nicks under which it asked to be let in."""
        return [JID(stanza.get("to")).resource for stanza in self.session.sent]

    def says(self, nick, kind="", codes=(), jid=None, inner="", affiliation="none", beside=""):
        jid = str(OWN) if jid is None else jid
        item = f"<item affiliation='{affiliation}' role='none' jid='{jid}' {inner}/>"
        marks = "".join(f"<status code='{code}'/>" for code in codes)
        x = f"<x xmlns='http://jabber.org/protocol/muc#user'>{item}{marks}</x>"
        self._hear(nick, kind, x + beside)

    def refuses(self, condition, nick=""):
        error = f"<error type='cancel'><{condition} xmlns='{STANZAS}'/></error>"
        self._hear(nick, "error", error)

    def lets_in(self, *codes):
        affiliation = "owner" if 201 in codes else self.affiliation
        self.says(self.tries[-1], codes=(110, *codes), affiliation=affiliation)

    def _hear(self, nick, kind, content):
        sender = f"{ROOM}/{nick}" if nick else ROOM
        kind = f" type='{kind}'" if kind else ""
        stanza = ET.fromstring(
            f"<presence xmlns='jabber:client' from='{sender}'{kind}>{content}</presence>"
        )
        assert self.rooms.received(read_presence(stanza, OWN))


async def until_next_try(house, clock):
    """How many seconds it took."""
    tried, since = len(house.tries), clock.now
    while len(house.tries) == tried:
        assert clock.now < since + 700
        await clock.advance(0.25)
    return clock.now - since


@pytest.fixture
async def house(clock):
    house = House()
    yield house
    house.rooms.close()


async def test_it_asks_for_no_history_and_bears_a_mark_alone(house):
    (stanza,) = house.session.sent
    text = ET.tostring(stanza, "unicode")
    assert stanza.get("to") == f"{ROOM}/bot-c36d"
    assert 'maxstanzas="0"' in text
    node = stanza.find("{urn:jabot:0}node")
    assert node is not None
    assert not node.attrib


async def test_a_queue_is_known_as_one(house):
    assert enter(JID(ROOM), "jobs", QUEUE)[1].attrib == {"queue": "1"}
    house.lets_in()
    house.says("w1", jid="bot@example.org/host-1-aaaa", beside="<node xmlns='urn:jabot:0'/>")
    house.says("jobs", jid="jobs@example.org/x", beside="<node xmlns='urn:jabot:0' queue='1'/>")
    kinds = {each.nick: (each.is_node, each.is_queue) for each in house.rooms.occupants(ROOM)}
    assert kinds == {"bot-c36d": (False, False), "w1": (True, False), "jobs": (True, True)}


async def test_who_was_there_before_is_no_news(house):
    house.says("one", jid="bot@example.org/host-1-aaaa")
    assert house.notes == []
    house.lets_in()
    house.says("two", jid="bot@example.org/host-2-bbbb")
    house.says("two", jid="bot@example.org/host-2-bbbb")  # it changed its status
    assert house.notes == ["entered", "came: two"]
    assert [occupant.nick for occupant in house.rooms.occupants(ROOM)] == ["bot-c36d", "one", "two"]
    assert house.rooms.is_inside(ROOM)


async def test_a_room_that_hides_addresses_at_first_is_looked_at_again(house, clock):
    house.says("one", jid="")
    house.lets_in()
    await clock.advance(3)
    assert len(house.tries) == 1
    house.session.requests.features = ["muc_nonanonymous"]
    await until_next_try(house, clock)
    house.says("one", jid="bot@example.org/host-1-aaaa")
    house.lets_in()
    assert [str(each.jid) for each in house.rooms.occupants(ROOM)] == [
        str(OWN),
        "bot@example.org/host-1-aaaa",
    ]
    assert house.notes == ["entered", "came: one"]
    await clock.advance(60)
    assert len(house.tries) == 2


async def test_a_room_that_goes_on_hiding_addresses_is_asked_rarely(house, clock, caplog):
    house.says("one", jid="")
    house.lets_in()
    await clock.advance(30)
    assert caplog.text.count("hides who is in it; let its owner show") == 1
    asked = len(house.session.requests.asked)
    await clock.advance(600)
    assert 5 <= len(house.session.requests.asked) - asked <= 25
    assert len(house.tries) == 1
    assert house.rooms.is_inside(ROOM)


async def test_the_next_nick_when_one_is_taken(house):
    house.refuses("conflict", "bot-c36d")
    house.refuses("conflict", "bot-c36d-2")
    house.lets_in()
    assert house.tries == ["bot-c36d", "bot-c36d-2", "bot-c36d-3"]
    assert house.rooms.nick(ROOM) == "bot-c36d-3"


@pytest.mark.parametrize(
    ("condition", "problem", "soon"),
    [
        ("service-unavailable", "it is full", True),
        ("item-not-found", "still setting it up", True),
        ("resource-constraint", "it is full", True),
        ("forbidden", "bot@example.org is banned from it", False),
        ("registration-required", "members only", False),
        ("not-allowed", "may not create it", False),
        ("not-authorized", "wants a password", False),
        ("remote-server-not-found", "no service at conference.example.org", False),
        ("feature-not-implemented", "feature not implemented", True),
    ],
)
async def test_what_keeps_it_out_is_said_once_and_it_tries_again(
    house, clock, caplog, condition, problem, soon
):
    with caplog.at_level(logging.INFO):
        house.refuses(condition)
        assert problem in house.problems[0]
        assert problem in house.rooms.problem(ROOM)
        assert (await until_next_try(house, clock) < 2) == soon
        house.refuses(condition)
    assert caplog.text.count(problem) == 1
    assert len(house.problems) == 2
    assert house.rooms.is_barred(ROOM) == (condition in BARRED)
    await until_next_try(house, clock)
    house.lets_in()
    assert house.notes == ["entered"]
    assert house.rooms.problem(ROOM) == ""
    assert not house.rooms.is_barred(ROOM)


async def test_a_room_that_says_nothing(house, clock):
    await clock.advance(15.1)
    assert house.rooms.problem(ROOM) == "it does not answer"
    await clock.advance(1.5)
    assert len(house.tries) == 2


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        ((110, 307), "kicked"),
        ((110, 301), "banned"),
        ((110, 321), "the room is for members only"),
        ((110, 332), "the room's server shuts down"),
        ((110,), "left"),
    ],
)
async def test_put_out_and_in_again(house, clock, codes, why):
    house.lets_in()
    house.says("bot-c36d", "unavailable", codes)
    assert house.notes == ["entered", f"out: {why}"]
    assert not house.rooms.is_inside(ROOM)
    assert house.rooms.is_barred(ROOM) == (why in ("banned", "the room is for members only"))
    assert (await until_next_try(house, clock) < 2) == (why != "banned")
    house.lets_in()
    assert house.notes[-1] == "entered"


async def test_who_is_put_out_again_and_again_waits_longer(house, clock):
    waits = []
    for _ in range(5):
        house.lets_in()
        house.says("bot-c36d", "unavailable", (110, 307))
        waits.append(await until_next_try(house, clock))
    assert waits[-1] > 4 * waits[0]
    house.lets_in()
    await clock.advance(60)  # in peace
    house.says("bot-c36d", "unavailable", (110, 307))
    assert await until_next_try(house, clock) < 2


async def test_a_rename_is_no_departure_of_ours(house):
    house.lets_in()
    house.says("bot-c36d", "unavailable", (110, 303), inner="nick='chief'")
    house.says("chief", codes=(110,))
    assert house.rooms.nick(ROOM) == "chief"
    assert house.rooms.is_inside(ROOM)
    assert not any(note.startswith("out") for note in house.notes)


async def test_a_room_that_answers_late(house, clock):
    """It may be new, and then nobody else can set it up."""
    await clock.advance(15.1)
    assert house.rooms.problem(ROOM) == "it does not answer"
    house.lets_in(201)
    await turns()
    assert house.notes == ["entered"]
    await clock.advance(100)
    assert len(house.tries) == 1


async def test_the_echo_of_a_departure_is_no_kick(house):
    house.lets_in()
    house.rooms.leave(ROOM)
    house.rooms.enter(Room(ROOM))
    house.says("bot-c36d", "unavailable", (110,))
    house.lets_in()
    assert house.notes == ["entered", "out: left", "entered"]
    assert house.problems == []


async def test_a_room_is_set_up_before_it_counts(house):
    house.lets_in(201)
    assert house.notes == []
    await turns()
    assert [kind for kind, _ in house.session.requests.asked] == ["get", "set"]
    assert house.notes == ["entered"]


@pytest.mark.parametrize(
    ("choices", "chosen"),
    [("none 5 1000 200", "none"), ("5 1000 200", "1000"), ("many", None), ("", None)],
)
def test_a_room_holds_as_many_as_the_service_allows(choices, chosen):
    options = "".join(f"<option><value>{choice}</value></option>" for choice in choices.split())
    field = f"<field var='muc#roomconfig_maxusers'>{options}</field>"
    form = ET.fromstring(f"<query><x xmlns='jabber:x:data'>{field}</x></query>")
    fields = most_occupants(offered_fields(form))
    assert fields == ({} if chosen is None else {"muc#roomconfig_maxusers": chosen})


async def test_a_room_that_cannot_be_set_up(house, clock):
    house.session.requests.problem = StanzaError("forbidden")
    house.lets_in(201)
    await turns()
    assert house.rooms.problem(ROOM) == "it cannot be set up: forbidden"
    await clock.advance(1.5)
    assert len(house.tries) == 2
    house.session.requests.problem, house.affiliation = None, "owner"
    house.lets_in()  # it is not new any more, and ours to set up all the same
    await turns()
    assert [kind for kind, _ in house.session.requests.asked] == ["get", "get", "set"]
    assert house.notes == ["entered"]


async def test_nothing_is_tried_without_a_connection(house, clock):
    house.lets_in()
    house.session.is_online = False
    house.rooms.offline()
    assert house.notes == ["entered", "out: the connection was lost"]
    await clock.advance(600)
    assert len(house.tries) == 1
    house.session.is_online = True
    house.rooms.online()
    assert len(house.tries) == 2


async def test_a_farewell_and_what_rooms_say_of_it(house):
    """The room's own words about it, and later ones, reach nobody who knows contacts."""
    house.lets_in()
    house.rooms.farewell("jabot down")
    text = ET.tostring(house.session.sent[-1], "unicode")
    assert 'type="unavailable"' in text
    assert "jabot down" in text
    house.says("bot-c36d", "unavailable", (110,))
    house.says("one")
    assert ROOM not in house.rooms
    assert house.notes == ["entered", "out: left"]


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "conference.example.org"},
        {"address": f"{ROOM}/nick"},
        {"address": "@"},
        {"address": ROOM, "nick": " "},
        {"address": ROOM, "members": ["@"]},
    ],
)
def test_what_is_no_room(settings):
    with pytest.raises(ConfigError):
        Room(**settings)
