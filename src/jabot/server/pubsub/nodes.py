"""Which nodes there are, of the service and of the accounts, and what they may hold."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta

from jabot.server.conditions import StanzaError
from jabot.server.config import ServerConfig
from jabot.server.delay import Now
from jabot.server.pubsub.configuration import NEVER, NodeConfiguration
from jabot.server.pubsub.node import Affiliation, Item, Node
from jabot.server.pubsub.refusals import refusal, unsupported
from jabot.server.pubsub.store import NodeStore

_LONGEST = 1_023  # characters of a name or of the id of an item


class Nodes:
    """All nodes of the server; their items are in the store."""

    def __init__(self, config: ServerConfig, store: NodeStore, now: Now) -> None:
        self._config = config
        self._store = store
        self._now = now
        self._by_service: dict[str, dict[str, Node]] = {}
        self._by_creator: dict[str, set[Node]] = {}

    def load(self) -> None:
        """Take up the nodes that were kept."""
        for node in self._store.load():
            self._register(node)

    def at(self, service: str) -> list[Node]:
        return list(self._by_service.get(service, {}).values())

    def __iter__(self) -> Iterator[Node]:
        return (node for nodes in self._by_service.values() for node in nodes.values())

    def get(self, service: str, name: str) -> Node | None:
        return self._by_service.get(service, {}).get(name)

    def find(self, service: str, name: str) -> Node:
        """Raises StanzaError when there is none of that name."""
        if not name:
            raise refusal("bad-request", "nodeid-required")
        node = self.get(service, name)
        if node is None:
            raise StanzaError("item-not-found", f"there is no node {name}")
        return node

    # Nodes

    def create(
        self, service: str, name: str, creator: str, configuration: NodeConfiguration
    ) -> Node:
        """A new node; without a name it gets one."""
        name = name or secrets.token_hex(8)
        if len(name) > _LONGEST:
            raise StanzaError("not-acceptable", f"a name is limited to {_LONGEST} characters")
        if self.get(service, name) is not None:
            raise StanzaError("conflict", f"there is a node {name} already")
        if len(self._by_creator.get(creator, ())) >= self._config.max_nodes:
            raise StanzaError("resource-constraint", f"{creator} has as many nodes as it may have")
        node = Node(
            key=0,
            service=service,
            name=name,
            creator=creator,
            configuration=configuration,
            affiliations={creator: Affiliation.OWNER},
        )
        self._store.add(node)
        self._register(node)
        return node

    def delete(self, node: Node) -> None:
        del self._by_service[node.service][node.name]
        self._by_creator[node.creator].discard(node)
        self._store.delete(node)

    def configure(self, node: Node, configuration: NodeConfiguration) -> list[str]:
        """Change the settings; gives the ids of the items that had to go for it."""
        node.configuration = configuration
        self._store.save_configuration(node)
        if not configuration.persist_items:
            self._store.purge(node)
            return []
        self._forget_last(node)
        return self._store.trim(node)

    def affiliate(self, node: Node, changed: dict[str, Affiliation]) -> None:
        """Change what accounts are to the node, all or none."""
        after = {**node.affiliations, **changed}
        after = {account: held for account, held in after.items() if held is not Affiliation.NONE}
        if Affiliation.OWNER not in after.values():
            raise StanzaError("not-acceptable", "a node keeps one owner")
        if len(after) > max(self._config.max_affiliations, len(node.affiliations)):
            raise StanzaError("resource-constraint", "the node has as many affiliations as it may")
        node.affiliations = after
        self._store.save_affiliations(node, changed)

    def subscribe(self, node: Node, jid: str) -> None:
        """Whoever subscribes as an account is kept; a session is subscribed while it lasts."""
        if jid in node.subscribers:
            return
        if len(node.subscribers) >= self._config.max_subscribers:
            raise refusal("resource-constraint", "too-many-subscriptions")
        node.subscribers.add(jid)
        if "/" not in jid:
            self._store.subscribe(node, jid)

    def unsubscribe(self, node: Node, jid: str) -> None:
        node.subscribers.discard(jid)
        self._store.unsubscribe(node, jid)

    # Items

    def publish(
        self, node: Node, item_id: str, publisher: str, payload: str
    ) -> tuple[Item, list[str]]:
        """Keep an item; gives it, and the ids of those that had to go for it."""
        item = Item(item_id or secrets.token_hex(8), publisher, payload, self._now())
        if len(item.id) > _LONGEST:
            raise StanzaError("not-acceptable", f"an id is limited to {_LONGEST} characters")
        if item.size > self._config.max_item:
            raise refusal(
                "not-acceptable", "payload-too-big", f"{self._config.max_item} bytes at most"
            )
        self._expire(node)
        held = sum(each.size for each in self._by_creator[node.creator])
        most = self._config.max_topic_bytes
        if held + item.size > most and held + item.size - self._freed_by(node, item) > most:
            raise StanzaError(
                "resource-constraint", f"{node.creator} has published as much as it may"
            )
        configuration = node.configuration
        if configuration.persist_items:
            return item, self._store.publish(node, item)
        self._forget_last(node)
        if configuration.send_last != NEVER:
            node.last = item
            node.size += item.size
        return item, []

    def _freed_by(self, node: Node, item: Item) -> int:
        """Bytes of what has to go when the item comes."""
        if not node.configuration.persist_items:
            return 0 if node.last is None else node.last.size
        return self._store.freed_by(node, item.id)

    def retract(self, node: Node, item: Item) -> None:
        if node.last is not None:
            self._forget_last(node)
        else:
            self._store.retract(node, item.id)

    def purge(self, node: Node) -> None:
        if not node.configuration.persist_items:
            raise unsupported("persistent-items")
        self._store.purge(node)

    def item(self, node: Node, item_id: str) -> Item | None:
        self._expire(node)
        if node.last is not None and node.last.id == item_id:
            return node.last
        return self._store.item(node, item_id)

    def last(self, node: Node) -> Item | None:
        self._expire(node)
        return node.last or self._store.last(node)

    def ids(self, node: Node) -> list[str]:
        """Of all its items, oldest first."""
        self._expire(node)
        if not node.configuration.persist_items:
            if node.configuration.send_last == NEVER:
                raise unsupported("persistent-items")
            return [] if node.last is None else [node.last.id]
        return self._store.ids(node)

    def _expire(self, node: Node) -> None:
        seconds = node.configuration.item_expire
        if not seconds:
            return
        before = self._now() - timedelta(seconds=seconds)
        if node.configuration.persist_items:
            self._store.expire(node, before)
        elif node.last is not None and node.last.at < before:
            self._forget_last(node)

    def _forget_last(self, node: Node) -> None:
        if node.last is not None:
            node.size -= node.last.size
            node.last = None

    def _register(self, node: Node) -> None:
        self._by_service.setdefault(node.service, {})[node.name] = node
        self._by_creator.setdefault(node.creator, set()).add(node)
