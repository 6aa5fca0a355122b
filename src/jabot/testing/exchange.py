"""A server inside the process: the embedded one without sockets, sign-in and TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from xml.etree import ElementTree as ET

from jabot.account import Account, parse_account_jid
from jabot.errors import ConnectionFailed, Replaced
from jabot.jid import JID
from jabot.server.conditions import StreamError
from jabot.server.config import ServerConfig
from jabot.server.element import Element
from jabot.server.host import Host
from jabot.server.parser import StreamFailed, StreamParser
from jabot.server.router import Router
from jabot.server.session import Session
from jabot.server.store import Credentials, Store

_OPENING: Final = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
_IQ: Final = "{jabber:client}iq"
_PRESENCE: Final = "{jabber:client}presence"
_NOBODY: Final = Credentials(b"", b"", b"", 1)  # no password fits


class Exchange:
    """Carries stanzas between sessions of this process, as the embedded server does: presence,
    messages and queries of its accounts, errors for who is not there, `unavailable` for who went.

    Each domain that an account names is served. `account(jid)` is what nodes and clients sign in
    with.
    """

    def __init__(self) -> None:
        self._config = ServerConfig()
        self._store = Store(None)
        self._router = Router()
        self._hosts: dict[str, Host] = {}
        self._lines: dict[str, _Line] = {}  # by full address
        self._cut_off: set[str] = set()  # full addresses, too

    def account(self, jid: str | JID) -> Account:
        """An account here; it needs no password. Raises `ConfigError` for what is no address."""
        address = parse_account_jid(str(jid))
        if address.domain not in self._hosts:
            self._hosts[address.domain] = Host(
                self._config, address.domain, self._store, self._router
            )
        if not self._store.has_account(address.bare):
            self._store.set_credentials(address.bare, {"": _NOBODY})
        return Account(address, "", lines=lambda account: partial(_Line, self, account))

    def end(self, full: str) -> None:
        """End the session of a full address at once, as when its process was killed: those who saw
        it hear that it is gone."""
        self._lines[full].give_up("the connection was lost")

    def cut_off(self, full: str) -> None:
        """Carry nothing to an address and from it, and tell nobody: the line is dead."""
        self._cut_off.add(full)

    def join(self, full: str) -> None:
        """Carry again what was cut off."""
        self._cut_off.discard(full)

    def close(self) -> None:
        """End all sessions without a word."""
        for host in self._hosts.values():
            host.stop()
        for line in list(self._lines.values()):
            line.close()
        self._store.close()

    # -- what lines call ------------------------------------------------------------------------

    def is_dead(self, full: str) -> bool:
        """Whether nothing comes from there, or gets there."""
        return full in self._cut_off

    def begin(self, line: _Line) -> Callable[[Element], None]:
        """Bind a session; gives what takes its stanzas."""
        host = self._hosts[line.boundjid.domain]
        host.begin(line.session)
        self._lines[line.boundjid.full] = line
        return partial(host.accept, line.session)

    def over(self, line: _Line) -> None:
        """A session has ended."""
        if self._lines.get(line.boundjid.full) is line:
            del self._lines[line.boundjid.full]
        self._hosts[line.boundjid.domain].end(line.session)


class _Line:
    """One connection: a `Line` of the session in front of it (`xmpp/line.py`), and the link of
    the server's session behind it. What comes in is handed on in the next turn of the loop."""

    def __init__(
        self,
        exchange: Exchange,
        account: Account,
        resource: str,
        *,
        on_message: Callable[[ET.Element], None],
        on_presence: Callable[[ET.Element], None],
        on_iq: Callable[[ET.Element], bool],
        on_room: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._on_message = on_message
        self._on_presence = on_presence
        self._on_iq = on_iq
        self.boundjid = JID(f"{account.jid.bare}/{resource}")
        self.closed: asyncio.Future[ConnectionFailed] = self._loop.create_future()
        self.is_choked = False  # it has room for all
        self.received_at = self._loop.time()
        self.session = Session(self.boundjid, self)
        self._parser = StreamParser(ServerConfig().max_stanza, ServerConfig().max_depth)
        self._parser.feed(_OPENING)
        self._accept: Callable[[Element], None] | None = None
        self._incoming: list[bytes] = []

    # -- what the session in front calls: see `Line` ----------------------------------------------

    async def open(self, limit: float) -> None:
        if self._exchange.is_dead(self.boundjid.full):
            await asyncio.sleep(limit)
            raise ConnectionFailed(f"nobody answered within {limit:g} s")
        self._accept = self._exchange.begin(self)

    def close(self) -> None:
        self.give_up("the connection was closed")

    def give_up(self, reason: str) -> None:
        self._end(ConnectionFailed(reason))

    async def leave(self, limit: float) -> None:
        self.close()

    def send_element(self, xml: ET.Element) -> None:
        self.send_text(ET.tostring(xml, encoding="unicode"))

    def send_text(self, xml: str) -> None:
        if self._accept is None or self.closed.done():
            raise ConnectionFailed("the connection is closed")
        if self._exchange.is_dead(self.boundjid.full):
            return
        try:
            for event in self._parser.feed(xml.encode()):
                if isinstance(event, StreamFailed):
                    raise event.error
                if isinstance(event, Element):
                    self._accept(event)
        except StreamError as error:
            self.fail(error)

    # -- what the server's session calls: see `Link` ----------------------------------------------

    def write(self, data: bytes) -> None:
        if self._exchange.is_dead(self.boundjid.full):
            return
        if not self._incoming:
            self._loop.call_soon(self._hand_on)
        self._incoming.append(data)

    def fail(self, error: StreamError) -> None:
        kind = Replaced if error.condition == "conflict" else ConnectionFailed
        self._end(kind(f"the server closed the connection: {error}"))

    # -- within -------------------------------------------------------------------------------

    def _end(self, problem: ConnectionFailed) -> None:
        if self.closed.done():
            return
        self.closed.set_result(problem)
        self._parser.close()
        if self._accept is not None:
            self._exchange.over(self)

    def _hand_on(self) -> None:
        incoming, self._incoming = self._incoming, []
        stanzas = b"<s xmlns='jabber:client'>" + b"".join(incoming) + b"</s>"
        stream = ET.fromstring(stanzas)  # noqa: S314  # the server's parser has read and written it
        for stanza in stream:
            if self.closed.done():
                return
            self.received_at = self._loop.time()
            if stanza.tag == _IQ:
                if not self._on_iq(stanza) and stanza.get("type") in ("get", "set"):
                    self.send_element(_not_done(stanza))
            elif stanza.tag == _PRESENCE:
                self._on_presence(stanza)
            else:
                self._on_message(stanza)


def _not_done(iq: ET.Element) -> ET.Element:
    """The answer to a request that nobody here does (RFC 6120 section 8.2.3)."""
    attributes: dict[str, Any] = {"type": "error", "id": iq.get("id", "")}
    answer = ET.Element(_IQ, attributes | {"to": iq.get("from", "")})
    error = ET.SubElement(answer, "{jabber:client}error", {"type": "cancel"})
    ET.SubElement(error, "{urn:ietf:params:xml:ns:xmpp-stanzas}service-unavailable")
    return answer
