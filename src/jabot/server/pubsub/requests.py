"""What publishers and subscribers ask for (XEP-0060 sections 5 to 7 and 8.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from jabot.jid import JID, InvalidJID
from jabot.server.conditions import StanzaError, read_number
from jabot.server.config import ServerConfig
from jabot.server.element import Element, to_text
from jabot.server.forms import Form, submitted
from jabot.server.namespaces import DATA_FORMS, PUBSUB
from jabot.server.pubsub.access import (
    check_publish,
    check_read,
    check_retract,
    is_subscribed,
)
from jabot.server.pubsub.configuration import (
    FORM_TYPE,
    NEVER,
    OPTIONS_TYPE,
    NodeConfiguration,
)
from jabot.server.pubsub.node import Affiliation, Node, subscription
from jabot.server.pubsub.nodes import Nodes
from jabot.server.pubsub.notifications import Notifier, item_element
from jabot.server.pubsub.paging import Page, asked_page, told_page
from jabot.server.pubsub.refusals import refusal, unsupported
from jabot.server.session import Sessions
from jabot.server.store import Store


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and of whose nodes."""

    service: str  # the domain of the service, or an account
    sender: JID
    may_create: bool  # nodes there
    defaults: NodeConfiguration  # of new nodes

    @property
    def account(self) -> str:
        return str(self.sender.bare)


Handler = Callable[[Asker, Element, Element], Element | None]
"""Takes who asks, the `<pubsub/>`, and what in it says what is wanted; gives the answer."""


