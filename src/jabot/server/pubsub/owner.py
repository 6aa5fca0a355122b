"""What the owners of a node ask for (XEP-0060 section 8)."""

from __future__ import annotations

from collections.abc import Callable

from jabot.jid import JID, InvalidJID
from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.forms import Form, submitted
from jabot.server.namespaces import DATA_FORMS, PUBSUB_OWNER
from jabot.server.pubsub.access import check_owner, check_read
from jabot.server.pubsub.configuration import FORM_TYPE, NodeConfiguration
from jabot.server.pubsub.node import Affiliation, Node, affiliation, subscription
from jabot.server.pubsub.nodes import Nodes
from jabot.server.pubsub.notifications import Notifier
from jabot.server.pubsub.refusals import refusal
from jabot.server.pubsub.requests import Asker
from jabot.server.store import Store

Handler = Callable[[Node, Element], Element | None]
"""Takes the node, which the asker owns, and what says what is wanted."""


class OwnerRequests:
    """Answers `<pubsub/>` in the namespace of owners."""

    def __init__(
        self, nodes: Nodes, store: Store, form: Form[NodeConfiguration], notifier: Notifier
    ) -> None:
        self._nodes = nodes
        self._store = store
        self._form = form
        self._notifier = notifier
        self._handlers: dict[tuple[str, str], Handler] = {
            ("get", "configure"): self._get_form,
            ("set", "configure"): self._configure,
            ("get", "affiliations"): self._get_affiliations,
            ("set", "affiliations"): self._affiliate,
            ("get", "subscriptions"): self._get_subscriptions,
            ("set", "subscriptions"): self._change_subscriptions,
            ("set", "purge"): self._purge,
            ("set", "delete"): self._delete,
        }

    def answer(self, asker: Asker, kind: str, pubsub: Element) -> Element | None:
        """The content of the result. Raises StanzaError."""
        wanted = next(pubsub.elements(), None)
        if wanted is not None and (kind, wanted.name) == ("get", "default"):
            form = self._form.offer(asker.defaults)
            return _pubsub(Element(PUBSUB_OWNER, "default", None, [form]))
        handler = self._handlers.get((kind, wanted.name)) if wanted is not None else None
        if wanted is None or handler is None:
            raise StanzaError("bad-request", "there is nothing in it that is known here")
        node = self._nodes.find(asker.service, wanted.attrs.get("node", ""))
        check_owner(node, asker.account)
        return handler(node, wanted)

    # Configuration

    def _get_form(self, node: Node, _wanted: Element) -> Element:
        form = self._form.offer(node.configuration)
        return _pubsub(Element(PUBSUB_OWNER, "configure", {"node": node.name}, [form]))

    def _configure(self, node: Node, wanted: Element) -> None:
        form = wanted.child(DATA_FORMS, "x")
        if form is None:
            raise StanzaError("bad-request", "there is no form")
        if form.attrs.get("type") == "cancel":
            return
        after = self._form.changed(node.configuration, submitted(form, FORM_TYPE))
        if after == node.configuration:
            return
        removed = self._nodes.configure(node, after)
        told = self._form.offer(after)
        told.attrs["type"] = "result"
        self._notifier.configured(node, told)
        self._notifier.retracted(node, removed)

    # Affiliations and subscriptions

    def _get_affiliations(self, node: Node, _wanted: Element) -> Element:
        told = (
            Element(PUBSUB_OWNER, "affiliation", {"jid": account, "affiliation": held.value})
            for account, held in sorted(node.affiliations.items())
        )
        return _pubsub(Element(PUBSUB_OWNER, "affiliations", {"node": node.name}, told))

    def _affiliate(self, node: Node, wanted: Element) -> None:
        changed = {}
        for each in wanted.elements("affiliation"):
            if "affiliation" in each.attrs:
                changed[_account(each)] = affiliation(each.attrs["affiliation"])
        if not changed:
            raise StanzaError("bad-request", "no affiliation is named")
        self._nodes.affiliate(node, changed)
        for account, held in changed.items():
            if held in (Affiliation.OUTCAST, Affiliation.PUBLISH_ONLY):
                self._end_subscriptions(node, account)

    def _get_subscriptions(self, node: Node, _wanted: Element) -> Element:
        told = (subscription(node, jid, ns=PUBSUB_OWNER) for jid in sorted(node.subscribers))
        return _pubsub(Element(PUBSUB_OWNER, "subscriptions", {"node": node.name}, told))

    def _change_subscriptions(self, node: Node, wanted: Element) -> None:
        changes = [
            (_account(each), each.attrs["subscription"])
            for each in wanted.elements("subscription")
            if "subscription" in each.attrs
        ]
        for account, state in changes:
            if state == "subscribed":
                check_read(node, account, self._store)
            elif state != "none":
                raise StanzaError("not-acceptable", f"a subscription can't be {state!r} here")
        for account, state in changes:
            if state == "subscribed":
                self._nodes.subscribe(node, account)
            else:
                self._end_subscriptions(node, account)

    def _end_subscriptions(self, node: Node, account: str) -> None:
        for jid in sorted(node.subscribers):
            if JID(jid).bare == account:
                self._nodes.unsubscribe(node, jid)
                self._notifier.unsubscribed(node, jid)

    # Ends

    def _purge(self, node: Node, _wanted: Element) -> None:
        self._nodes.purge(node)
        self._notifier.purged(node)

    def _delete(self, node: Node, _wanted: Element) -> None:
        self._nodes.delete(node)
        self._notifier.deleted(node)


def _account(element: Element) -> str:
    try:
        account: str = JID(element.attrs.get("jid", "")).bare
    except InvalidJID:
        raise refusal("bad-request", "invalid-jid") from None
    if "@" not in account:
        raise refusal("bad-request", "invalid-jid")
    return account


def _pubsub(content: Element) -> Element:
    return Element(PUBSUB_OWNER, "pubsub", None, [content])
