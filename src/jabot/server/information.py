"""What the server tells of itself and of its accounts: disco (XEP-0030), version (XEP-0092)."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Final

from jabot.server import disco
from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.iq import IqTable, Request
from jabot.server.namespaces import OFFLINE, SESSION, VERSION
from jabot.server.pubsub.descriptions import NodeDescriptions
from jabot.server.router import Router
from jabot.server.session import Sessions
from jabot.server.store import Store


class ServerInformation:
    """Answers for the server's own address."""

    def __init__(self, domain: str, router: Router, server: IqTable) -> None:
        self._domain = domain
        self._router = router
        self._features = server.features
        disco.offer(server, self._info, self._items)
        server.add("get", VERSION, "query", _version)
        server.add("set", SESSION, "session", disco.nothing)
        server.features += [VERSION, OFFLINE]

    def _info(self, request: Request) -> Element:
        disco.refuse_node(request)
        identity = {"category": "server", "type": "im", "name": "jabot"}
        return disco.describe([identity], self._features)

    def _items(self, request: Request) -> Element:
        disco.refuse_node(request)
        others = (domain for domain in self._router.domains() if domain != self._domain)
        return disco.listing({"jid": domain} for domain in others)


_LISTED: Final = 500  # sessions of one account


class AccountInformation:
    """Answers for an account, to itself and to those who may see its presence."""

    def __init__(
        self, store: Store, sessions: Sessions, nodes: NodeDescriptions, accounts: IqTable
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._nodes = nodes
        self._features = accounts.features
        disco.offer(accounts, self._info, self._items, self._ping)
        accounts.add("set", SESSION, "session", self._session)

    def _info(self, request: Request) -> Element:
        self._check(request)
        if request.payload.attrs.get("node"):
            return self._nodes.info(request)
        identities = [
            {"category": "account", "type": "registered"},
            {"category": "pubsub", "type": "pep"},
        ]
        return disco.describe(identities, self._features)

    def _items(self, request: Request) -> Element:
        self._check(request)
        items = self._nodes.items(request)
        if not request.payload.attrs.get("node"):
            # Where else would somebody look for what a program of the account can do?
            online = self._sessions.available(request.to.bare)[:_LISTED]
            items.children += disco.listing({"jid": each.full} for each in online).children
        return items

    def _ping(self, request: Request) -> None:
        self._check(request)

    def _session(self, request: Request) -> None:
        """RFC 3921 section 3: a formality that older clients insist on."""
        if request.sender.bare != request.to.full:
            raise StanzaError("service-unavailable")

    def _check(self, request: Request) -> None:
        """XEP-0030 section 8: a stranger learns nothing, not even that the account exists."""
        if not self._store.shows(request.to.bare, request.sender.bare):
            raise StanzaError("service-unavailable")


def _version(_request: Request) -> Element:
    texts = {"name": "jabot", "version": version("jabot"), "os": platform.system()}
    told = (Element(VERSION, name, None, [text]) for name, text in texts.items())
    return Element(VERSION, "query", None, told)
