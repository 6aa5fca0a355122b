"""The contact list as the server tells it, and how it is changed."""

from xml.etree import ElementTree as ET

import pytest

from jabot.jid import JID
from jabot.xmpp.roster import Contact, contacts, keep, read_contacts, remove

BOT = JID("bot@example.org")


class Requests:
    """Answers each question with nothing."""

    def __init__(self):
        self.answer, self.asked = ET.Element("empty"), []

    async def ask(self, kind, to, payload):
        self.asked.append((kind, to, ET.tostring(payload, encoding="unicode")))
        return self.answer


def items(text):
    return ET.fromstring(f"<query xmlns='jabber:iq:roster'>{text}</query>")


@pytest.mark.parametrize(
    ("attributes", "sees_you", "you_see", "asked"),
    [
        ("", False, False, False),
        ("subscription='none'", False, False, False),
        ("subscription='none' ask='subscribe'", False, False, True),
        ("subscription='to'", False, True, False),
        ("subscription='from'", True, False, False),
        ("subscription='from' ask='subscribe'", True, False, True),
        ("subscription='both'", True, True, False),
    ],
)
def test_who_sees_whom(attributes, sees_you, you_see, asked):
    (contact,) = read_contacts(items(f"<item jid='bot@example.org' {attributes}/>"))
    assert contact == Contact(BOT, sees_you=sees_you, you_see=you_see, asked=asked)


def test_names_and_groups_and_what_cannot_be_read():
    listed = read_contacts(
        items(
            "<item jid='@'/><item/><item jid=''/>"
            "<item jid='Bot@example.org/home' name='The gym'>"
            "<group>bots</group><group/><group>work</group></item>"
            "<item jid='irc.example.org' subscription='both'/>"
        )
    )
    assert listed == [
        Contact(BOT, "The gym", groups=("bots", "work")),
        Contact(JID("irc.example.org"), sees_you=True, you_see=True),
    ]
    assert [contact.is_account for contact in listed] == [True, False]


async def test_a_server_that_has_no_list():
    assert await contacts(Requests()) == []


async def test_what_is_changed_keeps_name_and_groups_and_asks_for_no_subscription():
    requests = Requests()
    await keep(requests, Contact(BOT, "<gym>\0", sees_you=True, groups=("bots", "work")))
    await keep(requests, Contact(JID("bot@example.org/home")))
    await remove(requests, JID("bot@example.org/home"))
    assert {(kind, to) for kind, to, _ in requests.asked} == {("set", None)}
    named, plain, gone = (ET.fromstring(text)[0] for _, _, text in requests.asked)
    assert named.attrib == {"jid": "bot@example.org", "name": "<gym>\ufffd"}
    assert [group.text for group in named] == ["bots", "work"]
    assert plain.attrib == {"jid": "bot@example.org"}
    assert gone.attrib == {"jid": "bot@example.org", "subscription": "remove"}
