"""How an address says what it is and what it has (XEP-0030), and that it is there (XEP-0199)."""

from __future__ import annotations

from collections.abc import Iterable

from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.iq import Handler, IqTable, Request
from jabot.server.namespaces import DISCO_INFO, DISCO_ITEMS, PING


def nothing(_request: Request) -> None:
    """For a request whose empty result is the answer."""


def offer(table: IqTable, info: Handler, items: Handler, ping: Handler = nothing) -> None:
    """Let a table answer what every kind of address here does."""
    table.add("get", DISCO_INFO, "query", info)
    table.add("get", DISCO_ITEMS, "query", items)
    table.add("get", PING, "ping", ping)
    table.features += [DISCO_INFO, DISCO_ITEMS, PING]


def describe(identities: list[dict[str, str]], features: list[str], node: str = "") -> Element:
    """The answer to disco#info (section 3)."""
    told = [Element(DISCO_INFO, "identity", each) for each in identities]
    told += [Element(DISCO_INFO, "feature", {"var": each}) for each in features]
    return Element(DISCO_INFO, "query", {"node": node} if node else None, told)


def listing(items: Iterable[dict[str, str]], node: str = "") -> Element:
    """The answer to disco#items (section 4)."""
    told = (Element(DISCO_ITEMS, "item", each) for each in items)
    return Element(DISCO_ITEMS, "query", {"node": node} if node else None, told)


def refuse_node(request: Request) -> None:
    """For an address that has no nodes."""
    if request.payload.attrs.get("node"):
        raise StanzaError("item-not-found")
