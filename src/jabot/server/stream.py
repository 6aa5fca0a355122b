"""The negotiation of one client's stream (RFC 6120 sections 4 to 7): TLS, SASL, bind.

Does no I/O of its own. The state is the method that takes the next stanza: `_before_login`,
`_before_bind`, then the host's `accept`.
"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from typing import Protocol

from jabot.jid import JID, InvalidJID
from jabot.server import iq
from jabot.server.conditions import StanzaError, StreamError, error_reply, reply_to
from jabot.server.config import ServerConfig
from jabot.server.element import Element, escape_attribute, to_bytes
from jabot.server.host import Host
from jabot.server.namespaces import BIND, CLIENT, LANG, PING, SASL, SESSION, STREAM, TLS
from jabot.server.parser import Event, StreamClosed, StreamFailed, StreamOpened
from jabot.server.sasl import MECHANISMS, SaslError, ScramExchange
from jabot.server.session import Link, Session
from jabot.server.store import Store

log = logging.getLogger(__name__)


class StreamLink(Link, Protocol):
    """What a stream needs of its connection."""

    @property
    def is_encrypted(self) -> bool: ...

    @property
    def peer(self) -> str:
        """The client's address, for the log."""

    def restart(self, limit: int) -> None:
        """Expect a new stream header; drop what was received after the present stanza."""

    def start_tls(self) -> None:
        """Begin the TLS handshake once what was written is out, then expect a new stream."""

    def close(self) -> None:
        """Close once what was written is out."""


