"""Somebody who chats, and remembers all that came."""

import asyncio
import functools
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

from slixmpp import JID, ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from servers import Account, Server

from .waiting import LIMIT

T = TypeVar("T")

CHAT_STATES = "http://jabber.org/protocol/chatstates"
CORRECT = "urn:xmpp:message-correct:0"
_CLIENT = "{jabber:client}"


@dataclass(frozen=True)
class Heard:
    """A text that came."""

    sender: JID
    body: str
    id: str
    replaces: str | None  # the id of the text that this one corrects
    state: str | None  # typing state
    delayed: bool  # it waited on the server
    at: float  # seconds on the loop's clock


@dataclass(frozen=True)
class Seen:
    """A presence that came."""

    sender: JID
    type: str
    show: str
    status: str
    priority: str


class Person(ClientXMPP):
    """Signed in with a checked certificate; what comes is kept in the lists below."""

    def __init__(
        self,
        server: Server,
        account: Account,
        features: tuple[str, ...] = (CHAT_STATES, CORRECT),
        resource: str = "chat",
    ) -> None:
        super().__init__(
            f"{account.jid}/{resource}",
            account.password,
            ssl_context=_context(server.ca_file),
        )
        self.account = account
        self.home = server
        self.enable_direct_tls = False
        self.texts: list[Heard] = []
        self.typing: list[tuple[JID, str]] = []
        self.presences: list[Seen] = []
        self.errors: list[tuple[JID, str]] = []
        """Who a text of ours could not be brought to, and the condition."""
        self._unread: list[Heard] = []
        self._news = asyncio.Event()
        self._online: asyncio.Future[None] = self.loop.create_future()
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        for feature in features:
            self.plugin["xep_0030"].add_feature(feature)
        self.add_event_handler("session_start", lambda _: self._settle())
        for problem in ("connection_failed", "failed_all_auth", "ssl_invalid_chain"):
            self.add_event_handler(problem, lambda error: self._settle(str(error)))
        for name, handler in (("message", self._message), ("presence", self._presence)):
            self.register_handler(
                Callback(f"note a {name}", MatchXPath(f"{_CLIENT}{name}"), handler)
            )

    @property
    def bodies(self) -> list[str]:
        """All texts, in the order in which they came."""
        return [text.body for text in self.texts]

    def say(self, to: JID | str, line: str, **attributes: str) -> None:
        """Send a line of chat."""
        message = self.make_message(JID(to), line, mtype="chat")
        for name, value in attributes.items():
            message[name] = value
        message.send()

    async def ask(self, to: JID | str, line: str, pattern: str = "") -> Heard:
        """Send a line and wait for a text that matches."""
        self.say(to, line)
        return await self.hear(pattern)

    async def hear(self, pattern: str = "", limit: float = LIMIT) -> Heard:
        """Wait for a text that matches, also an earlier one, but each text is given only once."""

        def find() -> Heard | None:
            for text in self._unread:
                if re.search(pattern, text.body, re.DOTALL):
                    self._unread.remove(text)
                    return text
            return None

        return await self.until(find, f"a text like {pattern!r}", limit)

    async def see(self, sender: JID | str, limit: float = LIMIT, **wanted: str) -> Seen:
        """Wait for a presence of `sender` (bare: of any resource) with these properties.

        An earlier one counts; show and status are matched as a whole.
        """

        def find() -> Seen | None:
            for seen in self.presences:
                if JID(sender) in (seen.sender, JID(seen.sender.bare)) and all(
                    getattr(seen, name) == value for name, value in wanted.items()
                ):
                    return seen
            return None

        return await self.until(find, f"a presence of {sender} with {wanted}", limit)

    async def greet(self, to: JID | str) -> Seen:
        """Send presence to somebody until they show themselves."""
        while True:
            self.send_presence(pto=JID(to))
            try:
                return await self.see(to, limit=0.3, type="available")
            except AssertionError:
                continue

    async def until(self, condition: Callable[[], T | None], what: str, limit: float = LIMIT) -> T:
        """Wait until the condition gives something; it is looked at when a stanza came."""
        deadline = asyncio.get_running_loop().time() + limit
        while not (found := condition()):
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                raise AssertionError(
                    f"{self.account.jid} waited {limit:g} s for {what};\n"
                    f"heard: {self.bodies[-20:]}\nsaw: {self.presences[-10:]}\n"
                    f"typing: {self.typing}\nerrors: {self.errors}"
                ) from None
        return found

    async def round_trip(self) -> None:
        """The server has handled all that we sent, and we all that it had sent before that."""
        await self.plugin["xep_0199"].ping(JID(self.boundjid.domain), timeout=LIMIT)

    async def sign_in(self, address: str = "") -> None:
        host, _, port = (address or self.home.address).rpartition(":")
        self.connect(host, int(port))
        async with asyncio.timeout(LIMIT):
            await self._online

    async def sign_out(self) -> None:
        self.cancel_connection_attempt()
        async with asyncio.timeout(LIMIT):
            await self.disconnect()

    def _settle(self, problem: str | None = None) -> None:
        if self._online.done():
            return
        if problem is None:
            self._online.set_result(None)
        else:
            self._online.set_exception(ConnectionError(problem))

    def _message(self, message: Any) -> None:
        xml: ET.Element = message.xml
        sender = message["from"]
        body = xml.findtext(f"{_CLIENT}body")
        state = next(
            (c.tag.rpartition("}")[2] for c in xml if c.tag.startswith(f"{{{CHAT_STATES}}}")), None
        )
        if message["type"] == "error":
            self.errors.append((sender, message["error"]["condition"]))
        elif body is not None:
            replace = xml.find(f"{{{CORRECT}}}replace")
            text = Heard(
                sender,
                body,
                message["id"],
                replace.get("id") if replace is not None else None,
                state,
                xml.find("{urn:xmpp:delay}delay") is not None,
                self.loop.time(),
            )
            self.texts.append(text)
            self._unread.append(text)
        elif state is not None:
            self.typing.append((sender, state))
        self._news.set()

    def _presence(self, presence: Any) -> None:
        xml: ET.Element = presence.xml
        if presence["from"] != self.boundjid:
            self.presences.append(
                Seen(
                    presence["from"],
                    xml.get("type", "available"),
                    xml.findtext(f"{_CLIENT}show", ""),
                    xml.findtext(f"{_CLIENT}status", ""),
                    xml.findtext(f"{_CLIENT}priority", "0"),
                )
            )
        self._news.set()


@asynccontextmanager
async def signed_in(
    server: Server,
    account: Account | None = None,
    features: tuple[str, ...] = (CHAT_STATES, CORRECT),
    resource: str = "chat",
) -> AsyncIterator[Person]:
    """A person who is online and shows it; with an account of their own unless one is given."""
    person = Person(server, account or server.fresh_user("ann"), features, resource)
    try:
        await person.sign_in()
        await person.get_roster()  # some servers tell of subscriptions only to who has asked
        person.send_presence()
        yield person
    finally:
        await person.sign_out()


@functools.cache
def _context(ca_file: Path | None) -> ssl.SSLContext:
    """One for all people: making it takes longer than signing in."""
    return ssl.create_default_context(cafile=ca_file)
