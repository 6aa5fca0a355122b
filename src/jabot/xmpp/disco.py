"""What a session says that it is: service discovery (XEP-0030) and what goes with it.

The hash of what everybody may know is in the presence (XEP-0115). Those who have a right learn the
version (XEP-0092, and XEP-0232 in the form of XEP-0128), the tasks, and the commands (XEP-0050).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final, Protocol
from xml.etree import ElementTree as ET

from jabot.errors import StanzaError
from jabot.jid import JID
from jabot.xmpp.data_forms import DATA, Field, data_form
from jabot.xmpp.requests import Question, Requests
from jabot.xmpp.stanzas import JABOT

DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"
COMMANDS: Final = "http://jabber.org/protocol/commands"
_CAPS: Final = "http://jabber.org/protocol/caps"
PING: Final = "{urn:xmpp:ping}ping"  # XEP-0199
_VERSION: Final = "jabber:iq:version"  # XEP-0092
_SOFTWARE: Final = "urn:xmpp:dataforms:softwareinfo"  # XEP-0232
_PROGRAM: Final = ("client", "bot", "jabot")  # category, type, name
_NODE: Final = ("automation", "command-list", "jabot")


class Shelf(Protocol):
    """What there is to find for those who have a right."""

    def knows(self, asker: JID) -> bool:
        """Whether somebody has any right here."""

    def commands(self, asker: JID) -> Mapping[str, str]:
        """The commands that somebody may give, and how each is called."""

    def tasks(self, asker: JID) -> list[str]:
        """The tasks that somebody may run."""


class Disco:
    """Answers who asks a session what it is; `features` are what it can besides."""

    def __init__(self, requests: Requests, features: tuple[str, ...] = ()) -> None:
        self._features = {DISCO_INFO, DISCO_ITEMS, _CAPS, "urn:xmpp:ping", _VERSION, *features}
        self._identities = [_PROGRAM]
        self._shelf: Shelf | None = None
        requests.serve(f"{{{DISCO_INFO}}}query", self._info)
        requests.serve(f"{{{DISCO_ITEMS}}}query", self._items)
        requests.serve(f"{{{_VERSION}}}query", self._version)
        requests.serve(PING, lambda question: None)

    def offer(self, shelf: Shelf) -> None:
        """Have it found as something that does what it is told."""
        self._shelf = shelf
        self._identities = [_NODE, _PROGRAM]
        self._features |= {COMMANDS, DATA}

    def capabilities(self) -> ET.Element:
        """What stands in a presence: a hash of what this session is (XEP-0115)."""
        attributes = {"hash": "sha-1", "node": JABOT, "ver": self._ver}
        return ET.Element(f"{{{_CAPS}}}c", attributes)

    # -- within -------------------------------------------------------------------------------

    @property
    def _ver(self) -> str:
        """Section 5.1 of XEP-0115."""
        identities = sorted(f"{kind}/{which}//{name}" for kind, which, name in self._identities)
        text = "".join(f"{each}<" for each in [*identities, *sorted(self._features)])
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).digest()
        return base64.b64encode(digest).decode()

    def _shelf_for(self, asker: JID) -> Shelf | None:
        return self._shelf if self._shelf is not None and self._shelf.knows(asker) else None

    def _info(self, question: Question) -> ET.Element:
        node = question.payload.get("node", "")
        shelf = self._shelf_for(question.sender)
        if node in ("", f"{JABOT}#{self._ver}"):
            answer = _information(node, self._identities, self._features)
            if shelf is not None and not node:
                answer.extend(_more(shelf.tasks(question.sender)))
            return answer
        commands = shelf.commands(question.sender) if shelf is not None else {}
        if node == COMMANDS and shelf is not None:
            return _information(node, [("automation", "command-list", "Commands")], {COMMANDS})
        if node not in commands:
            raise StanzaError("item-not-found")
        identity = ("automation", "command-node", commands[node])
        return _information(node, [identity], {COMMANDS, DATA})

    def _items(self, question: Question) -> ET.Element:
        node, own = question.payload.get("node", ""), question.to
        if node not in ("", COMMANDS):
            raise StanzaError("item-not-found")
        answer = _query(DISCO_ITEMS, node)
        shelf = self._shelf_for(question.sender)
        found = {} if shelf is None else shelf.commands(question.sender)
        if not node and found:
            found = {COMMANDS: "Commands"}
        for name, label in found.items():
            attributes = {"jid": str(own), "node": name, "name": label}
            ET.SubElement(answer, f"{{{DISCO_ITEMS}}}item", attributes)
        return answer

    def _version(self, question: Question) -> ET.Element:
        if question.sender.bare != question.to.bare and self._shelf_for(question.sender) is None:
            raise StanzaError("service-unavailable")
        answer = ET.Element(f"{{{_VERSION}}}query")
        for name, text in (("name", "jabot"), ("version", version("jabot"))):
            ET.SubElement(answer, f"{{{_VERSION}}}{name}").text = text
        return answer


def information() -> ET.Element:
    """Asks somebody what it is."""
    return ET.Element(f"{{{DISCO_INFO}}}query")


def read_features(answer: ET.Element) -> frozenset[str]:
    """What somebody says that it can."""
    return frozenset(each.get("var", "") for each in answer.iterfind(f"{{{DISCO_INFO}}}feature"))


def read_identities(answer: ET.Element) -> set[tuple[str, str]]:
    """What somebody says that it is: category and type."""
    found = answer.iterfind(f"{{{DISCO_INFO}}}identity")
    return {(each.get("category", ""), each.get("type", "")) for each in found}


def _information(
    node: str, identities: list[tuple[str, str, str]], features: set[str]
) -> ET.Element:
    answer = _query(DISCO_INFO, node)
    for category, kind, name in identities:
        attributes = {"category": category, "type": kind, "name": name}
        ET.SubElement(answer, f"{{{DISCO_INFO}}}identity", attributes)
    for feature in sorted(features):
        ET.SubElement(answer, f"{{{DISCO_INFO}}}feature", {"var": feature})
    return answer


def _query(namespace: str, node: str) -> ET.Element:
    return ET.Element(f"{{{namespace}}}query", {"node": node} if node else {})


def _more(tasks: list[str]) -> list[ET.Element]:
    """What those who have a right learn beyond what is in the hash (XEP-0128)."""
    software = [
        Field("FORM_TYPE", "hidden", [_SOFTWARE]),
        Field("software", "text-single", ["jabot"]),
        Field("software_version", "text-single", [version("jabot")]),
    ]
    offered = [Field("FORM_TYPE", "hidden", [JABOT]), Field("tasks", "text-multi", tasks)]
    return [data_form("result", software), data_form("result", offered)]
