"""A session that stays: when it tries again, when it gives up, and what it sends again."""

import asyncio
import itertools
import logging
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from jabot.account import Account
from jabot.errors import (
    AuthenticationFailed,
    CertificateError,
    ConnectionFailed,
    Replaced,
    UnknownHost,
)
from jabot.jid import JID
from jabot.xmpp import OutgoingText, Session, Timing, new_resource
from jabot.xmpp.backoff import Backoff
from jabot.xmpp.frames import read_answer
from jabot.xmpp.stanzas import presence
from unit.clock import turns

ACCOUNT = Account(JID("bot@example.org"), "s3cret")
ALICE = JID("alice@example.org/phone")
TIMING = Timing(connect=30, quiet=20, ping=10, backoff=Backoff(1, 64))


class Stream:
    """A connection to nowhere: `script` says how the next ones fare."""

    made: list
    script: list

    def __init__(self, resource, **handlers):
        loop = asyncio.get_running_loop()
        self.boundjid = JID(f"{ACCOUNT.jid.bare}/{resource}")
        self.on_message, self.on_presence = handlers["on_message"], handlers["on_presence"]
        self.on_iq, self.texts = handlers["on_iq"], []
        self.closed = loop.create_future()
        self.sent, self.answers, self.left = [], True, False
        self.at, self.received_at, self.pings = loop.time(), loop.time(), 0
        self.made.append(self)

    async def open(self, limit):
        outcome = self.script.pop(0) if self.script else None
        if outcome == "hangs":
            await asyncio.sleep(limit)
            raise ConnectionFailed("did not answer")
        if callable(outcome):
            await outcome(self)
        elif outcome is not None:
            raise outcome
        self.received_at = asyncio.get_running_loop().time()

    def lose(self, problem=None):
        if not self.closed.done():
            self.closed.set_result(problem or ConnectionFailed("lost"))

    def close(self):
        self.lose(ConnectionFailed("closed"))

    def give_up(self, reason):
        self.lose(ConnectionFailed(reason))

    async def leave(self, limit):
        self.left = True
        self.close()

    def send_element(self, element):
        if self.closed.done():
            raise ConnectionFailed("closed")
        if element.find("{urn:xmpp:ping}ping") is None:
            self.sent.append(element)
            return
        self.pings += 1
        if self.answers:
            asyncio.get_running_loop().call_later(0.01, self.pong, element.get("id"))

    def pong(self, ping):
        if not self.closed.done():
            self.received_at = asyncio.get_running_loop().time()
            self.on_iq(ET.fromstring(f"<iq xmlns='jabber:client' type='result' id='{ping}'/>"))

    def send_text(self, xml):
        self.texts.append(f"<iq xmlns='jabber:client' from='app@example.org/web-1' {xml[3:]}")

    @property
    def bodies(self):
        return [element.findtext("{jabber:client}body") for element in self.sent]


class Listener:
    def __init__(self):
        self.events = []

    def online(self):
        self.events.append("online")

    def offline(self):
        self.events.append("offline")

    def text_received(self, text):
        self.events.append(text.body)
        if text.body == "raise":
            raise ValueError("handler")

    def typing_received(self, sender, state):
        self.events.append((sender, state))

    def presence_received(self, stanza):
        self.events.append((stanza.sender, stanza.type))


@pytest.fixture
async def line(clock):
    """A session and the connections it makes."""

    class Line:
        def __init__(self):
            self.streams, self.script = [], []
            kind = type("Scripted", (Stream,), {"made": self.streams, "script": self.script})
            self.listener = Listener()
            account = replace(ACCOUNT, lines=lambda account: kind)
            self.session = Session(account, self.listener, TIMING)

        def run(self, **options):
            self.running = asyncio.ensure_future(self.session.run(**options))
            return self.running

        @property
        def stream(self):
            return self.streams[-1]

        @property
        def events(self):
            return self.listener.events

    made = Line()
    made.running = None
    yield made
    if made.running is not None and not made.running.done():
        await made.session.stop()
        await made.running
    assert all(stream.closed.done() for stream in made.streams)


