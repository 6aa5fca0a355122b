"""What the server tells about itself: disco (XEP-0030), version (XEP-0092), ping (XEP-0199)."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Final, Protocol

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.iq import IqTable
from jabot.server.namespaces import DISCO_INFO, DISCO_ITEMS, OFFLINE, PING, SESSION, VERSION
from jabot.server.router import Router
from jabot.server.session import Sessions
from jabot.server.store import Store


class ServerInformation:
    """Answers for the server's own address."""

    def __init__(self, domain: str, router: Router, server: IqTable) -> None:
        self._domain = domain
        self._router = router
        self._features = server.features
        server.add("get", DISCO_INFO, "query", self._info)
        server.add("get", DISCO_ITEMS, "query", self._items)
        server.add("get", PING, "ping", nothing)
        server.add("get", VERSION, "query", _version)
        server.add("set", SESSION, "session", nothing)
        server.features += [DISCO_INFO, DISCO_ITEMS, PING, VERSION, OFFLINE]

    def _info(self, _stanza: Element, query: Element) -> Element:
        identity = {"category": "server", "type": "im", "name": "jabot"}
        return describe(query, [identity], self._features)

    def _items(self, _stanza: Element, query: Element) -> Element:
        refuse_node(query)
        others = (domain for domain in self._router.domains() if domain != self._domain)
        items = [Element(DISCO_ITEMS, "item", {"jid": domain}) for domain in others]
        return Element(DISCO_ITEMS, "query", None, list(items))


class NodeInformation(Protocol):
    """Tells of the nodes of an account; `query` may name one."""

    def info(self, service: str, query: Element, sender: JID) -> Element: ...

    def items(self, service: str, query: Element, sender: JID) -> Element: ...


_LISTED: Final = 500  # sessions of one account


class AccountInformation:
    """Answers for an account, to itself and to those who may see its presence."""

    def __init__(
        self, store: Store, sessions: Sessions, nodes: NodeInformation, accounts: IqTable
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._nodes = nodes
        self._features = accounts.features
        accounts.add("get", DISCO_INFO, "query", self._info)
        accounts.add("get", DISCO_ITEMS, "query", self._items)
        accounts.add("get", PING, "ping", self._ping)
        accounts.add("set", SESSION, "session", self._session)
        accounts.features += [DISCO_INFO, DISCO_ITEMS, PING]

    def _info(self, stanza: Element, query: Element) -> Element:
        self._check(stanza)
        if query.attrs.get("node"):
            return self._nodes.info(_account(stanza), query, JID(stanza.attrs["from"]))
        identities = [
            {"category": "account", "type": "registered"},
            {"category": "pubsub", "type": "pep"},
        ]
        return describe(query, identities, self._features)

    def _items(self, stanza: Element, query: Element) -> Element:
        self._check(stanza)
        account = _account(stanza)
        items = self._nodes.items(account, query, JID(stanza.attrs["from"]))
        if not query.attrs.get("node"):
            # Where else would somebody look for what a program of the account can do?
            online = self._sessions.available(account)[:_LISTED]
            items.children += [Element(DISCO_ITEMS, "item", {"jid": s.full}) for s in online]
        return items

    def _ping(self, stanza: Element, _ping: Element) -> None:
        self._check(stanza)

    def _session(self, stanza: Element, _session: Element) -> None:
        """RFC 3921 section 3: a formality that older clients insist on."""
        if JID(stanza.attrs["from"]).bare != stanza.attrs["to"]:
            raise StanzaError("service-unavailable")

    def _check(self, stanza: Element) -> None:
        """XEP-0030 section 8: a stranger learns nothing, not even that the account exists."""
        asker = JID(stanza.attrs["from"]).bare
        account = _account(stanza)
        if asker == account:
            return
        item = self._store.roster_item(account, asker)
        if item is None or not item.from_:
            raise StanzaError("service-unavailable")


def _account(stanza: Element) -> str:
    return str(JID(stanza.attrs["to"]).bare)


def describe(query: Element, identities: list[dict[str, str]], features: list[str]) -> Element:
    """The answer to disco#info of an address that has no nodes (XEP-0030 section 3)."""
    refuse_node(query)
    children: list[Element | str] = [Element(DISCO_INFO, "identity", each) for each in identities]
    children += [Element(DISCO_INFO, "feature", {"var": each}) for each in features]
    return Element(DISCO_INFO, "query", None, children)


def refuse_node(query: Element) -> None:
    if query.attrs.get("node"):
        raise StanzaError("item-not-found")


def nothing(_stanza: Element, _payload: Element) -> None:
    """For a request whose empty result is the answer."""


def _version(_stanza: Element, _query: Element) -> Element:
    texts = {"name": "jabot", "version": version("jabot"), "os": platform.system()}
    told = [Element(VERSION, name, None, [text]) for name, text in texts.items()]
    return Element(VERSION, "query", None, list(told))
