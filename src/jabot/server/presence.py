"""Who is told that a session is there, and that it is gone (RFC 6121 section 4)."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.element import Element, to_bytes
from jabot.server.namespaces import CLIENT
from jabot.server.router import Router
from jabot.server.session import Session, Sessions
from jabot.server.store import Store


class Presence:
    """Broadcasts, probes and directed presence of the accounts of one domain."""

    def __init__(
        self, domain: str, store: Store, sessions: Sessions, router: Router, max_directed: int
    ) -> None:
        self._domain = domain
        self._store = store
        self._sessions = sessions
        self._router = router
        self._max_directed = max_directed

    def update(self, session: Session, stanza: Element) -> None:
        """The session's own presence, sent to nobody in particular."""
        kind = stanza.attrs.get("type")
        if kind is None:
            self._become_available(session, stanza)
        elif kind == "unavailable":
            self.leave(session, stanza)
        elif kind not in ("error", "probe"):
            raise StanzaError("bad-request", f"presence of type {kind!r} needs an address")

    def direct(self, session: Session, stanza: Element, to: JID) -> None:
        """Presence for one address (RFC 6121 section 4.6): noted, so that its end is told too."""
        kind = stanza.attrs.get("type")
        if kind not in (None, "unavailable", "probe", "error"):
            raise StanzaError("bad-request", f"there is no presence of type {kind!r}")
        if kind is None and self._router.serves(to.domain):
            if len(session.directed) >= self._max_directed and to.full not in session.directed:
                raise StanzaError("resource-constraint", "presence was sent to too many addresses")
            session.directed.add(to.full)
        elif kind == "unavailable":
            session.directed.discard(to.full)
        self._router.route(stanza)

    def leave(self, session: Session, stanza: Element | None = None) -> None:
        """Tell all who saw the session that it is gone: it said so, or its stream has ended."""
        if stanza is None:
            stanza = unavailable(session.full)
        told: set[str] = set()
        if session.presence is not None:
            told = self._broadcast(session, stanza)
            session.presence = None
        directed = session.directed
        session.directed = set()
        for address in directed:
            self._tell(stanza, JID(address), told)

    def probe(self, stanza: Element, to: JID) -> None:
        """Answer who asks after an account's presence (RFC 6121 section 4.3.2)."""
        asker = JID(stanza.attrs["from"])
        if self._store.shows(to.bare, asker.bare):
            self.show(to.bare, asker.full)
            return
        attrs = {"type": "unsubscribed", "from": to.bare, "to": asker.full}
        self._router.route(Element(CLIENT, "presence", attrs))

    def show(self, account: str, to: str) -> None:
        """Send the presence of every available session of `account` to one address."""
        for session in self._sessions.available(account):
            if session.presence is not None and session.full != to:
                self._router.route(addressed(session.presence, to))

    def hide(self, account: str, to: str) -> None:
        """Tell one address that no session of `account` is there any more."""
        for session in self._sessions.available(account):
            self._router.route(addressed(unavailable(session.full), to))

    def _become_available(self, session: Session, stanza: Element) -> None:
        session.priority = _priority(stanza)
        first = session.presence is None
        session.presence = stanza
        self._broadcast(session, stanza)
        if first:
            self._gather(session)

    def _gather(self, session: Session) -> None:
        """Show a new session who is there (RFC 6121 section 4.2.2: its probes, answered here)."""
        self.show(session.account, session.full)
        for contact in self._store.watched(session.account):
            if JID(contact).domain == self._domain:
                # Both rosters decide: the contact's side is the one that permits.
                if self._store.shows(contact, session.account):
                    self.show(contact, session.full)
            else:
                attrs = {"type": "probe", "from": session.full, "to": contact}
                self._router.route(Element(CLIENT, "presence", attrs))

    def _broadcast(self, session: Session, stanza: Element) -> set[str]:
        """To all subscribers and to the account's own sessions; gives who was told."""
        told: set[str] = set()
        for contact in [session.account, *self._store.watchers(session.account)]:
            self._tell(stanza, JID(contact), told)
        return told

    def _tell(self, stanza: Element, to: JID, told: set[str]) -> None:
        """Deliver to the sessions of `to` that are not in `told`, and add them to it."""
        if to.domain != self._domain:
            self._router.route(addressed(stanza, to.full))
            return
        if to.resource:
            exact = self._sessions.get(to.full)
            targets = [] if exact is None else [exact]
        else:
            targets = self._sessions.available(to.bare)
        targets = [each for each in targets if each.full not in told]
        if targets:
            data = to_bytes(addressed(stanza, to.full))
            for each in targets:
                told.add(each.full)
                each.write(data)


def addressed(stanza: Element, to: str) -> Element:
    """The same stanza for somebody else; the content is shared."""
    return Element(stanza.ns, stanza.name, {**stanza.attrs, "to": to}, stanza.children)


def unavailable(full: str) -> Element:
    """What the server says for a session that can't say it any more."""
    return Element(CLIENT, "presence", {"type": "unavailable", "from": full})


def _priority(stanza: Element) -> int:
    """RFC 6121 section 4.7.2.3: -128 to 127; 0 when it is not given."""
    text = stanza.text_of(CLIENT, "priority")
    if text is None:
        return 0
    try:
        priority = int(text)
    except ValueError:
        raise StanzaError("bad-request", "the priority is no number") from None
    if not -128 <= priority <= 127:
        raise StanzaError("bad-request", "a priority is between -128 and 127")
    return priority