class Carrier:
    """Takes every batch."""

    def __init__(self):
        self.taken = []

    def iq_received(self, iq):
        self.taken.append(iq.get("id"))
        return True


async def test_a_batch_that_comes_between_bind_and_online_is_asked_for_again(line):
    """A caller may know the address from before. Nothing is taken by a node that is not yet up."""
    carrier, early = Carrier(), []
    line.session.carry(carrier)

    async def bound_and_not_yet_online(stream):
        early.append(stream.on_iq(batch("jabot-1")))
        early.append(stream.on_iq(ET.fromstring("<iq xmlns='jabber:client' type='get' id='p'/>")))

    def batch(number):
        return ET.fromstring(
            f"<iq xmlns='jabber:client' type='set' id='{number}' from='app@example.org/web-1'>"
            "<frames xmlns='urn:jabot:0'><json xmlns='urn:xmpp:json:0'>[]</json></frames></iq>"
        )

    line.script.append(bound_and_not_yet_online)
    line.run()
    await turns()
    assert early == [True, False]  # the other IQ is not a carrier's business
    assert carrier.taken == []
    answer = read_answer(ET.fromstring(line.stream.texts.pop()))
    assert (answer.batch, answer.condition) == (1, "resource-constraint")
    assert line.stream.texts == []
    assert line.events == ["online"]
    assert line.stream.on_iq(batch("jabot-2"))  # as its sender does after that answer
    assert carrier.taken == ["jabot-2"]
    assert line.stream.texts == []


# --- connecting ---------------------------------------------------------------------------------


async def test_it_connects_and_stops(line):
    running = line.run()
    await turns()
    assert line.session.is_online
    assert line.events == ["online"]
    await line.session.stop()
    await running
    assert line.stream.left
    assert not line.session.is_online
    assert line.events == ["online", "offline"]


async def test_a_lost_connection_is_made_anew_with_the_same_resource(line, clock):
    line.run()
    await turns()
    first = line.session.jid
    line.stream.lose()
    await turns()
    assert line.events == ["online", "offline"]
    assert line.session.jid == first
    await clock.advance(2)
    assert line.events == ["online", "offline", "online"]
    assert line.session.jid == first


async def test_the_pauses_grow_and_shrink_again_after_a_steady_connection(line, clock):
    line.script[:] = [ConnectionFailed("no")] * 8
    line.run()
    await clock.advance(400)
    times = [stream.at - 1000 for stream in line.streams]
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert len(pauses) == 8
    for pause, ceiling in zip(pauses, [1, 2, 4, 8, 16, 32, 64, 64], strict=True):
        assert ceiling / 2 <= pause <= ceiling
    assert line.events == ["online"]
    count = len(line.streams)
    line.stream.lose()  # after minutes: the backoff begins anew
    await clock.advance(1.01)
    assert len(line.streams) == count + 1


async def test_connections_that_break_at_once_do_not_hammer_the_server(line, clock):
    line.run()
    for _ in range(6):
        await clock.advance(100)
        line.stream.lose()
        await turns()
        await clock.advance(0.01)
    steady = len(line.streams)
    for _ in range(100):
        await clock.advance(0.5)
        line.stream.lose()
    assert len(line.streams) - steady < 10


FINAL = [AuthenticationFailed("no"), CertificateError("no"), Replaced("no")]


@pytest.mark.parametrize("problem", FINAL, ids=lambda p: type(p).__name__)
async def test_what_a_person_must_see_to_ends_it_at_once(line, problem):
    line.script[:] = [problem]
    with pytest.raises(type(problem)):
        await line.run()
    assert len(line.streams) == 1


