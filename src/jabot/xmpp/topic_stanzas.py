"""What is said to a publish-subscribe service, and what it says (XEP-0060, and XEP-0163)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from jabot.xmpp.data_forms import submit_form
from jabot.xmpp.disco import DISCO_INFO, DISCO_ITEMS

PUBSUB: Final = "http://jabber.org/protocol/pubsub"
OWNER: Final = f"{PUBSUB}#owner"
EVENT: Final = f"{PUBSUB}#event"
JSON: Final = "urn:xmpp:json:0"  # XEP-0335


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was published."""

    id: str
    text: str  # JSON
    publisher: str  # as the service says; empty when it does not


@dataclass(frozen=True, slots=True)
class Notification:
    """What a service tells its subscribers."""

    service: str
    topic: str
    items: list[Item]


def create(topic: str, settings: Mapping[str, str]) -> ET.Element:
    """Makes a topic (section 8.1)."""
    query = ET.Element(f"{{{PUBSUB}}}pubsub")
    ET.SubElement(query, f"{{{PUBSUB}}}create", {"node": topic})
    ET.SubElement(query, f"{{{PUBSUB}}}configure").append(_form(settings))
    return query


def configure(topic: str, settings: Mapping[str, str]) -> ET.Element:
    """Changes the settings of one's own topic (section 8.2)."""
    query = ET.Element(f"{{{OWNER}}}pubsub")
    ET.SubElement(query, f"{{{OWNER}}}configure", {"node": topic}).append(_form(settings))
    return query


def affiliate(topic: str, affiliations: Mapping[str, str]) -> ET.Element:
    """Says who may do what with one's own topic (section 8.9.2), by address."""
    query = ET.Element(f"{{{OWNER}}}pubsub")
    inner = ET.SubElement(query, f"{{{OWNER}}}affiliations", {"node": topic})
    for address, affiliation in affiliations.items():
        attributes = {"jid": address, "affiliation": affiliation}
        ET.SubElement(inner, f"{{{OWNER}}}affiliation", attributes)
    return query


def publish(topic: str, item_id: str, text: str) -> ET.Element:
    """Publishes JSON (section 7.1)."""
    query = ET.Element(f"{{{PUBSUB}}}pubsub")
    inner = ET.SubElement(query, f"{{{PUBSUB}}}publish", {"node": topic})
    item = ET.SubElement(inner, f"{{{PUBSUB}}}item", {"id": item_id})
    ET.SubElement(item, f"{{{JSON}}}json").text = text
    return query


def subscribe(topic: str, address: str) -> ET.Element:
    """Has an address told of what is published (section 6.1)."""
    return _about("subscribe", topic, jid=address)


def items(topic: str, most: int) -> ET.Element:
    """Asks for what is kept, the newest so many (section 6.5)."""
    return _about("items", topic, max_items=str(most))


def topics() -> ET.Element:
    """Asks a service for its topics (section 5.2)."""
    return ET.Element(f"{{{DISCO_ITEMS}}}query")


def read_topics(answer: ET.Element | None) -> list[str]:
    """The topics that a service has."""
    found = () if answer is None else answer.iterfind(f"{{{DISCO_ITEMS}}}item")
    return [item.get("node", "") for item in found if item.get("node")]


def read_parts(answer: ET.Element | None) -> list[str]:
    """The addresses of the services that a server has."""
    found = () if answer is None else answer.iterfind(f"{{{DISCO_ITEMS}}}item")
    return [item.get("jid", "") for item in found if item.get("jid") and not item.get("node")]


def is_service(answer: ET.Element | None) -> bool:
    """Whether who was asked is a publish-subscribe service."""
    found = () if answer is None else answer.iterfind(f"{{{DISCO_INFO}}}identity")
    return any((each.get("category"), each.get("type")) == ("pubsub", "service") for each in found)


def read_items(answer: ET.Element | None) -> list[Item]:
    """What is kept of a topic. What is no JSON is somebody else's, and left out."""
    return [] if answer is None else _items(answer.iterfind(f".//{{{PUBSUB}}}item"), PUBSUB)


def read_notification(xml: ET.Element) -> Notification | None:
    """What a message tells of a topic; None when it tells of nothing published."""
    found = xml.find(f"{{{EVENT}}}event/{{{EVENT}}}items")
    if found is None or xml.get("type") == "error":
        return None
    read = _items(found.iterfind(f"{{{EVENT}}}item"), EVENT)
    return Notification(xml.get("from", ""), found.get("node", ""), read)


def _items(elements: Iterable[ET.Element], namespace: str) -> list[Item]:
    return [
        Item(element.get("id", ""), text, element.get("publisher", ""))
        for element in elements
        if element.tag == f"{{{namespace}}}item"
        and (text := element.findtext(f"{{{JSON}}}json")) is not None
    ]


def _about(verb: str, topic: str, **attributes: str) -> ET.Element:
    query = ET.Element(f"{{{PUBSUB}}}pubsub")
    ET.SubElement(query, f"{{{PUBSUB}}}{verb}", {"node": topic, **attributes})
    return query


def _form(settings: Mapping[str, str]) -> ET.Element:
    fields = {f"pubsub#{name}": value for name, value in settings.items()}
    return submit_form(f"{PUBSUB}#node_config", fields)
