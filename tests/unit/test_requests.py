"""What is asked of servers and programs, and what they ask."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from jabot.errors import ConnectionFailed, StanzaError
from jabot.jid import JID
from jabot.xmpp.requests import Requests
from unit.clock import turns

OWN = JID("bot@example.org/host-1")
ROOM = JID("fleet@conference.example.org")
PING = "{urn:xmpp:ping}ping"


class Line:
    """What was sent, and what comes back."""

    def __init__(self):
        self.sent, self.is_up = [], True
        self.requests = Requests(lambda: OWN, self.send)

    def send(self, stanza):
        if self.is_up:
            self.sent.append(stanza)
        return self.is_up

    async def asks(self, to=ROOM, limit=10.0):
        asking = asyncio.ensure_future(self.requests.ask("get", to, ET.Element(PING), limit))
        await turns()
        return asking

    def hears(self, sender, kind="result", payload="", stanza_id=None):
        stanza_id = stanza_id or self.sent[-1].get("id")
        sender = f" from='{sender}'" if sender else ""
        return self.requests.received(
            ET.fromstring(
                f"<iq xmlns='jabber:client' type='{kind}' id='{stanza_id}'{sender}>{payload}</iq>"
            )
        )


@pytest.fixture
async def line():
    return Line()


def condition_of(stanza):
    error = stanza.find("{jabber:client}error")
    return error.get("type"), error[0].tag.partition("}")[2]


async def test_an_answer_comes_to_who_asked(line):
    first, second = await line.asks(), await line.asks()
    one, two = (stanza.get("id") for stanza in line.sent)
    assert one != two
    assert line.hears(ROOM, payload="<b/>", stanza_id=two)
    assert line.hears(ROOM, stanza_id=one)
    assert (await first).get("id") == one and not len(await first)
    assert (await second).tag == "{jabber:client}b"
    assert not line.hears(ROOM, stanza_id=one)


@pytest.mark.parametrize(
    ("to", "sender"),
    [(None, ""), (None, OWN.bare), (JID(OWN.domain), ""), (JID(OWN.domain), OWN.domain)],
)
async def test_a_server_may_leave_out_who_it_is(line, to, sender):
    asking = await line.asks(to)
    assert line.sent[-1].get("to") == (str(to) if to else None)
    assert line.hears(sender)
    assert len(await asking) == 0


@pytest.mark.parametrize("sender", ["", "mallory@example.org/x", f"{ROOM}/somebody", OWN.domain])
async def test_nobody_else_can_answer(line, sender):
    asking = await line.asks()
    assert not line.hears(sender)
    assert not asking.done()
    asking.cancel()


async def test_an_error_says_why(line):
    asking = await line.asks()
    assert line.hears(
        ROOM,
        "error",
        "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>members only</text></error>",
    )
    with pytest.raises(StanzaError, match="forbidden: members only") as raised:
        await asking
    assert raised.value.condition == "forbidden"


async def test_no_answer_in_time(line):
    asking = await line.asks(limit=0.01)
    with pytest.raises(TimeoutError):
        await asking
    assert not line.hears(ROOM)


async def test_no_answer_comes_on_a_lost_connection(line):
    asking = await line.asks()
    line.requests.lost(ConnectionFailed("the connection was lost"))
    with pytest.raises(ConnectionFailed, match="lost"):
        await asking
    line.is_up = False
    with pytest.raises(ConnectionFailed, match="not connected"):
        await line.requests.ask("get", ROOM, ET.Element(PING))


async def test_what_others_ask_is_answered_by_who_serves_it(line):
    async def later(question):
        return ET.Element("late", {"for": str(question.sender), "kind": question.kind})

    line.requests.serve("{a}now", lambda question: None)
    line.requests.serve("{a}later", later)
    assert line.hears("ann@example.org/web", "get", "<now xmlns='a'/>", "1")
    assert line.hears("ann@example.org/web", "set", "<later xmlns='a'/>", "2")
    await turns()
    now, late = line.sent
    assert (now.get("type"), now.get("id"), now.get("to")) == ("result", "1", "ann@example.org/web")
    assert dict(late[0].attrib) == {"for": "ann@example.org/web", "kind": "set"}
    assert not line.hears("ann@example.org/web", "get", "<other xmlns='a'/>", "3")
    assert not line.hears("ann@example.org/web", "odd", "<now xmlns='a'/>", "4")


async def test_a_refusal_and_a_mistake(line, caplog):
    def refuse(question):
        raise StanzaError("item-not-found", "no such node")

    async def fall(question):
        raise ValueError("ouch")

    line.requests.serve("{a}refuse", refuse)
    line.requests.serve("{a}fall", fall)
    assert line.hears("ann@example.org/web", "get", "<refuse xmlns='a'/>", "1")
    assert line.hears("ann@example.org/web", "get", "<fall xmlns='a'/>", "2")
    await turns()
    assert [condition_of(stanza) for stanza in line.sent] == [
        ("cancel", "item-not-found"),
        ("cancel", "internal-server-error"),
    ]
    assert "no such node" in ET.tostring(line.sent[0], "unicode")
    assert "ouch" not in ET.tostring(line.sent[1], "unicode")
    assert "ValueError: ouch" in caplog.text


async def test_too_many_questions_at_once(line):
    never = asyncio.Event()
    line.requests.serve("{a}wait", lambda question: never.wait())
    for number in range(101):
        assert line.hears("ann@example.org/web", "get", "<wait xmlns='a'/>", str(number))
    assert [condition_of(stanza) for stanza in line.sent] == [("wait", "resource-constraint")]
    line.requests.lost(ConnectionFailed("lost"))
    await turns()
