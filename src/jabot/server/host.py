"""The server's own domain: its accounts and their sessions.

What a client sends comes in at `accept`; what anybody sends to an account, or to the server
itself, comes in at `receive` and is delivered as RFC 6121 section 8 says.
"""

from __future__ import annotations

import logging

from jabot.jid import JID
from jabot.server import iq
from jabot.server.capabilities import Capabilities
from jabot.server.conditions import StanzaError, StreamError, read_address
from jabot.server.config import ServerConfig
from jabot.server.element import Element, to_bytes
from jabot.server.information import AccountInformation, ServerInformation
from jabot.server.iq import IqTable
from jabot.server.namespaces import CLIENT, LANG
from jabot.server.offline import Offline
from jabot.server.presence import Presence
from jabot.server.pubsub.service import PubSub
from jabot.server.roster import Roster
from jabot.server.roster_queries import RosterQueries
from jabot.server.router import Router
from jabot.server.session import Session, Sessions
from jabot.server.store import Store
from jabot.server.subscription_states import KINDS as SUBSCRIPTION_KINDS
from jabot.server.subscriptions import Subscriptions

log = logging.getLogger(__name__)


class Host:
    """Joins the parts that serve the accounts of one domain."""

    def __init__(self, config: ServerConfig, domain: str, store: Store, router: Router) -> None:
        self.domain = domain
        self.sessions = Sessions()
        self._server_iqs = IqTable(router.route)
        self._account_iqs = IqTable(router.route)
        self._stopping = False
        self._router = router
        self.pubsub = PubSub(config, f"pubsub.{domain}", store, router, self.sessions)
        self._arrivals = self.pubsub.arrivals
        self._capabilities = Capabilities(domain, self._arrivals.learnt)
        self._offline = Offline(domain, store, config.max_offline)
        self._presence = Presence(domain, store, self.sessions, router, config.max_directed)
        roster = Roster(store, self.sessions, config.max_roster)
        self._subscriptions = Subscriptions(
            store, self.sessions, roster, self._presence, router, self._arrivals
        )
        RosterQueries(roster, self._subscriptions, self.sessions, self._account_iqs)
        ServerInformation(domain, router, self._server_iqs)
        self.pubsub.offer_personal(self._account_iqs)
        AccountInformation(store, self.sessions, self.pubsub.descriptions, self._account_iqs)
        router.add(domain, self)

    # Sessions

    def begin(self, session: Session) -> None:
        """Add a session. One that is there under the same address makes room for it."""
        old = self.sessions.get(session.full)
        if old is not None:
            old.link.fail(StreamError("conflict", "replaced by a new session"))
        self.sessions.add(session)
        log.debug("%s signed in", session.full)

    def end(self, session: Session) -> None:
        """Remove a session whose stream is over; those who saw it are told."""
        if self.sessions.remove(session):
            log.debug("%s is gone", session.full)
            self._capabilities.forget(session)
            self._arrivals.ended(session)
            if not self._stopping:
                self._presence.leave(session)

    def stop(self) -> None:
        """From here on sessions end without a word to others: all of them end."""
        self._stopping = True

    # From a client

    def accept(self, session: Session, stanza: Element) -> None:
        """Take a stanza from a client of ours. Raises StreamError for what is no stanza."""
        if stanza.ns != CLIENT or stanza.name not in ("message", "iq", "presence"):
            raise StreamError("unsupported-stanza-type")
        attrs = stanza.attrs
        # Whatever the client wrote: this is who it is (RFC 6120 section 8.1.2.1).
        attrs["from"] = session.full
        if session.lang and LANG not in attrs:
            attrs[LANG] = session.lang
        try:
            if stanza.name == "presence":
                self._accept_presence(session, stanza)
                return
            if stanza.name == "iq":
                iq.check(stanza)
            # Without an address a stanza is for the account itself (RFC 6120 section 10.3).
            attrs.setdefault("to", session.account)
            self._router.route(stanza)
        except StanzaError as error:
            attrs.setdefault("to", session.account)
            self._router.bounce(stanza, error)

    def _accept_presence(self, session: Session, stanza: Element) -> None:
        if "to" not in stanza.attrs:
            self._show(session, stanza)
            return
        to = read_address(stanza.attrs["to"])
        if stanza.attrs.get("type") in SUBSCRIPTION_KINDS:
            self._subscriptions.send(session.account, stanza, to)
        else:
            self._presence.direct(session, stanza, to)

    def _show(self, session: Session, stanza: Element) -> None:
        """Its presence, for all who see it; a session that comes gets what waits for it."""
        was_there = session.presence is not None
        took_messages = was_there and session.priority >= 0
        self._presence.update(session, stanza)
        if session.presence is None:
            return
        if not was_there:
            self._subscriptions.redeliver(session)
            self._arrivals.available(session)
        if session.priority >= 0 and not took_messages:
            self._offline.flush(session)
        self._capabilities.seen(session)

    # From anybody

    def receive(self, stanza: Element, to: JID) -> None:
        if not to.local:
            self._to_server(stanza)
        elif stanza.name == "message":
            self._message(stanza, to)
        elif stanza.name == "iq":
            self._iq(stanza, to)
        else:
            self._to_presence(stanza, to)

    def _to_server(self, stanza: Element) -> None:
        if stanza.name == "iq":
            self._capabilities.answered(stanza)
            self._server_iqs.answer(stanza)
        elif stanza.name == "message":
            raise StanzaError("service-unavailable")

    def _iq(self, stanza: Element, to: JID) -> None:
        """RFC 6121 section 8.5: a full JID's client answers, a bare JID's server does."""
        if not to.resource:
            self._account_iqs.answer(stanza)
        elif not self.sessions.deliver(to.full, to_bytes(stanza)):
            raise StanzaError("service-unavailable")

    def _message(self, stanza: Element, to: JID) -> None:
        if to.resource and self.sessions.deliver(to.full, to_bytes(stanza)):
            return
        kind = stanza.attrs.get("type")
        if kind == "error":
            return
        if kind == "groupchat":
            raise StanzaError("service-unavailable")
        if kind == "headline":
            # One for a full JID that is gone was for nobody else (section 8.5.3.2.1).
            targets = [] if to.resource else self.sessions.taking_messages(to.bare)
        else:
            targets = self.sessions.top(to.bare)
            if not targets:
                self._offline.keep(to.bare, stanza)
                return
        if targets:
            data = to_bytes(stanza)
            for session in targets:
                session.write(data)

    def _to_presence(self, stanza: Element, to: JID) -> None:
        kind = stanza.attrs.get("type")
        if kind in SUBSCRIPTION_KINDS:
            self._subscriptions.receive(stanza, to)
        elif kind == "probe":
            self._presence.probe(stanza, to)
        elif to.resource:
            self.sessions.deliver(to.full, to_bytes(stanza))
        else:
            data = to_bytes(stanza)
            for session in self.sessions.available(to.bare):
                session.write(data)