@pytest.mark.parametrize("problem", FINAL, ids=lambda p: type(p).__name__)
async def test_and_also_later(line, clock, problem):
    running = line.run()
    await turns()
    line.stream.lose(problem)
    with pytest.raises(type(problem)):
        await running
    assert line.events == ["online", "offline"]


async def test_an_unknown_host_ends_it_only_at_the_very_first_attempt(line, clock):
    line.script[:] = [UnknownHost("typo")]
    with pytest.raises(UnknownHost):
        await line.run()


async def test_an_unknown_host_later_is_a_resolver_that_is_down(line, clock):
    line.script[:] = [ConnectionFailed("no"), UnknownHost("resolver"), None]
    line.run()
    await clock.advance(10)
    assert line.events == ["online"]
    line.script[:] = [UnknownHost("resolver")]
    line.stream.lose()
    await clock.advance(20)
    assert line.events == ["online", "offline", "online"]


async def test_a_trial_does_not_keep_trying(line):
    line.script[:] = [ConnectionFailed("nobody there")]
    with pytest.raises(ConnectionFailed, match="nobody there"):
        await line.run(keep_trying=False)


async def test_a_server_that_does_not_answer_is_tried_again(line, clock):
    line.script[:] = ["hangs"]
    line.run()
    await clock.advance(32)
    assert line.events == ["online"]


@pytest.mark.parametrize("outcome", ["hangs", ConnectionFailed("no")])
async def test_stopping_while_there_is_no_connection(line, clock, outcome):
    line.script[:] = [outcome]
    running = line.run()
    await turns()
    await line.session.stop()
    await running
    assert clock.now < 1005
    assert line.events == []


async def test_the_password_is_in_no_log(line, clock, caplog):
    line.script[:] = [ConnectionFailed("no")]
    with caplog.at_level(logging.DEBUG):
        line.run()
        await clock.advance(10)
    assert "trying again" in caplog.text
    assert "s3cret" not in caplog.text


def test_each_start_has_a_resource_of_its_own():
    names = {new_resource() for _ in range(20)}
    assert len(names) > 1
    assert all(JID(f"a@b/{name}").resource == name for name in names)


# --- a line that is dead ------------------------------------------------------------------------


async def test_a_silent_server_is_pinged_and_a_dead_line_given_up_within_a_minute(line, clock):
    line.run()
    await clock.advance(100)
    assert line.events == ["online"]
    assert line.stream.pings >= 4
    line.stream.answers = False
    first = line.stream
    await clock.advance(30.1)
    assert first.closed.done()
    assert line.events[:2] == ["online", "offline"]
    await clock.advance(2)
    assert line.session.is_online


async def test_a_server_that_talks_is_not_pinged(line, clock):
    line.run()
    await turns()
    for _ in range(10):
        await clock.advance(15)
        line.stream.received_at = clock.now
    assert line.stream.pings == 0


# --- texts that must arrive ---------------------------------------------------------------------


def text(body):
    return OutgoingText(ALICE, body)


async def test_texts_from_before_the_connection_are_sent_with_it(line, clock):
    line.session.send_text(text("early"))
    line.run()
    await turns()
    assert line.stream.bodies == ["early"]
    await clock.advance(1)
    line.stream.lose()
    await clock.advance(2)
    assert line.stream.bodies == []  # it was confirmed


async def test_what_was_not_confirmed_is_sent_again_in_order_under_its_id(line, clock):
    line.run()
    await turns()
    first = line.stream
    first.answers = False
    for body in ("one", "two"):
        line.session.send_text(text(body))
    await turns()
    first.lose()
    line.session.send_text(text("three"))  # while there is no connection
    await clock.advance(2)
    assert first.bodies == ["one", "two"]
    assert line.stream is not first
    assert line.stream.bodies == ["one", "two", "three"]
    assert [e.get("id") for e in line.stream.sent[:2]] == [e.get("id") for e in first.sent]
    await clock.advance(1)
    line.stream.lose()
    await clock.advance(2)
    assert line.stream.bodies == []


