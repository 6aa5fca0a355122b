"""Contact lists: what they hold, and how clients are told of a change (RFC 6121 section 2)."""

from __future__ import annotations

import secrets

from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.namespaces import CLIENT, ROSTER
from jabot.server.session import Sessions
from jabot.server.store import RosterItem, Store
from jabot.server.subscription_states import State


class Roster:
    """The rosters of all accounts."""

    def __init__(self, store: Store, sessions: Sessions, limit: int) -> None:
        self._store = store
        self._sessions = sessions
        self._limit = limit

    def items(self, account: str) -> list[RosterItem]:
        """What the account sees: not the requests that it has not answered."""
        return [item for item in self._store.roster(account) if is_visible(item)]

    def item(self, account: str, contact: str) -> RosterItem | None:
        return self._store.roster_item(account, contact)

    def item_or_new(self, account: str, contact: str) -> RosterItem:
        """A new one is kept by `save`. Raises StanzaError when there is no room for it."""
        item = self.item(account, contact)
        if item is None and self._store.roster_size(account) >= self._limit:
            raise StanzaError("resource-constraint", "the roster is full")
        return item or RosterItem(contact)

    def save(self, account: str, item: RosterItem) -> None:
        """Keep the item, or drop it when nothing is left to keep; clients are not told."""
        if is_visible(item) or item.request is not None:
            self._store.put_roster_item(account, item)
        else:
            self._store.delete_roster_item(account, item.contact)

    def delete(self, account: str, contact: str) -> None:
        """Remove the contact, and tell the account's clients."""
        self._store.delete_roster_item(account, contact)
        self._push(account, Element(ROSTER, "item", {"jid": contact, "subscription": "remove"}))

    def push(self, account: str, item: RosterItem) -> None:
        """Tell the account's clients what became of the item (RFC 6121 section 2.1.6)."""
        self._push(account, to_element(item))

    def _push(self, account: str, item: Element) -> None:
        for session in self._sessions.of(account):
            if session.interested:
                attrs = {"type": "set", "id": f"push-{secrets.token_hex(6)}", "to": session.full}
                query = Element(ROSTER, "query", None, [item])
                session.send(Element(CLIENT, "iq", attrs, [query]))


def state_of(item: RosterItem) -> State:
    return State((item.to, item.from_, item.ask, item.request is not None))


def is_visible(item: RosterItem) -> bool:
    return item.listed or item.to or item.from_ or item.ask


def to_element(item: RosterItem) -> Element:
    """The item as clients read it (RFC 6121 section 2.1.2)."""
    attrs = {"jid": item.contact, "subscription": _SUBSCRIPTION[item.to, item.from_]}
    if item.name:
        attrs["name"] = item.name
    if item.ask:
        attrs["ask"] = "subscribe"
    return Element(
        ROSTER, "item", attrs, [Element(ROSTER, "group", None, [each]) for each in item.groups]
    )


_SUBSCRIPTION = {
    (False, False): "none",
    (True, False): "to",
    (False, True): "from",
    (True, True): "both",
}
