"""What is said to a publish-subscribe service, and what it says (XEP-0060, and XEP-0163)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from jabot.xmpp.data_forms import DATA, submit_form
from jabot.xmpp.disco import DISCO_ITEMS, read_identities
from jabot.xmpp.stanzas import JABOT

PUBSUB: Final = "http://jabber.org/protocol/pubsub"
OWNER: Final = f"{PUBSUB}#owner"
EVENT: Final = f"{PUBSUB}#event"
RSM: Final = "http://jabber.org/protocol/rsm"
JSON: Final = "urn:xmpp:json:0"  # XEP-0335
_SLOTTED: Final = f"{{{JABOT}}}event"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was published."""

    id: str
    text: str  # JSON
    publisher: str = ""  # as the service says; empty when it does not
    slot: str = ""
    """What it takes the place of: the topic keeps one of each slot. Empty: of none."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a service tells its subscribers."""

    service: str
    topic: str
    items: list[Item]
    is_over: bool = False
    """Whether there is nothing more to come: the topic, or the subscription, was ended."""


def create(topic: str, settings: Mapping[str, str]) -> ET.Element:
    """Makes a topic (section 8.1)."""
    query = _about("create", topic)
    ET.SubElement(query, f"{{{PUBSUB}}}configure").append(_form("node_config", settings))
    return query


def configure(topic: str, settings: Mapping[str, str]) -> ET.Element:
    """Changes the settings of one's own topic (section 8.2)."""
    query = of_owner("configure", topic)
    query[0].append(_form("node_config", settings))
    return query


def affiliate(topic: str, changed: Mapping[str, str]) -> ET.Element:
    """Says who may do what with one's own topic (section 8.9.2), by address."""
    query = of_owner("affiliations", topic)
    for address, affiliation in changed.items():
        attributes = {"jid": address, "affiliation": affiliation}
        ET.SubElement(query[0], f"{{{OWNER}}}affiliation", attributes)
    return query


def of_owner(verb: str, topic: str) -> ET.Element:
    """Asks for the settings (`configure`, section 8.2.1) of one's own topic, for who may do what
    with it (`affiliations`, section 8.9.1), or who is subscribed (`subscriptions`, section 8.8.1);
    or deletes it with all subscriptions (`delete`, section 8.4)."""
    query = ET.Element(f"{{{OWNER}}}pubsub")
    ET.SubElement(query, f"{{{OWNER}}}{verb}", {"node": topic})
    return query


def unsubscribe(topic: str, addresses: Iterable[str]) -> ET.Element:
    """Ends subscriptions to one's own topic (section 8.8.2)."""
    query = of_owner("subscriptions", topic)
    for address in addresses:
        ended = {"jid": address, "subscription": "none"}
        ET.SubElement(query[0], f"{{{OWNER}}}subscription", ended)
    return query


def publish(topic: str, published: Item, conditions: Mapping[str, str]) -> ET.Element:
    """Publishes JSON (section 7.1), unless the topic has other settings (section 7.1.5).

    What has a slot is the item of that name, and says its own id within.
    """
    query = _about("publish", topic)
    place = ET.SubElement(query[0], f"{{{PUBSUB}}}item", {"id": published.slot or published.id})
    if published.slot:
        place = ET.SubElement(place, _SLOTTED, {"id": published.id})
    ET.SubElement(place, f"{{{JSON}}}json").text = published.text
    if conditions:
        options = ET.SubElement(query, f"{{{PUBSUB}}}publish-options")
        options.append(_form("publish-options", conditions))
    return query


def retract(topic: str, name: str) -> ET.Element:
    """Removes an item (section 7.2)."""
    query = _about("retract", topic)
    ET.SubElement(query[0], f"{{{PUBSUB}}}item", {"id": name})
    return query


def subscribe(topic: str, address: str) -> ET.Element:
    """Has an address told of what is published (section 6.1)."""
    return _about("subscribe", topic, jid=address)


