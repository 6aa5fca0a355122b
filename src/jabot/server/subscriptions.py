"""Presence subscriptions: asking, granting, ending (RFC 6121 section 3)."""

from __future__ import annotations

from dataclasses import replace

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.element import Element, to_text
from jabot.server.namespaces import CLIENT
from jabot.server.presence import Presence
from jabot.server.pubsub.arrivals import Arrivals
from jabot.server.roster import Roster, state_of
from jabot.server.router import Router
from jabot.server.session import Session, Sessions
from jabot.server.store import RosterItem, Store
from jabot.server.subscription_states import State, Step, inbound, outbound

_MAX_REQUEST = 2_048  # characters of a request that are kept; a longer one loses its content


class Subscriptions:
    """Moves both sides of a subscription on; the states are in `subscription_states`."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        roster: Roster,
        presence: Presence,
        router: Router,
        arrivals: Arrivals,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._roster = roster
        self._presence = presence
        self._router = router
        self._arrivals = arrivals

    def send(self, account: str, stanza: Element, to: JID) -> None:
        """A subscription stanza from an account of ours (RFC 6121 A.2)."""
        contact: str = to.bare
        if contact == account:
            return  # an account always sees its own sessions
        if not self._router.serves(to.domain):
            raise StanzaError("remote-server-not-found")
        kind = stanza.attrs["type"]
        item = self._item(account, contact, kind)
        step = outbound(state_of(item), kind)
        wanted = kind in ("subscribe", "subscribed") and step.state is not State.NONE
        self._change(account, replace(item, listed=item.listed or wanted), item, step)
        if not step.passed:
            return
        attrs = {**stanza.attrs, "from": account, "to": contact}
        self._router.route(Element(CLIENT, "presence", attrs, stanza.children))
        if kind == "subscribed":
            self._presence.show(account, contact)
            self._arrivals.granted(account, contact)
        elif kind == "unsubscribed" and item.from_:
            self._presence.hide(account, contact)

    def receive(self, stanza: Element, to: JID) -> None:
        """A subscription stanza for an account of ours (RFC 6121 A.3)."""
        account: str = to.bare
        contact: str = JID(stanza.attrs["from"]).bare
        if not self._store.has_account(account):
            return  # RFC 6121 section 8.5.1: silently
        kind = stanza.attrs["type"]
        item = self._item(account, contact, kind)
        if kind == "subscribe" and item.from_:
            attrs = {"type": "subscribed", "from": account, "to": contact}
            self._router.route(Element(CLIENT, "presence", attrs))
            return
        step = inbound(state_of(item), kind)
        if not step.passed:
            return
        for session in self._sessions.of(account):
            if session.presence is not None or session.interested:
                session.send(stanza)
        request = _kept(stanza) if kind == "subscribe" else item.request
        self._change(account, replace(item, request=request), item, step)
        if kind == "unsubscribe" and item.from_:
            self._presence.hide(account, contact)

    def redeliver(self, session: Session) -> None:
        """Show a new session the requests that wait for an answer (RFC 6121 section 3.1.3)."""
        for request in self._store.requests(session.account):
            session.write(request.encode())

    def cancel(self, account: str, item: RosterItem) -> None:
        """End both directions, before the contact is removed (RFC 6121 section 2.5.2)."""
        contact = JID(item.contact)
        if not self._router.serves(contact.domain):
            return
        kinds = []
        if item.to or item.ask:
            kinds.append("unsubscribe")
        if item.from_ or item.request is not None:
            kinds.append("unsubscribed")
        for kind in kinds:
            self.send(account, Element(CLIENT, "presence", {"type": kind}), contact)

    def _item(self, account: str, contact: str, kind: str) -> RosterItem:
        """Where the two stand. Raises StanzaError for a request that there is no room for."""
        if kind == "subscribe":
            return self._roster.item_or_new(account, contact)
        return self._roster.item(account, contact) or RosterItem(contact)

    def _change(self, account: str, item: RosterItem, before: RosterItem, step: Step) -> None:
        to, from_, ask, requested = step.state.value
        request = item.request if requested else None
        after = replace(item, to=to, from_=from_, ask=ask, request=request)
        if after == before:
            return
        self._roster.save(account, after)
        # A request that waits is no part of the roster, so clients are told of the rest only.
        if replace(after, request=None) != replace(before, request=None):
            self._roster.push(account, after)


def _kept(stanza: Element) -> str:
    """The request as it waits: a stranger must not fill the disk of whom it asks."""
    text = to_text(stanza)
    if len(text) <= _MAX_REQUEST:
        return text
    return to_text(Element(stanza.ns, stanza.name, stanza.attrs))
