"""Publish-subscribe at its two places: a domain of its own, and every account (XEP-0163)."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server import disco
from jabot.server.conditions import StanzaError
from jabot.server.config import ServerConfig
from jabot.server.delay import utc_now
from jabot.server.element import Element
from jabot.server.iq import IqTable, Request
from jabot.server.namespaces import PUBSUB, PUBSUB_OWNER
from jabot.server.pubsub.arrivals import Arrivals
from jabot.server.pubsub.configuration import node_form, of_account, of_service
from jabot.server.pubsub.descriptions import ACCOUNT_FEATURES, SERVICE_FEATURES, NodeDescriptions
from jabot.server.pubsub.nodes import Nodes
from jabot.server.pubsub.notifications import Notifier
from jabot.server.pubsub.owner import OwnerRequests
from jabot.server.pubsub.requests import Asker, Requests
from jabot.server.pubsub.store import NodeStore
from jabot.server.router import Router
from jabot.server.session import Sessions
from jabot.server.store import Store


class PubSub:
    """All nodes of the server. They are there after `load`."""

    def __init__(
        self,
        config: ServerConfig,
        domain: str,
        store: Store,
        router: Router,
        sessions: Sessions,
    ) -> None:
        self.domain = domain
        self.nodes = Nodes(config, NodeStore(store.db), utc_now)
        notifier = Notifier(router.route, store, sessions)
        self.arrivals = Arrivals(self.nodes, store, sessions, notifier)
        self.descriptions = NodeDescriptions(self.nodes, store)
        form = node_form(config)
        self._requests = Requests(config, self.nodes, store, sessions, form, notifier)
        self._owner_requests = OwnerRequests(self.nodes, store, form, notifier)
        self._of_service, self._of_account = of_service(config), of_account()
        self._table = IqTable(router.route)
        disco.offer(self._table, self._info, self.descriptions.items)
        self._table.features += SERVICE_FEATURES
        self._offer(self._table)
        router.add(domain, self)

    def load(self) -> None:
        """Take up the nodes that were kept."""
        self.nodes.load()

    def offer_personal(self, accounts: IqTable) -> None:
        """Let accounts have nodes of their own."""
        self._offer(accounts)
        accounts.features += ACCOUNT_FEATURES

    def receive(self, stanza: Element, to: JID) -> None:
        if stanza.name == "iq":
            if to.local:
                raise StanzaError("service-unavailable")
            self._table.answer(stanza)
        elif stanza.name == "message" and stanza.attrs.get("type") != "error":
            raise StanzaError("service-unavailable")

    def _offer(self, table: IqTable) -> None:
        for kind in ("get", "set"):
            table.add(kind, PUBSUB, "pubsub", self._request)
            table.add(kind, PUBSUB_OWNER, "pubsub", self._owner_request)

    def _request(self, request: Request) -> Element | None:
        return self._requests.answer(self._asker(request), request.kind, request.payload)

    def _owner_request(self, request: Request) -> Element | None:
        return self._owner_requests.answer(self._asker(request), request.kind, request.payload)

    def _asker(self, request: Request) -> Asker:
        service, sender = request.to.bare, request.sender
        if service == self.domain:
            return Asker(service, sender, True, self._of_service)
        return Asker(service, sender, sender.bare == service, self._of_account)

    def _info(self, request: Request) -> Element:
        if request.payload.attrs.get("node"):
            return self.descriptions.info(request)
        identity = {"category": "pubsub", "type": "service", "name": "Publish-subscribe"}
        return disco.describe([identity], self._table.features)
