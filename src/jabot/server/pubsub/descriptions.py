"""What disco tells of nodes (XEP-0060 section 5)."""

from __future__ import annotations

from typing import Final

from jabot.server import disco
from jabot.server.element import Element
from jabot.server.forms import result_form
from jabot.server.iq import Request
from jabot.server.namespaces import PUBSUB
from jabot.server.pubsub.access import check_read, may_read
from jabot.server.pubsub.node import Affiliation
from jabot.server.pubsub.nodes import Nodes
from jabot.server.store import Store

_OF_BOTH = (
    "access-open",
    "access-presence",
    "access-roster",
    "access-whitelist",
    "auto-create",
    "config-node",
    "config-node-max",
    "create-and-configure",
    "create-nodes",
    "delete-items",
    "delete-nodes",
    "instant-nodes",
    "item-ids",
    "last-published",
    "manage-subscriptions",
    "member-affiliation",
    "meta-data",
    "modify-affiliations",
    "multi-items",
    "outcast-affiliation",
    "persistent-items",
    "publish",
    "publish-only-affiliation",
    "publish-options",
    "publisher-affiliation",
    "purge-nodes",
    "retract-items",
    "retrieve-affiliations",
    "retrieve-default",
    "retrieve-items",
    "retrieve-subscriptions",
    "rsm",
    "subscribe",
)
_OF_ACCOUNTS = (
    "auto-subscribe",
    "filtered-notifications",
    "presence-notifications",
    "pubsub-on-a-jid",
)

SERVICE_FEATURES: Final = [PUBSUB, *(f"{PUBSUB}#{each}" for each in _OF_BOTH)]
ACCOUNT_FEATURES: Final = [PUBSUB, *(f"{PUBSUB}#{each}" for each in (*_OF_BOTH, *_OF_ACCOUNTS))]

_LISTED = 1_000  # nodes in one answer


class NodeDescriptions:
    """Answers for the nodes of a service, to those who may read them."""

    def __init__(self, nodes: Nodes, store: Store) -> None:
        self._nodes = nodes
        self._store = store

    def info(self, request: Request) -> Element:
        """Of the node that the query names."""
        name = request.payload.attrs["node"]
        node = self._nodes.find(request.to.bare, name)
        check_read(node, request.sender.bare, self._store)
        reply = disco.describe([{"category": "pubsub", "type": "leaf"}], [PUBSUB], name)
        configuration = node.configuration
        told = {
            "pubsub#title": configuration.title,
            "pubsub#description": configuration.description,
            "pubsub#type": configuration.type,
            "pubsub#access_model": configuration.access_model,
            "pubsub#publish_model": configuration.publish_model,
            "pubsub#max_items": str(configuration.max_items),
            "pubsub#num_subscribers": str(len(node.subscribers)),
            "pubsub#owner": ", ".join(sorted(node.owners)),
        }
        reply.children.append(result_form(f"{PUBSUB}#meta-data", told))
        return reply

    def items(self, request: Request) -> Element:
        """The nodes, or the items of the node that the query names."""
        name = request.payload.attrs.get("node", "")
        service, account = request.to.bare, request.sender.bare
        if name:
            node = self._nodes.find(service, name)
            check_read(node, account, self._store)
            ids = self._nodes.ids(node) if node.configuration.persist_items else []
            return disco.listing(({"jid": service, "name": each} for each in ids[:_LISTED]), name)
        visible = [
            {"jid": service, "node": node.name}
            for node in self._nodes.at(service)
            if node.affiliation(account) not in (Affiliation.NONE, Affiliation.OUTCAST)
            or may_read(node, account, self._store)
        ]
        return disco.listing(visible[:_LISTED])
