"""What a session says that it is, and to whom."""

from xml.etree import ElementTree as ET

import pytest

from jabot.errors import StanzaError
from jabot.jid import JID
from jabot.xmpp.disco import COMMANDS, DISCO_INFO, DISCO_ITEMS, Disco, read_features
from jabot.xmpp.requests import Question

OWN = JID("bot@localhost/host-1")
ALICE = JID("alice@localhost/phone")
EVE = JID("eve@evil.example/x")
VERSION = "jabber:iq:version"


class Shelf:
    def knows(self, asker):
        return asker == ALICE

    def commands(self, asker):
        return {"lift": "lift: Lift something heavy.", "status": "Status"}

    def tasks(self, asker):
        return ["lift"]


class House:
    """Keeps who answers what, and asks them."""

    def __init__(self):
        self.handlers = {}
        self.disco = Disco(self, ("urn:example:own",))

    def serve(self, tag, handler):
        self.handlers[tag] = handler

    def ask(self, asker, namespace, node=None, name="query"):
        payload = ET.Element(f"{{{namespace}}}{name}", {"node": node} if node else {})
        return self.handlers[payload.tag](Question(asker, OWN, "get", payload))

    def refused(self, *question):
        with pytest.raises(StanzaError) as refusal:
            self.ask(*question)
        return refusal.value.condition


@pytest.fixture
def house():
    made = House()
    made.disco.offer(Shelf())
    return made


def identities(answer):
    found = answer.iterfind(f"{{{DISCO_INFO}}}identity")
    return {(each.get("category"), each.get("type")) for each in found}


def items(answer):
    return [(each.get("jid"), each.get("node")) for each in answer]


def test_a_program_that_offers_nothing_is_a_bot():
    house = House()
    answer = house.ask(EVE, DISCO_INFO)
    assert identities(answer) == {("client", "bot")}
    assert "urn:example:own" in read_features(answer)
    assert COMMANDS not in read_features(answer)
    assert items(house.ask(ALICE, DISCO_ITEMS)) == []
    assert house.refused(ALICE, VERSION) == "service-unavailable"
    assert house.ask(JID("bot@localhost/other"), VERSION) is not None


def test_a_stranger_learns_what_it_is_and_no_more(house):
    answer = house.ask(EVE, DISCO_INFO)
    assert identities(answer) == {("automation", "command-list"), ("client", "bot")}
    assert not [each for each in answer if each.tag.endswith("}x")]
    assert items(house.ask(EVE, DISCO_ITEMS)) == []
    assert items(house.ask(EVE, DISCO_ITEMS, COMMANDS)) == []
    for node in (COMMANDS, "lift", "nothing"):
        assert house.refused(EVE, DISCO_INFO, node) == "item-not-found"
    assert house.refused(EVE, VERSION) == "service-unavailable"


def test_who_has_a_right_finds_version_tasks_and_commands(house):
    text = ET.tostring(house.ask(ALICE, DISCO_INFO)).decode()
    assert "urn:xmpp:dataforms:softwareinfo" in text
    assert ">lift<" in text
    assert items(house.ask(ALICE, DISCO_ITEMS)) == [(str(OWN), COMMANDS)]
    found = items(house.ask(ALICE, DISCO_ITEMS, COMMANDS))
    assert found == [(str(OWN), "lift"), (str(OWN), "status")]
    assert identities(house.ask(ALICE, DISCO_INFO, COMMANDS)) == {("automation", "command-list")}
    assert identities(house.ask(ALICE, DISCO_INFO, "lift")) == {("automation", "command-node")}
    assert house.refused(ALICE, DISCO_INFO, "nothing") == "item-not-found"
    assert house.ask(ALICE, VERSION)[0].text == "jabot"


def test_the_hash_is_of_what_everybody_is_told(house):
    told = house.disco.capabilities()
    node = f"{told.get('node')}#{told.get('ver')}"
    for asker in (ALICE, EVE):
        answer = house.ask(asker, DISCO_INFO, node)
        assert answer.get("node") == node
        assert read_features(answer) == read_features(house.ask(EVE, DISCO_INFO))
        assert not [each for each in answer if each.tag.endswith("}x")]
    assert House().disco.capabilities().get("ver") != told.get("ver")