class Stream:
    """One client, from its first byte to the end of its session."""

    def __init__(
        self, link: StreamLink, config: ServerConfig, host: Host, store: Store, tls_required: bool
    ) -> None:
        self.session: Session | None = None
        self.header_sent = False
        self._link = link
        self._config = config
        self._host = host
        self._store = store
        self._tls_required = tls_required
        self._take = self._before_login
        self._account = ""
        self._lang = ""
        self._exchange: ScramExchange | None = None
        self._failures = 0

    def receive(self, event: Event) -> None:
        """Handle one event. Raises StreamError when the stream can't go on."""
        if isinstance(event, Element):
            session = self.session
            if session is not None:
                self._host.accept(session, event)
            else:
                self._take(event)
        elif isinstance(event, StreamOpened):
            self._open(event)
        elif isinstance(event, StreamClosed):
            self._link.close()
        elif isinstance(event, StreamFailed):
            raise event.error

    def end(self) -> None:
        """The stream is over, for whatever reason; may be called more than once."""
        session, self.session = self.session, None
        if session is not None:
            self._host.end(session)

    def ping(self) -> None:
        """Ask the client whether it is still there (XEP-0199 section 4.2); any answer will do."""
        session = self.session
        if session is not None:
            attrs = {"type": "get", "id": "ping", "from": self._host.domain, "to": session.full}
            session.send(Element(CLIENT, "iq", attrs, [Element(PING, "ping")]))

    def send_header(self) -> None:
        """Open the server's side of the stream (RFC 6120 section 4.7)."""
        self.header_sent = True
        domain, lang = (escape_attribute(each) for each in (self._host.domain, self._lang or "en"))
        header = (
            "<?xml version='1.0'?>"
            f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAM}' version='1.0' "
            f"from='{domain}' id='{secrets.token_hex(8)}' xml:lang='{lang}'>"
        )
        self._link.write(header.encode())

    def _open(self, event: StreamOpened) -> None:
        self._lang = event.attrs.get(LANG, "")
        self.send_header()
        if event.content_ns != CLIENT:
            raise StreamError("invalid-namespace", "this is a server for clients")
        if not event.attrs.get("version", "").startswith("1."):
            raise StreamError("unsupported-version", "XMPP 1.0 is needed")
        to = event.attrs.get("to")
        if to is not None and not _is_domain(to, self._host.domain):
            raise StreamError("host-unknown", f"this is {self._host.domain}")
        features = Element(STREAM, "stream:features", None, self._features())
        # The prefix is the one that the header declared, so nothing is to be declared here.
        self._link.write(to_bytes(features, STREAM))

    def _features(self) -> list[Element]:
        if self._account:
            session = Element(SESSION, "session", None, [Element(SESSION, "optional")])
            return [Element(BIND, "bind"), session]
        features = []
        if not self._link.is_encrypted:
            required = [Element(TLS, "required")] if self._tls_required else []
            features.append(Element(TLS, "starttls", None, required))
        if self._may_login():
            names = [Element(SASL, "mechanism", None, [name]) for name in MECHANISMS]
            features.append(Element(SASL, "mechanisms", None, names))
        return features

    def _may_login(self) -> bool:
        return self._link.is_encrypted or not self._tls_required

    def _before_login(self, element: Element) -> None:
        if element.ns == TLS and element.name == "starttls" and not self._link.is_encrypted:
            self._exchange = None
            self.header_sent = False
            self._link.write(to_bytes(Element(TLS, "proceed")))
            self._link.start_tls()
        elif element.ns == SASL:
            try:
                self._login(element)
            except SaslError as problem:
                self._refuse_login(problem)
        else:
            raise StreamError("not-authorized", "sign in first")

    def _login(self, element: Element) -> None:
        if not self._may_login():
            raise SaslError("encryption-required")
        if element.name == "auth":
            mechanism = element.attrs.get("mechanism", "")
            if mechanism not in MECHANISMS:
                raise SaslError("invalid-mechanism")
            self._exchange = ScramExchange(
                mechanism, self._host.domain, self._store, self._config.scram_iterations
            )
            if not element.text():
                self._link.write(to_bytes(Element(SASL, "challenge")))  # the client is to begin
                return
        elif element.name == "abort":
            raise SaslError("aborted")
        elif element.name != "response" or self._exchange is None:
            raise SaslError("malformed-request")
        self._answer(self._exchange, _decode(element.text()))

    def _answer(self, exchange: ScramExchange, message: bytes) -> None:
        answer = base64.b64encode(exchange.answer(message)).decode()
        if not exchange.done:
            self._link.write(to_bytes(Element(SASL, "challenge", None, [answer])))
            return
        self._account = exchange.account
        self._exchange = None
        self._take = self._before_bind
        self.header_sent = False
        self._link.write(to_bytes(Element(SASL, "success", None, [answer])))
        self._link.restart(self._config.max_stanza)

    def _refuse_login(self, problem: SaslError) -> None:
        name = self._exchange.account if self._exchange is not None else ""
        log.warning("%s: login refused for %r: %s", self._link.peer, name, problem)
        self._exchange = None
        self._failures += 1
        self._link.write(
            to_bytes(Element(SASL, "failure", None, [Element(SASL, problem.condition)]))
        )
        if self._failures >= self._config.max_logins:
            raise StreamError("policy-violation", "too many failed logins")

    def _before_bind(self, element: Element) -> None:
        if element.ns != CLIENT or element.name != "iq":
            raise StreamError("not-authorized", "bind a resource first")
        bind = element.child(BIND, "bind")
        if bind is None or element.attrs.get("type") != "set":
            raise StreamError("not-authorized", "bind a resource first")
        try:
            iq.check(element)
            jid = self._bound_jid(bind)
        except StanzaError as error:
            reply = error_reply(element, error)
            if reply is not None:
                self._link.write(to_bytes(reply))
            return
        session = Session(jid, self._link, self._lang)
        self._host.begin(session)
        self.session = session
        reply = reply_to(element, "result")
        reply.children.append(Element(BIND, "bind", None, [Element(BIND, "jid", None, [jid.full])]))
        self._link.write(to_bytes(reply))

    def _bound_jid(self, bind: Element) -> JID:
        resource = bind.text_of(BIND, "resource") or secrets.token_hex(8)
        try:
            return JID(f"{self._account}/{resource}")
        except InvalidJID:
            raise StanzaError("bad-request", "the resource is not allowed") from None


def _is_domain(to: str, domain: str) -> bool:
    try:
        return bool(JID(to).full == domain)
    except InvalidJID:
        return False


def _decode(text: str) -> bytes:
    """Base64 as SASL uses it; a lone `=` stands for nothing (RFC 6120 section 6.4.2)."""
    if text == "=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("incorrect-encoding") from None
