"""Messages for those who are not there (XEP-0160)."""

from __future__ import annotations

from jabot.server.conditions import StanzaError
from jabot.server.delay import delay, utc_now
from jabot.server.element import Element, to_bytes
from jabot.server.namespaces import CHAT_STATES, HINTS
from jabot.server.session import Session
from jabot.server.store import Store


class Offline:
    """Keeps at most `limit` messages for each account until a session takes messages."""

    def __init__(self, domain: str, store: Store, limit: int) -> None:
        self._domain = domain
        self._store = store
        self._limit = limit

    def keep(self, account: str, stanza: Element) -> None:
        """Store a chat or normal message. Raises StanzaError for one that can't wait."""
        if not is_worth_keeping(stanza) or not self._store.has_account(account):
            raise StanzaError("service-unavailable")
        if self._store.offline_count(account) >= self._limit:
            raise StanzaError("resource-constraint", "too many messages wait for this user")
        mark = delay(self._domain, utc_now())
        delayed = Element(stanza.ns, stanza.name, stanza.attrs, [*stanza.children, mark])
        self._store.add_offline(account, to_bytes(delayed))

    def flush(self, session: Session) -> None:
        """Hand over what waited, in the order in which it came."""
        for stanza in self._store.take_offline(session.account):
            session.write(stanza)


def is_worth_keeping(stanza: Element) -> bool:
    """XEP-0160 section 3 and XEP-0334: hints decide; "is typing" alone is stale when it is read."""
    if stanza.child(HINTS, "no-store") or stanza.child(HINTS, "no-permanent-store"):
        return False
    if stanza.child(HINTS, "store"):
        return True
    return any(each.ns not in (CHAT_STATES, HINTS) for each in stanza.elements())