class Requests:
    """Answers `<pubsub/>` in its own namespace."""

    def __init__(
        self,
        config: ServerConfig,
        nodes: Nodes,
        store: Store,
        sessions: Sessions,
        form: Form[NodeConfiguration],
        notifier: Notifier,
    ) -> None:
        self._config = config
        self._nodes = nodes
        self._store = store
        self._sessions = sessions
        self._form = form
        self._notifier = notifier
        self._handlers: dict[tuple[str, str], Handler] = {
            ("set", "create"): self._create,
            ("set", "publish"): self._publish,
            ("set", "retract"): self._retract,
            ("set", "subscribe"): self._subscribe,
            ("set", "unsubscribe"): self._unsubscribe,
            ("get", "items"): self._items,
            ("get", "subscriptions"): self._subscriptions,
            ("get", "affiliations"): self._affiliations,
        }

    def answer(self, asker: Asker, kind: str, pubsub: Element) -> Element | None:
        """The content of the result. Raises StanzaError."""
        for wanted in pubsub.elements():
            if wanted.name in ("options", "default"):
                raise unsupported("subscription-options")
            handler = self._handlers.get((kind, wanted.name))
            if handler is not None:
                return handler(asker, pubsub, wanted)
        raise StanzaError("bad-request", "there is nothing in it that is known here")

    # Nodes

    def _create(self, asker: Asker, pubsub: Element, wanted: Element) -> Element:
        settings = _filled_in(pubsub, "configure", FORM_TYPE)
        configuration = self._form.changed(asker.defaults, settings)
        node = self._new_node(asker, wanted.attrs.get("node", ""), configuration)
        return _told(Element(PUBSUB, "create", {"node": node.name}))

    def _new_node(self, asker: Asker, name: str, configuration: NodeConfiguration) -> Node:
        if not asker.may_create:
            raise StanzaError("forbidden", "only the owner of the account makes nodes here")
        return self._nodes.create(asker.service, name, asker.account, configuration)

    # Items

    def _publish(self, asker: Asker, pubsub: Element, wanted: Element) -> Element:
        name = wanted.attrs.get("node", "")
        if not name:
            raise refusal("bad-request", "nodeid-required")
        options = _filled_in(pubsub, "publish-options", OPTIONS_TYPE)
        node = self._nodes.get(asker.service, name)
        if node is not None:
            check_publish(node, asker.account)
        elif not asker.may_create:
            raise StanzaError("item-not-found", f"there is no node {name}")
        expected = self._expected(
            node.configuration if node is not None else asker.defaults, options
        )
        if node is not None and node.configuration != expected:
            raise refusal("conflict", "precondition-not-met")
        item_id, payload = _published(wanted, expected)
        made = None
        if node is None:
            node = made = self._new_node(asker, name, expected)
        try:
            item, removed = self._nodes.publish(node, item_id, asker.sender.full, payload)
        except StanzaError:
            if made is not None:
                self._nodes.delete(made)
            raise
        self._notifier.published(node, item, removed)
        told = Element(PUBSUB, "item", {"id": item.id})
        return _told(Element(PUBSUB, "publish", {"node": node.name}, [told]))

    def _expected(
        self, configuration: NodeConfiguration, options: dict[str, list[str]]
    ) -> NodeConfiguration:
        """The configuration as the publisher says it is (section 7.1.5)."""
        for var in options:
            if not self._form.knows(var):
                raise refusal("conflict", "precondition-not-met", f"{var} is unknown here")
        return self._form.changed(configuration, options)

    def _retract(self, asker: Asker, _pubsub: Element, wanted: Element) -> None:
        node = self._nodes.find(asker.service, wanted.attrs.get("node", ""))
        named = next(wanted.elements("item"), None)
        if named is None or not named.attrs.get("id"):
            raise refusal("bad-request", "item-required")
        item = self._nodes.item(node, named.attrs["id"])
        if item is None:
            check_publish(node, asker.account)  # who may not even publish learns nothing here
            raise StanzaError("item-not-found", f"there is no item {named.attrs['id']}")
        check_retract(node, asker.account, item)
        self._nodes.retract(node, item)
        asked = wanted.attrs.get("notify") in ("1", "true")
        self._notifier.retracted(node, [item.id], asked=asked)

    def _items(self, asker: Asker, pubsub: Element, wanted: Element) -> Element:
        node = self._nodes.find(asker.service, wanted.attrs.get("node", ""))
        check_read(node, asker.account, self._store)
        ids = self._nodes.ids(node)
        page = asked_page(pubsub)
        named = [each.attrs.get("id", "") for each in wanted.elements("item")]
        if named:
            present = set(ids)
            return _told(self._shown(node, [each for each in named if each in present])[0])
        if "max_items" in wanted.attrs:
            most = read_number(wanted.attrs["max_items"])
            page = replace(page or Page(before=""), most=most)
        chosen = page.select(ids) if page is not None else ids
        from_end = page is not None and page.before is not None
        shown, shown_ids = self._shown(node, chosen, from_end=from_end)
        answer = _told(shown)
        if page is not None or len(shown_ids) < len(ids):
            answer.children.append(told_page(ids, shown_ids))
        return answer

    def _shown(
        self, node: Node, ids: list[str], *, from_end: bool = False
    ) -> tuple[Element, list[str]]:
        """As many of the items as an answer may hold; with `from_end` the last of them."""
        room = self._config.max_stanza // 2
        items: list[Element] = []
        shown: list[str] = []
        for item_id in reversed(ids) if from_end else ids:
            item = self._nodes.item(node, item_id)
            if item is None:
                continue
            room -= item.size
            if room < 0 and items:
                break
            items.append(item_element(node, item, PUBSUB, whole=True))
            shown.append(item_id)
        if from_end:
            items.reverse()
            shown.reverse()
        return Element(PUBSUB, "items", {"node": node.name}, items), shown

    # Subscriptions and affiliations

    def _subscribe(self, asker: Asker, pubsub: Element, wanted: Element) -> Element:
        if pubsub.child(PUBSUB, "options") is not None:
            raise unsupported("subscription-options")
        node = self._nodes.find(asker.service, wanted.attrs.get("node", ""))
        jid = self._own_jid(asker, wanted)
        if jid is None:
            raise refusal("bad-request", "invalid-jid")
        check_read(node, asker.account, self._store)
        self._nodes.subscribe(node, jid)
        if node.configuration.send_last != NEVER:
            last = self._nodes.last(node)
            if last is not None:
                self._notifier.last(node, last, jid)
        return _told(subscription(node, jid))

    def _unsubscribe(self, asker: Asker, _pubsub: Element, wanted: Element) -> None:
        node = self._nodes.find(asker.service, wanted.attrs.get("node", ""))
        jid = self._own_jid(asker, wanted)
        if jid is None:
            raise StanzaError("forbidden", "you may end your own subscriptions only")
        if jid not in node.subscribers:
            raise refusal("unexpected-request", "not-subscribed")
        self._nodes.unsubscribe(node, jid)

    def _own_jid(self, asker: Asker, wanted: Element) -> str | None:
        """Who is to be subscribed: the account that asks, or one of its sessions that is there."""
        try:
            jid = JID(wanted.attrs.get("jid", ""))
        except InvalidJID:
            return None
        if jid.bare != asker.account:
            return None
        if jid.resource and wanted.name == "subscribe" and self._sessions.get(jid.full) is None:
            return None
        return str(jid.full)

    def _subscriptions(self, asker: Asker, _pubsub: Element, wanted: Element) -> Element:
        only = wanted.attrs.get("node")
        told = [
            subscription(node, jid)
            for node in self._nodes.at(asker.service)
            if only in (None, node.name) and is_subscribed(node, asker.account)
            for jid in sorted(node.subscribers)
            if JID(jid).bare == asker.account
        ]
        attrs = {} if only is None else {"node": only}
        return _told(Element(PUBSUB, "subscriptions", attrs, told))

    def _affiliations(self, asker: Asker, _pubsub: Element, wanted: Element) -> Element:
        only = wanted.attrs.get("node")
        told = []
        for node in self._nodes.at(asker.service):
            held = node.affiliation(asker.account)
            if only in (None, node.name) and held is not Affiliation.NONE:
                attrs = {"node": node.name, "affiliation": held.value}
                told.append(Element(PUBSUB, "affiliation", attrs))
        attrs = {} if only is None else {"node": only}
        return _told(Element(PUBSUB, "affiliations", attrs, told))


def _told(content: Element) -> Element:
    return Element(PUBSUB, "pubsub", None, [content])


def _filled_in(pubsub: Element, part: str, form_type: str) -> dict[str, list[str]]:
    """The form in a part of a request; nothing where there is none."""
    holder = pubsub.child(PUBSUB, part)
    form = holder.child(DATA_FORMS, "x") if holder is not None else None
    return {} if form is None else submitted(form, form_type)


def _published(wanted: Element, configuration: NodeConfiguration) -> tuple[str, str]:
    """The id, which may be empty, and the payload of what is published (section 7.1.3)."""
    items = list(wanted.elements("item"))
    if len(items) > 1:
        raise refusal("bad-request", "invalid-payload", "one item at a time")
    transient = not configuration.persist_items
    if not items:
        if configuration.deliver_payloads or not transient:
            raise refusal("bad-request", "item-required")
        return "", ""
    if transient and not configuration.deliver_payloads:
        raise refusal("bad-request", "item-forbidden")
    payloads = list(items[0].elements())
    if len(payloads) > 1:
        raise refusal("bad-request", "invalid-payload", "an item holds one element")
    if not payloads and configuration.deliver_payloads:
        raise refusal("bad-request", "payload-required")
    return items[0].attrs.get("id", ""), to_text(payloads[0], "") if payloads else ""
