"""Who hears of what happens at a node (XEP-0060 sections 7.1.2, 7.2.2, 8 and 9; XEP-0163)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from jabot.jid import JID
from jabot.server.delay import delay
from jabot.server.element import Element
from jabot.server.namespaces import CLIENT, PUBSUB_EVENT
from jabot.server.parser import element_of
from jabot.server.pubsub.access import may_read
from jabot.server.pubsub.node import Item, Node, subscription
from jabot.server.router import Route
from jabot.server.session import Sessions
from jabot.server.store import Store


class Notifier:
    """Sends the events of nodes. It asks at each event whether a subscriber may still read."""

    def __init__(self, route: Route, store: Store, sessions: Sessions) -> None:
        self._route = route
        self._store = store
        self._sessions = sessions

    def published(self, node: Node, item: Item, removed: list[str]) -> None:
        """An item, and those that had to go for it. A node that neither keeps items nor tells what
        is in them tells only that there was one (section 4.3).
        """
        configuration = node.configuration
        is_signal = not (configuration.persist_items or configuration.deliver_payloads)
        told = [] if is_signal else [item_element(node, item, PUBSUB_EVENT)]
        self._tell(node, _items(node, told))
        self.retracted(node, removed)

    def retracted(self, node: Node, ids: list[str], *, asked: bool = False) -> None:
        """Items were removed; `asked` when it is to be told whatever the configuration says."""
        if ids and (asked or node.configuration.notify_retract):
            gone = [Element(PUBSUB_EVENT, "retract", {"id": each}) for each in ids]
            self._tell(node, _items(node, gone))

    def purged(self, node: Node) -> None:
        if node.configuration.notify_retract:
            self._tell(node, Element(PUBSUB_EVENT, "purge", {"node": node.name}))

    def deleted(self, node: Node) -> None:
        if node.configuration.notify_delete:
            self._tell(node, Element(PUBSUB_EVENT, "delete", {"node": node.name}))

    def configured(self, node: Node, form: Element) -> None:
        if node.configuration.notify_config:
            content = [form] if node.configuration.deliver_payloads else []
            told = Element(PUBSUB_EVENT, "configuration", {"node": node.name}, content)
            self._tell(node, told)

    def unsubscribed(self, node: Node, jid: str) -> None:
        """Somebody was unsubscribed by an owner."""
        told = subscription(node, jid, "none", PUBSUB_EVENT)
        self._send(node, jid, told, secrets.token_hex(8), "headline")

    def last(self, node: Node, item: Item, jid: str) -> None:
        """The last item, for somebody who has just come (section 6.1.7)."""
        event = _items(node, [item_element(node, item, PUBSUB_EVENT)])
        kind = node.configuration.notification_type
        late = delay(node.service, item.at)
        self._send(node, jid, event, secrets.token_hex(8), kind, late)

    def _tell(self, node: Node, event: Element) -> None:
        if not node.configuration.deliver_notifications:
            return
        message_id = secrets.token_hex(8)
        kind = node.configuration.notification_type
        for jid in sorted(node.subscribers):
            if may_read(node, JID(jid).bare, self._store):
                self._send(node, jid, event, message_id, kind)
        for full in self._listeners(node):
            if node.subscribers.isdisjoint((full, JID(full).bare)):
                self._send(node, full, event, message_id, kind)

    def _listeners(self, node: Node) -> Iterator[str]:
        """Who hears of an account's node without having subscribed: sessions of the account, and of
        those who see its presence, that say by their capabilities that they want to hear of a node
        of that name, and may read it.
        """
        if "@" not in node.service:
            return
        for account in (node.service, *self._store.watchers(node.service)):
            wanting = [
                session.full
                for session in self._sessions.available(account)
                if node.name in session.wanted_nodes
            ]
            if wanting and may_read(node, account, self._store):
                yield from wanting

    def _send(
        self, node: Node, to: str, event: Element, message_id: str, kind: str, *more: Element
    ) -> None:
        attrs = {"from": node.service, "to": to, "type": kind, "id": message_id}
        content = Element(PUBSUB_EVENT, "event", None, [event])
        self._route(Element(CLIENT, "message", attrs, [content, *more]))


def item_element(node: Node, item: Item, ns: str, *, whole: bool = False) -> Element:
    """An item as it is told: `whole` for one that was asked for, else as the node delivers it."""
    attrs = {"id": item.id}
    if node.configuration.shows_publisher == "publisher":
        attrs["publisher"] = item.publisher
    told = item.payload and (whole or node.configuration.deliver_payloads)
    return Element(ns, "item", attrs, [element_of(item.payload)] if told else [])


def _items(node: Node, content: list[Element]) -> Element:
    return Element(PUBSUB_EVENT, "items", {"node": node.name}, content)
