"""What the server tells of itself and of its accounts: disco (XEP-0030), version (XEP-0092)."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Final

from jabot.jid import JID
from jabot.server import disco
from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.iq import IqTable
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

    def _info(self, _stanza: Element, query: Element) -> Element:
        disco.refuse_node(query)
        identity = {"category": "server", "type": "im", "name": "jabot"}
        return disco.describe([identity], self._features)

    def _items(self, _stanza: Element, query: Element) -> Element:
        disco.refuse_node(query)
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

    def _info(self, stanza: Element, query: Element) -> Element:
        account, asker = self._admitted(stanza)
        if query.attrs.get("node"):
            return self._nodes.info(account, query, asker)
        identities = [
            {"category": "account", "type": "registered"},
            {"category": "pubsub", "type": "pep"},
        ]
        return disco.describe(identities, self._features)

    def _items(self, stanza: Element, query: Element) -> Element:
        account, asker = self._admitted(stanza)
        items = self._nodes.items(account, query, asker)
        if not query.attrs.get("node"):
            # Where else would somebody look for what a program of the account can do?
            online = self._sessions.available(account)[:_LISTED]
            items.children += disco.listing({"jid": each.full} for each in online).children
        return items

    def _ping(self, stanza: Element, _ping: Element) -> None:
        self._admitted(stanza)

    def _session(self, stanza: Element, _session: Element) -> None:
        """RFC 3921 section 3: a formality that older clients insist on."""
        if JID(stanza.attrs["from"]).bare != stanza.attrs["to"]:
            raise StanzaError("service-unavailable")

    def _admitted(self, stanza: Element) -> tuple[str, JID]:
        """The account, and who asks it. XEP-0030 section 8: a stranger learns nothing, not even
        that the account exists.
        """
        account: str = JID(stanza.attrs["to"]).bare
        asker = JID(stanza.attrs["from"])
        if asker.bare != account:
            item = self._store.roster_item(account, asker.bare)
            if item is None or not item.from_:
                raise StanzaError("service-unavailable")
        return account, asker


def _version(_stanza: Element, _query: Element) -> Element:
    texts = {"name": "jabot", "version": version("jabot"), "os": platform.system()}
    told = (Element(VERSION, name, None, [text]) for name, text in texts.items())
    return Element(VERSION, "query", None, told)