def items(topic: str, most: int, before: str | None) -> ET.Element:
    """Asks for what is kept, the newest so many (section 6.5), or so many before an item."""
    query = _about("items", topic, max_items=str(most))
    if before is not None:
        page = ET.SubElement(query, f"{{{RSM}}}set")
        ET.SubElement(page, f"{{{RSM}}}before").text = before
    return query


def topics() -> ET.Element:
    """Asks a service for its topics (section 5.2)."""
    return ET.Element(f"{{{DISCO_ITEMS}}}query")


def read_topics(answer: ET.Element) -> list[str]:
    """The topics that a service has."""
    found = answer.iterfind(f"{{{DISCO_ITEMS}}}item")
    return [item.get("node", "") for item in found if item.get("node")]


def read_parts(answer: ET.Element) -> list[str]:
    """The addresses of the services that a server has."""
    found = answer.iterfind(f"{{{DISCO_ITEMS}}}item")
    return [item.get("jid", "") for item in found if item.get("jid") and not item.get("node")]


def is_service(answer: ET.Element) -> bool:
    """Whether who was asked is a publish-subscribe service."""
    return ("pubsub", "service") in read_identities(answer)


def read_items(answer: ET.Element) -> list[Item]:
    """What is kept of a topic. What is no JSON is somebody else's, and left out."""
    return _items(answer.iter(f"{{{PUBSUB}}}item"))


def read_before(answer: ET.Element) -> str | None:
    """Where an answer begins that is not all: the id of an item (XEP-0059 section 2.5)."""
    first = answer.find(f"{{{RSM}}}set/{{{RSM}}}first")
    return None if first is None or first.get("index", "0") == "0" else first.text


def read_setting(answer: ET.Element, name: str) -> str:
    """One of the settings of a topic; empty when it is not told."""
    for field in answer.iter(f"{{{DATA}}}field"):
        if field.get("var") == f"pubsub#{name}":
            return field.findtext(f"{{{DATA}}}value", "")
    return ""


def read_held(answer: ET.Element, what: str) -> dict[str, str]:
    """The `affiliation` or `subscription` of each address, as an owner is told."""
    found = answer.iter(f"{{{OWNER}}}{what}")
    return {each.get("jid", ""): each.get(what, "") for each in found if each.get("jid")}


def read_notification(xml: ET.Element) -> Notification | None:
    """What a message tells of a topic; None when it is nothing that concerns who follows it."""
    event = xml.find(f"{{{EVENT}}}event")
    if event is None or xml.get("type") == "error":
        return None
    for end in ("delete", "subscription"):
        ended = event.find(f"{{{EVENT}}}{end}")
        if ended is not None and ended.get("subscription", "none") == "none":
            return Notification(xml.get("from", ""), ended.get("node", ""), [], is_over=True)
    found = event.find(f"{{{EVENT}}}items")
    if found is None:
        return None
    read = _items(found.iterfind(f"{{{EVENT}}}item"))
    return Notification(xml.get("from", ""), found.get("node", ""), read)


def _items(elements: Iterable[ET.Element]) -> list[Item]:
    found = []
    for element in elements:
        name, slotted = element.get("id", ""), element.find(_SLOTTED)
        text = (element if slotted is None else slotted).findtext(f"{{{JSON}}}json")
        if text is None:
            continue
        own, slot = (name, "") if slotted is None else (slotted.get("id", ""), name)
        found.append(Item(own, text, element.get("publisher", ""), slot))
    return found


def _about(verb: str, topic: str, **attributes: str) -> ET.Element:
    query = ET.Element(f"{{{PUBSUB}}}pubsub")
    ET.SubElement(query, f"{{{PUBSUB}}}{verb}", {"node": topic, **attributes})
    return query


def _form(kind: str, settings: Mapping[str, str]) -> ET.Element:
    fields = {f"pubsub#{name}": value for name, value in settings.items()}
    return submit_form(f"{PUBSUB}#{kind}", fields)
