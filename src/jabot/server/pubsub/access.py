"""Who may read a node, publish to it, and remove items (XEP-0060 sections 4.1 and 4.5)."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.pubsub.configuration import OPEN, PRESENCE, ROSTER, SUBSCRIBERS
from jabot.server.pubsub.node import Affiliation, Item, Node
from jabot.server.pubsub.refusals import refusal
from jabot.server.store import Store

_READERS = (Affiliation.OWNER, Affiliation.PUBLISHER, Affiliation.MEMBER)
_WRITERS = (Affiliation.OWNER, Affiliation.PUBLISHER, Affiliation.PUBLISH_ONLY)


def check_owner(node: Node, account: str) -> None:
    """Raise StanzaError unless the account owns the node."""
    if node.affiliation(account) is not Affiliation.OWNER:
        raise StanzaError("forbidden", "only an owner of the node may do that")


def check_read(node: Node, account: str, store: Store) -> None:
    """Raise StanzaError unless the account may subscribe to the node and read its items."""
    held = node.affiliation(account)
    if held in _READERS:
        return
    if held is not Affiliation.NONE:
        raise StanzaError("forbidden", "you may not read this node")
    model = node.configuration.access_model
    if model == OPEN:
        return
    if model == PRESENCE:
        if not any(store.shows(owner, account) for owner in node.owners):
            raise refusal("not-authorized", "presence-subscription-required")
    elif model == ROSTER:
        if not any(_in_group(store, owner, account, node) for owner in node.owners):
            raise refusal("not-authorized", "not-in-roster-group")
    else:
        raise refusal("not-allowed", "closed-node")


def may_read(node: Node, account: str, store: Store) -> bool:
    """The same as a question."""
    try:
        check_read(node, account, store)
    except StanzaError:
        return False
    return True


def check_publish(node: Node, account: str) -> None:
    """Raise StanzaError unless the account may publish."""
    held = node.affiliation(account)
    if held in _WRITERS:
        return
    model = node.configuration.publish_model
    if held is not Affiliation.OUTCAST:
        if model == OPEN:
            return
        if model == SUBSCRIBERS and is_subscribed(node, account):
            return
    raise StanzaError("forbidden", "you may not publish to this node")


def check_retract(node: Node, account: str, item: Item) -> None:
    """Raise StanzaError unless the account may remove the item: publishers may, and who made it."""
    if node.affiliation(account) in (Affiliation.OWNER, Affiliation.PUBLISHER):
        return
    if node.affiliation(account) is Affiliation.OUTCAST or JID(item.publisher).bare != account:
        raise StanzaError("forbidden", "you may not remove this item")


def is_subscribed(node: Node, account: str) -> bool:
    """As an account, or by one of its sessions."""
    return account in node.subscribers or any(
        each.startswith(f"{account}/") for each in node.subscribers
    )


def _in_group(store: Store, owner: str, account: str, node: Node) -> bool:
    item = store.roster_item(owner, account)
    return (
        item is not None
        and item.from_
        and not set(item.groups).isdisjoint(node.configuration.roster_groups)
    )
