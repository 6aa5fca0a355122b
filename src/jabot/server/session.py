"""Sessions: the resources that are connected now."""

from __future__ import annotations

from typing import Protocol

from jabot.jid import JID
from jabot.server.conditions import StreamError
from jabot.server.element import Element, to_bytes


class Link(Protocol):
    """What a session needs of its connection."""

    def write(self, data: bytes) -> None:
        """Send, soon; never blocks, and never raises when the connection is gone."""

    def fail(self, error: StreamError) -> None:
        """Tell the client the error and close the stream."""


class Session:
    """One bound resource of an account (RFC 6120 section 7)."""

    def __init__(self, jid: JID, link: Link, lang: str = "") -> None:
        self.full: str = jid.full
        self.account: str = jid.bare
        self.link = link
        self.lang = lang  # of the stream, and so of stanzas that name none
        self.write = link.write  # bound once: the hot path
        self.presence: Element | None = None  # the last available one; None: not available
        self.priority = 0
        self.interested = False  # has asked for the roster, so gets roster pushes
        self.directed: set[str] = set()  # who was shown presence without being subscribed
        self.capabilities = ("", "")  # the hash that it showed last (XEP-0115)
        self.wanted_nodes: frozenset[str] = frozenset()  # whose news it wants (XEP-0163)

    def send(self, stanza: Element) -> None:
        self.write(to_bytes(stanza))


class Sessions:
    """All sessions, by account and by full JID."""

    def __init__(self) -> None:
        self._by_full: dict[str, Session] = {}
        self._by_account: dict[str, dict[str, Session]] = {}

    def add(self, session: Session) -> None:
        self._by_full[session.full] = session
        self._by_account.setdefault(session.account, {})[session.full] = session

    def remove(self, session: Session) -> bool:
        """Whether it was there; another session under the same address stays."""
        if self._by_full.get(session.full) is not session:
            return False
        del self._by_full[session.full]
        of_account = self._by_account[session.account]
        del of_account[session.full]
        if not of_account:
            del self._by_account[session.account]
        return True

    def get(self, full: str) -> Session | None:
        return self._by_full.get(full)

    def deliver(self, full: str, data: bytes) -> bool:
        """Send to the session of that full JID; whether it is there."""
        session = self._by_full.get(full)
        if session is not None:
            session.write(data)
        return session is not None

    def of(self, account: str) -> list[Session]:
        return list(self._by_account.get(account, {}).values())

    def available(self, account: str) -> list[Session]:
        """Those that have sent presence, whatever the priority."""
        return [each for each in self.of(account) if each.presence is not None]

    def taking_messages(self, account: str) -> list[Session]:
        """Those available with a priority that is not negative."""
        return [each for each in self.available(account) if each.priority >= 0]

    def top(self, account: str) -> list[Session]:
        """Those that share the highest priority that is not negative."""
        taking = self.taking_messages(account)
        if len(taking) < 2:
            return taking
        best = max(each.priority for each in taking)
        return [each for each in taking if each.priority == best]