async def test_a_text_is_confirmed_by_a_ping_after_it_and_not_by_one_before(line, clock):
    line.run()
    await turns()
    line.session.send_text(text("one"))
    await turns()
    line.session.send_text(text("two"))  # the ping for the first is under way
    first = line.stream
    await clock.advance(0.015)
    first.lose()
    await clock.advance(2)
    assert line.stream.bodies == ["two"]


async def test_a_burst_of_texts_passes_step_by_step_with_few_pings(line, clock):
    line.run()
    await turns()
    for n in range(1000):
        line.session.send_text(text(str(n)))
    await turns()
    assert 0 < len(line.stream.sent) < 100  # a slow line is not filled for minutes
    await clock.advance(1)
    assert line.stream.pings < 50
    assert line.stream.bodies == [str(n) for n in range(1000)]


async def test_a_large_text_has_the_time_that_a_slow_line_needs(line, clock):
    line.run()
    await turns()
    first = line.stream
    first.answers = False
    line.session.send_text(text("x" * 100_000))
    await clock.advance(100)
    assert not first.closed.done()
    await clock.advance(30)
    assert first.closed.done()


async def test_a_confirmation_that_does_not_come_ends_the_connection(line, clock):
    line.run()
    await turns()
    first = line.stream
    first.answers = False
    line.session.send_text(text("one"))
    await clock.advance(12)
    assert first.closed.done()
    assert line.stream.bodies == ["one"]


async def test_presence_is_not_kept(line, clock):
    assert line.session.send(presence()) is False
    line.run()
    await turns()
    assert line.session.send(presence()) is True
    line.stream.lose()
    assert line.session.send(presence()) is False
    await clock.advance(2)
    assert line.stream.sent == []


async def test_stopping_waits_until_the_last_texts_have_arrived(line, clock):
    running = line.run()
    await turns()
    line.session.send_text(text("bye"))
    await line.session.stop()
    await running
    assert line.stream.pings >= 1
    assert len(line.session._texts) == 0


async def test_stopping_does_not_wait_for_a_dead_line(line, clock, caplog):
    running = line.run()
    await turns()
    line.stream.answers = False
    line.session.send_text(text("bye"))
    await line.session.stop(2)
    await running
    assert clock.now <= 1005
    assert "left with 1 texts" in caplog.text


async def test_a_ping_without_a_connection_fails(line):
    with pytest.raises(ConnectionFailed):
        await line.session.ping(1)
    assert await line.session.features(ALICE) == frozenset()


# --- what comes in ------------------------------------------------------------------------------


def stanza(text):
    from xml.etree import ElementTree as ET

    return next(iter(ET.fromstring(f"<s xmlns='jabber:client'>{text}</s>")))


async def test_stanzas_reach_the_listener(line):
    line.run()
    await turns()
    state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    line.stream.on_message(stanza(f"<message from='{ALICE}'><body>hi</body>{state}</message>"))
    line.stream.on_message(stanza(f"<message from='{ALICE}'>{state}</message>"))
    line.stream.on_message(stanza(f"<message from='{ALICE}'><nothing/></message>"))
    line.stream.on_message(stanza("<message from='@@'><body>x</body></message>"))
    line.stream.on_presence(stanza(f"<presence from='{ALICE}' type='subscribe'/>"))
    line.stream.on_presence(stanza("<presence from='@@'/>"))
    assert line.events == ["online", "hi", (ALICE, "composing"), (ALICE, "subscribe")]


async def test_a_listener_that_raises_is_logged_and_goes_no_further(line, caplog):
    """slixmpp would answer the sender with the exception."""
    line.run()
    await turns()
    line.stream.on_message(stanza(f"<message from='{ALICE}'><body>raise</body></message>"))
    line.stream.on_message(stanza(f"<message from='{ALICE}'><body>next</body></message>"))
    assert line.events[1:] == ["raise", "next"]
    assert "handling a stanza failed" in caplog.text
