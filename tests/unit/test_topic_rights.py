"""Rights to a topic that are taken, at a service that is made up, over a crash at any moment."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from jabot.errors import ConnectionFailed, StanzaError
from jabot.jid import JID
from jabot.xmpp.data_forms import DATA
from jabot.xmpp.topic_stanzas import OWNER, PUBSUB
from jabot.xmpp.topics import Topics, TopicSettings

OWN = JID("bot@localhost/1")
OLD, NEW = "old@localhost", "new@localhost"
TOPIC = "state"


class Service:
    """One topic of an account's own, and who may what. Unless it `can_list`, it says of nobody that
    they are subscribed, and ends no subscription."""

    def __init__(self, *, can_list, access="whitelist"):
        self.jid, self.requests, self.can_list = OWN, self, can_list
        self.access, self.is_there = access, True
        self.affiliations = {OWN.bare: "owner"}  # what is open needs no members
        self.subscribed = {OWN.bare, OLD}
        if access == "whitelist":
            self.affiliations[OLD] = "member"
        self.asked = []
        self.breaks_before = None  # the question at which the connection is lost
        self.on_delete = lambda: None

    async def ask(self, kind, to, payload):
        if len(self.asked) == self.breaks_before:
            raise ConnectionFailed("the connection was lost")
        await asyncio.sleep(0)
        inner = payload[0]
        verb = inner.tag.partition("}")[2]
        self.asked.append(verb)
        if verb == "create":
            return self.create(payload)
        if not self.is_there:
            raise StanzaError("item-not-found")
        return getattr(self, f"{kind}_{verb}")(inner)

    def create(self, payload):
        if self.is_there:
            raise StanzaError("conflict")
        self.is_there = True
        self.affiliations, self.subscribed = {OWN.bare: "owner"}, set()
        self.set_configure(payload.find(f"{{{PUBSUB}}}configure"))

    def set_delete(self, inner):
        self.is_there = False
        self.on_delete()

    def set_configure(self, inner):
        for field in inner.iter(f"{{{DATA}}}field"):
            if field.get("var") == "pubsub#access_model":
                self.access = field.findtext(f"{{{DATA}}}value")

    def get_configure(self, inner):
        form = ET.Element(f"{{{DATA}}}x")
        field = ET.SubElement(form, f"{{{DATA}}}field", {"var": "pubsub#access_model"})
        ET.SubElement(field, f"{{{DATA}}}value").text = self.access
        return form

    def get_affiliations(self, inner):
        return self.held("affiliation", self.affiliations)

    def set_affiliations(self, inner):
        for each in inner:
            self.affiliations[each.get("jid")] = each.get("affiliation")

    def get_subscriptions(self, inner):
        if not self.can_list:
            raise StanzaError("feature-not-implemented")
        return self.held("subscription", dict.fromkeys(self.subscribed, "subscribed"))

    def set_subscriptions(self, inner):
        assert self.can_list
        self.subscribed -= {each.get("jid") for each in inner}

    def held(self, what, values):
        found = ET.Element(f"{{{OWNER}}}{what}s")
        for address, value in values.items():
            ET.SubElement(found, f"{{{OWNER}}}{what}", {"jid": address, what: value})
        return found

    def may(self, who):
        return self.affiliations.get(who) == "member"


async def start(service, *subscribers):
    settings = TopicSettings(subscribers=subscribers)
    assert await Topics(service).create(TOPIC, settings, OWN.bare, change=True)


@pytest.mark.parametrize("can_list", [True, False])
@pytest.mark.parametrize("access", ["whitelist", "open"])
@pytest.mark.parametrize("crash", range(10))
async def test_who_loses_a_right_hears_nothing_more_though_the_program_crashed(
    can_list, access, crash
):
    service = Service(can_list=can_list, access=access)
    service.breaks_before = crash
    try:
        await start(service, NEW)
    except ConnectionFailed:
        service.breaks_before = None
        await start(service, NEW)
    assert service.is_there
    assert service.access == "whitelist"
    assert (service.may(OLD), service.may(NEW)) == (False, True)
    assert OLD not in service.subscribed


@pytest.mark.parametrize("can_list", [True, False])
async def test_who_keeps_the_rights_is_told_on(can_list):
    service = Service(can_list=can_list)
    await start(service, OLD, NEW)
    assert (service.may(OLD), service.may(NEW)) == (True, True)
    assert OLD in service.subscribed
    assert "delete" not in service.asked


async def test_another_program_publishes_while_the_topic_is_made_anew():
    service = Service(can_list=False)

    def publish():  # it made one as the service makes them
        service.is_there, service.access = True, "presence"
        service.affiliations, service.subscribed = {OWN.bare: "owner"}, set()

    service.on_delete = publish
    await start(service, NEW)
    assert (service.access, service.may(NEW)) == ("whitelist", True)
