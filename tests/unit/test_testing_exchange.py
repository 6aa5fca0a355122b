"""A server inside the process, with real sessions in front of it."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from jabot import ConfigError
from jabot.errors import Replaced
from jabot.jid import JID
from jabot.testing import Exchange
from jabot.xmpp import OutgoingText, Session, Timing
from jabot.xmpp.frames import batch, read_batch, responsible
from jabot.xmpp.stanzas import presence


class Listener:
    def __init__(self):
        self.heard = []

    def online(self):
        self.heard.append("online")

    def offline(self):
        self.heard.append("offline")

    def text_received(self, text):
        self.heard.append(text.body)

    def typing_received(self, sender, state):
        pass

    def presence_received(self, stanza):
        self.heard.append((stanza.type, str(stanza.sender)))


class Carrier:
    def __init__(self):
        self.stanzas = []

    def iq_received(self, iq):
        if iq.get("id").startswith("ask-"):  # what the session asks, such as its pings
            return False
        self.stanzas.append(iq)
        return iq.get("type") != "get"

    def room(self):
        pass


@pytest.fixture
async def town(clock):
    """Sessions of that exchange, by name."""

    class Town:
        def __init__(self):
            self.exchange = Exchange()
            self.running = []

        async def session(self, jid="ann@localhost", timing=None):
            listener = Listener()
            session = Session(self.exchange.account(jid), listener, timing or Timing())
            session.heard, session.carrier = listener.heard, Carrier()
            session.carry(session.carrier)
            session.running = asyncio.ensure_future(session.run())
            self.running.append((session, session.running))
            await clock.settle()
            return session

    made = Town()
    yield made
    for session, running in made.running:
        await session.stop()
        await asyncio.gather(running, return_exceptions=True)
    made.exchange.close()


async def test_presence_reaches_who_was_shown_it_and_so_does_its_end(town, clock):
    ann, bob = await town.session(), await town.session("bob@example.org")
    ann.send(presence(to=bob.jid))
    await clock.settle()
    assert bob.heard == ["online", ("available", str(ann.jid))]
    await ann.stop()
    await clock.settle()
    assert bob.heard[2:] == [("unavailable", str(ann.jid))]


async def test_an_account_sees_itself_and_its_other_sessions(town, clock):
    one, two = await town.session(), await town.session()
    one.send(presence())
    two.send(presence())
    await clock.settle()
    assert ("available", str(one.jid)) in one.heard
    assert ("available", str(two.jid)) in one.heard
    assert ("available", str(one.jid)) in two.heard


async def test_batches_and_their_answers_go_both_ways_in_order(town, clock):
    ann, bob = await town.session(), await town.session("bob@localhost")
    ann.send_stanzas("".join(batch(str(bob.jid), n, f"[{n}]", False) for n in range(3)))
    await clock.settle()
    batches = [read_batch(iq) for iq in bob.carrier.stanzas]
    assert [(b.peer, b.text) for b in batches] == [(str(ann.jid), f"[{n}]") for n in range(3)]
    bob.send_stanzas(responsible(str(ann.jid), batches[0].id))
    await clock.settle()
    assert [iq.get("type") for iq in ann.carrier.stanzas] == ["result"]


async def test_a_batch_for_nobody_comes_back(town, clock):
    ann = await town.session()
    ann.send_stanzas(batch("bob@localhost/gone", 1, "[]", False))
    await clock.settle()
    (answer,) = ann.carrier.stanzas
    assert answer.get("type") == "error"
    assert answer.find(".//{*}service-unavailable") is not None


async def test_a_request_that_nobody_does_is_refused(town, clock):
    ann, bob = await town.session(), await town.session("bob@localhost")
    query = f"<iq type='get' id='q' to='{bob.jid}'><query xmlns='urn:example'/></iq>"
    ann.send_stanzas(query)
    await clock.settle()
    assert [iq.get("type") for iq in ann.carrier.stanzas] == ["error"]


async def test_texts_arrive_and_wait_for_who_is_away(town, clock):
    ann = await town.session()
    town.exchange.account("bob@localhost")
    ann.send_text(OutgoingText(JID("bob@localhost"), "<hi> & 山"))
    await clock.settle()
    assert not ann._texts
    bob = await town.session("bob@localhost")
    bob.send(presence(priority=0))
    await clock.settle()
    assert "<hi> & 山" in bob.heard


async def test_a_killed_session_is_gone_for_others(town, clock):
    ann, bob = await town.session(), await town.session("bob@localhost")
    ann.send(presence(to=bob.jid))
    await clock.settle()
    town.exchange.end(str(ann.jid))
    assert not ann.send_stanzas("<presence/>")
    await clock.settle()
    assert bob.heard[-1] == ("unavailable", str(ann.jid))
    await clock.advance(30)  # it comes back by itself, as a session does
    assert ann.heard == ["online", "offline", "online"]


async def test_a_dead_line_carries_nothing_and_is_found_by_a_ping(town, clock):
    ann, bob = await town.session(), await town.session("bob@localhost")
    ann.send(presence(to=bob.jid))
    await clock.settle()
    town.exchange.cut_off(str(ann.jid))
    ann.send(presence(to=bob.jid, show="dnd"))
    bob.send(presence(to=ann.jid))
    with pytest.raises(TimeoutError):
        await ann.ping(5)
    assert bob.heard == ["online", ("available", str(ann.jid))]
    await clock.advance(60)  # the session gives the line up, and gets no other
    assert ann.heard == ["online", "offline"]
    town.exchange.join(str(ann.jid))
    await clock.advance(120)
    assert ann.heard == ["online", "offline", "online"]


async def test_a_session_under_the_same_address_takes_the_others_place(town, clock):
    ann = await town.session()
    other = Session(town.exchange.account("ann@localhost"), Listener(), Timing())
    other._resource = ann._resource
    running = asyncio.ensure_future(other.run())
    with pytest.raises(Replaced):
        await ann.running
    await other.stop()
    await running


async def test_what_is_no_xml_ends_the_line(town, clock):
    ann = await town.session()
    element = ET.Element("{jabber:client}message", {"to": "bob@localhost"})
    element.text = "\x00"
    ann.send(element)
    await clock.settle()
    assert ann.heard == ["online", "offline"]


async def test_what_is_no_account_is_refused(town):
    with pytest.raises(ConfigError, match="name@domain"):
        town.exchange.account("localhost")
