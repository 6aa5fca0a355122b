"""One node: what is known of it without its items."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.namespaces import PUBSUB
from jabot.server.pubsub.configuration import NodeConfiguration


class Affiliation(Enum):
    """What an account is to a node (XEP-0060 section 4.1); the value is its word on the wire."""

    OWNER = "owner"
    PUBLISHER = "publisher"
    PUBLISH_ONLY = "publish-only"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


def affiliation(word: str) -> Affiliation:
    """By its word. Raises StanzaError for another word."""
    try:
        return Affiliation(word)
    except ValueError:
        raise StanzaError("bad-request", f"there is no affiliation {word!r}") from None


@dataclass(frozen=True, slots=True)
class Item:
    """Something that was published. `payload` is XML; empty for none."""

    id: str
    publisher: str  # full JID
    payload: str
    at: datetime

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload.encode())


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A leaf node. `service` is where it is: the domain of the service, or an account."""

    key: int  # in the store
    service: str
    name: str
    creator: str  # bare JID
    configuration: NodeConfiguration
    affiliations: dict[str, Affiliation] = field(default_factory=dict)  # by bare JID; never NONE
    subscribers: set[str] = field(default_factory=set)  # bare or full JIDs
    size: int = 0  # of all payloads together
    last: Item | None = None  # of a node that does not keep its items

    def affiliation(self, account: str) -> Affiliation:
        return self.affiliations.get(account, Affiliation.NONE)

    @property
    def owners(self) -> list[str]:
        return [each for each, held in self.affiliations.items() if held is Affiliation.OWNER]


def subscription(node: Node, jid: str, state: str = "subscribed", ns: str = PUBSUB) -> Element:
    """How a subscription is told."""
    return Element(ns, "subscription", {"node": node.name, "jid": jid, "subscription": state})
