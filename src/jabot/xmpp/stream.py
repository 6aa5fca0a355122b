"""One connection to the server, from the first byte to the last. The session makes new ones."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.tostring import tostring

from jabot.account import Account
from jabot.errors import (
    AuthenticationFailed,
    CertificateError,
    ConfigError,
    ConnectionFailed,
    Replaced,
    UnknownHost,
)
from jabot.jid import JID
from jabot.xmpp.frames import IQ

log = logging.getLogger(__name__)

_READ_AT_ONCE = 64 * 1024  # bytes
_TEMPORARY = {"temporary-auth-failure", "aborted", ""}


def tls_context(account: Account) -> ssl.SSLContext:
    """Certificates and names are checked, except on loopback without a CA file of one's own.

    Making a context costs 50 ms, so a session shares one among its connections.
    """
    try:
        context = ssl.create_default_context(cafile=account.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"no certificates can be read from {account.ca_file}: {error}") from None
    if account.on_loopback and account.ca_file is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def over_network(account: Account) -> Callable[..., Stream]:
    """Makes the connections of an account: a `Stream` for each resource."""
    return partial(Stream, account, tls_context(account))


class Stream(ClientXMPP, asyncio.BufferedProtocol):
    """slixmpp's client with its own ideas taken out: it neither reconnects nor keeps a roster, and
    its stanzas go to four functions.

    `on_iq` sees each IQ before slixmpp makes an object of it, and says whether it has taken it;
    `on_room` is called when the line takes more again after `is_choked`.

    `open()` returns when the session is bound, and `closed` is done when the connection is over.
    """

    def __init__(
        self,
        account: Account,
        context: ssl.SSLContext,
        resource: str,
        *,
        on_message: Callable[[ET.Element], None],
        on_presence: Callable[[ET.Element], None],
        on_iq: Callable[[ET.Element], bool],
        on_room: Callable[[], None],
    ) -> None:
        insecure = account.on_loopback and account.ca_file is None
        super().__init__(
            JID(f"{account.jid.bare}/{resource}"),
            account.password,
            plugin_config={"feature_mechanisms": {"unencrypted_scram": insecure}},
            ssl_context=context,
        )
        self._account = account
        self._on_message = on_message
        self._on_presence = on_presence
        self._on_iq = on_iq
        self._on_room = on_room
        self._buffer = memoryview(bytearray(_READ_AT_ONCE))
        self.is_choked = False
        """Whether the line has more to send than it should hold; stanzas are taken all the same."""
        self._opened: asyncio.Future[None] = self.loop.create_future()
        self._problem: ConnectionFailed | None = None
        self._auth_condition = ""
        self.closed: asyncio.Future[ConnectionFailed] = self.loop.create_future()
        self.received_at = self.loop.time()
        self.whitespace_keepalive = False  # the session pings, and looks for the answer
        # PLAIN would show the password to whoever sits behind TLS; SCRAM shows it to nobody.
        self.plugin["feature_mechanisms"].use_mechs = {
            f"SCRAM-SHA-{size}{plus}" for size in (1, 256, 512) for plus in ("", "-PLUS")
        }
        self._listen()

    def _listen(self) -> None:
        """Take what slixmpp tells. Its own two handlers of messages pass by those without a body
        (typing states) and take errors twice."""
        self.remove_handler("IM")
        self.remove_handler("IMError")
        every_message = MatchXPath(f"{{{self.default_ns}}}message")
        self.register_handler(Callback("messages", every_message, self._take_message))
        for event, handler in (
            ("session_start", self._when_started),
            ("connection_failed", self._when_unreachable),
            ("failed_auth", self._when_auth_refused),
            ("failed_all_auth", self._when_auth_failed),
            ("ssl_invalid_chain", self._when_certificate_bad),
            ("disconnected", self._when_disconnected),
        ):
            self.add_event_handler(event, handler)

    async def open(self, limit: float) -> None:
        """Connect, sign in and bind within `limit` seconds; raises `ConnectionFailed`."""
        server = self._account.server
        by_dns = server is None and not self._account.on_loopback
        self.enable_direct_tls = by_dns or (server is not None and server.direct_tls)
        self.enable_starttls = server is None or not server.direct_tls
        self._service_names()
        try:
            async with asyncio.timeout(limit):
                if server is not None:
                    self.connect(server.host, server.port)
                elif self._account.on_loopback:
                    self.connect(self._account.jid.domain, self.default_port)
                else:
                    self.connect()
                ended: set[asyncio.Future[Any]] = {self._opened, self.closed}
                await asyncio.wait(ended, return_when="FIRST_COMPLETED")
        except TimeoutError:
            self._problem = ConnectionFailed(f"{self._where} did not answer within {limit:g} s")
        if self._problem is not None or not self._opened.done():
            self.close()
            raise self._problem or ConnectionFailed(f"{self._where} closed the connection")

    def close(self) -> None:
        """Drop the connection now; does nothing when it is over already."""
        self.cancel_connection_attempt()
        self.abort()
        self._finish()

    def give_up(self, reason: str) -> None:
        """Drop a connection that is good for nothing, for a reason that is told."""
        self._problem = ConnectionFailed(f"{self._where}: {reason}")
        self.close()

    async def leave(self, limit: float) -> None:
        """End the stream in the orderly way (RFC 6120 section 4.4), within `limit` seconds."""
        if not self.closed.done() and self.transport is not None:
            self.transport.write(self.stream_footer.encode())
            await asyncio.wait({self.closed}, timeout=limit)
        self.close()

    def send_element(self, xml: ET.Element) -> None:
        """Send a stanza now, in the order of the calls; raises `ConnectionFailed` when closed."""
        if self.closed.done() or self.transport is None:
            raise self._problem or ConnectionFailed("the connection is closed")
        self.send_raw(tostring(xml, xmlns=self.default_ns, stream=self, top_level=True))

    def send_text(self, xml: str) -> None:
        """Send stanzas that are text already; raises `ConnectionFailed` when closed."""
        if self.closed.done() or self.transport is None:
            raise self._problem or ConnectionFailed("the connection is closed")
        self.transport.write(xml.encode())

    # -- what slixmpp calls ----------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where asyncio reads to. Else it makes 256 KiB for each read, which takes three times as
        long as the read itself."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes | str) -> None:
        self.received_at = self.loop.time()
        super().data_received(data)

    def pause_writing(self) -> None:
        self.is_choked = True

    def resume_writing(self) -> None:
        self.is_choked = False
        self._on_room()

    def _spawn_event(self, xml: ET.Element) -> None:
        """The fast path: frames never become stanza objects, which cost more than a job does."""
        if xml.tag != IQ or not self._on_iq(xml):
            super()._spawn_event(xml)

    def connection_made(self, transport: asyncio.BaseTransport, send_event: bool = True) -> None:
        self._problem = None  # the attempts before this one failed; this one has not
        super().connection_made(transport, send_event)

    def reschedule_connection_attempt(self) -> None:
        """slixmpp would try again for ever, without jitter; the session decides about that."""
        self._current_connection_attempt = None
        self._finish()

    def _take_message(self, message: Any) -> None:
        self._on_message(message.xml)

    def _handle_presence(self, presence: Any) -> None:
        self._on_presence(presence.xml)

    def _handle_stream_error(self, error: Any) -> None:
        condition, text = error["condition"], error["text"]
        log.info("stream error from the server: %s %s", condition, text)
        detail = f" ({text})" if text else ""
        if condition == "conflict":
            self._problem = Replaced(
                f"another program signed in as {self.boundjid} and took this one's place{detail}"
            )
        elif condition == "host-unknown":
            self._problem = UnknownHost(f"{self._where} does not serve {self._account.jid.domain}")
        else:
            self._problem = ConnectionFailed(
                f"{self._where} closed the connection: {condition}{detail}"
            )

    def _when_started(self, _: object) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _when_unreachable(self, reason: object) -> None:
        if isinstance(reason, ssl.SSLCertVerificationError):
            self._when_certificate_bad(reason)
        elif isinstance(reason, ssl.SSLError):
            self._problem = ConnectionFailed(f"no TLS with {self._where}: {reason.reason}")
        elif isinstance(reason, OSError):
            text = os.strerror(reason.errno) if reason.errno else str(reason)
            self._problem = ConnectionFailed(f"cannot reach {self._where}: {text}")
        else:
            self._problem = UnknownHost(f"cannot find {self._where}: there is no such host")

    def _when_auth_refused(self, failure: Any) -> None:
        self._auth_condition = failure["condition"] or ""

    def _when_auth_failed(self, _: object) -> None:
        account = self._account.jid.bare
        if not self.plugin["feature_mechanisms"].attempted_mechs:
            encrypted = self.transport and self.transport.get_extra_info("ssl_object")
            reason = "no SCRAM sign-in" if encrypted else "no TLS, and no password goes without it"
            self._problem = AuthenticationFailed(f"{self._where} offers {reason}")
        elif self._auth_condition in _TEMPORARY:
            self._problem = ConnectionFailed(f"{self._where} cannot check passwords just now")
        else:
            self._problem = AuthenticationFailed(
                f"{self._where} does not accept the account {account} with this password "
                f"({self._auth_condition})"
            )

    def _when_certificate_bad(self, error: Any) -> None:
        reason = getattr(error, "verify_message", "") or str(error)
        self._problem = CertificateError(
            f"the certificate of {self._where} is not to be trusted: {reason}"
        )
        self.abort()

    def _when_disconnected(self, reason: object) -> None:
        if self._problem is None:
            text = str(reason) if reason else "the connection was lost"
            self._problem = ConnectionFailed(f"{self._where}: {text}")
        self._finish()

    def _finish(self) -> None:
        if self._run_out_filters is not None:
            self._run_out_filters.cancel()
        if not self.closed.done():
            self.closed.set_result(self._problem or ConnectionFailed("the connection was closed"))

    @property
    def _where(self) -> str:
        return str(self._account.server or self._account.jid.domain)

    def _service_names(self) -> None:
        """With TLS from the first byte, slixmpp wants to know the service by its DNS name."""
        if self.enable_direct_tls and not self.enable_starttls:
            self.starttls_services = set()
