"""What is said to rooms, and what they say (XEP-0045)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from jabot.jid import JID, InvalidJID
from jabot.xmpp.data_forms import DATA, submit_form
from jabot.xmpp.disco import read_features
from jabot.xmpp.stanzas import JABOT, MUC_USER, presence

MUC: Final = "http://jabber.org/protocol/muc"
OWNER: Final = f"{MUC}#owner"
ADMIN: Final = f"{MUC}#admin"

# Section 15.6.2: what a room says of a presence.
SELF: Final = 110
NEW_ROOM: Final = 201
BANNED: Final = 301
RENAMED: Final = 303
KICKED: Final = 307
NOT_AFFILIATED: Final = frozenset({321, 322})  # a member no more; or it is for members alone now
SHUT_DOWN: Final = 332

MOST_OCCUPANTS: Final = "muc#roomconfig_maxusers"

# What a node bears in a room.
NODE: Final[Mapping[str, str]] = {}
QUEUE: Final[Mapping[str, str]] = {"queue": "1"}


@dataclass(frozen=True, slots=True)
class RoomNews:
    """What a room says of one occupant, beside the presence."""

    jid: JID | None  # the real address; None in a room that hides it
    affiliation: str
    role: str
    codes: frozenset[int]
    nick: str = ""  # the new one, after `RENAMED`
    reason: str = ""
    destroyed: bool = False  # the room itself is no more


def enter(room: JID, nick: str, mark: Mapping[str, str] | None) -> ET.Element:
    """The presence that enters a room, or creates it. Nothing that was said before is wanted: what
    waited is never run. A node bears a mark, and tells nothing of its state: everybody in the room
    sees it."""
    stanza = presence(to=JID(f"{room.bare}/{nick}"))
    x = ET.SubElement(stanza, f"{{{MUC}}}x")
    ET.SubElement(x, f"{{{MUC}}}history", {"maxstanzas": "0"})
    if mark is not None:
        ET.SubElement(stanza, f"{{{JABOT}}}node", dict(mark))
    return stanza


def leave(room: JID, nick: str, status: str | None = None) -> ET.Element:
    """The presence that leaves a room."""
    return presence(to=JID(f"{room.bare}/{nick}"), type="unavailable", status=status)


def read_news(x: ET.Element) -> RoomNews:
    """What a room says in a presence."""
    item = x.find(f"{{{MUC_USER}}}item")
    codes = (status.get("code", "") for status in x.iterfind(f"{{{MUC_USER}}}status"))
    gone = x.find(f"{{{MUC_USER}}}destroy")
    reason = (gone if gone is not None else x).findtext(f".//{{{MUC_USER}}}reason", "")
    attributes = item.attrib if item is not None else {}
    return RoomNews(
        _address(attributes.get("jid")),
        attributes.get("affiliation", "none"),
        attributes.get("role", "none"),
        frozenset(int(code) for code in codes if code.isdecimal()),
        attributes.get("nick", ""),
        reason or "",
        gone is not None,
    )


def shows_addresses(answer: ET.Element) -> bool:
    """Whether everybody in a room sees the real addresses of all."""
    return "muc_nonanonymous" in read_features(answer)


def configuration(fields: Mapping[str, str]) -> ET.Element:
    """The form that an owner fills in for a new room (section 10.1.3)."""
    query = ET.Element(f"{{{OWNER}}}query")
    query.append(submit_form(f"{MUC}#roomconfig", fields))
    return query


def configuration_wanted() -> ET.Element:
    """Asks an owner's form for what can be configured."""
    return ET.Element(f"{{{OWNER}}}query")


def offered_fields(form: ET.Element) -> dict[str, list[str]]:
    """The fields that a form has, and the values that there are to choose from."""
    return {
        field.get("var", ""): [
            option.findtext(f"{{{DATA}}}value", "")
            for option in field.iterfind(f"{{{DATA}}}option")
        ]
        for field in form.iter(f"{{{DATA}}}field")
    }


def most_occupants(offered: Mapping[str, list[str]]) -> dict[str, str]:
    """The most that a service lets a room hold, where it has that chosen (ejabberd: a room holds
    200 else, also where the service would take more)."""
    choices = offered.get(MOST_OCCUPANTS, ())
    numbers = [int(choice) for choice in choices if choice.isascii() and choice.isdecimal()]
    if "none" in choices:  # no limit
        return {MOST_OCCUPANTS: "none"}
    return {MOST_OCCUPANTS: str(max(numbers))} if numbers else {}


def admit(members: Iterable[str]) -> ET.Element:
    """Makes addresses members of a room (section 9.3)."""
    query = ET.Element(f"{{{ADMIN}}}query")
    for member in members:
        ET.SubElement(query, f"{{{ADMIN}}}item", {"affiliation": "member", "jid": member})
    return query


def _address(text: str | None) -> JID | None:
    try:
        return JID(text) if text else None
    except InvalidJID:
        return None
