"""A host without sockets: sessions whose links are lists."""

from collections.abc import Iterator

import pytest

from jabot.jid import JID
from jabot.server.conditions import StreamError
from jabot.server.config import ServerConfig
from jabot.server.element import Element
from jabot.server.host import Host
from jabot.server.parser import StreamParser
from jabot.server.router import Router
from jabot.server.sasl import hash_password
from jabot.server.session import Session
from jabot.server.store import Store

OPENING = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "version='1.0'>"
)


def parse(xml: str) -> list[Element]:
    """The stanzas in `xml`, read as a client would read them."""
    parser = StreamParser(10_000_000, 100)
    events = parser.feed((OPENING + xml).encode())
    stanzas = [event for event in events[1:] if isinstance(event, Element)]
    assert len(stanzas) == len(events) - 1, events
    parser.close()
    return stanzas


class FakeLink:
    def __init__(self) -> None:
        self.data = b""
        self.error: StreamError | None = None
        self.on_fail = lambda: None

    def write(self, data: bytes) -> None:
        self.data += data

    def fail(self, error: StreamError) -> None:
        self.error = error
        self.on_fail()


class Client:
    """One session of the host, driven by hand."""

    def __init__(self, host: Host, jid: str) -> None:
        self.link = FakeLink()
        self.session = Session(JID(jid), self.link)
        self.link.on_fail = lambda: host.end(self.session)
        self._host = host
        host.begin(self.session)

    def send(self, xml: str) -> None:
        for stanza in parse(xml):
            self._host.accept(self.session, stanza)

    def take(self) -> list[Element]:
        """What arrived since the last call."""
        data, self.link.data = self.link.data, b""
        return parse(data.decode())

    def take_one(self) -> Element:
        [stanza] = self.take()
        return stanza

    def available(self, priority: int = 0) -> "Client":
        self.send(f"<presence><priority>{priority}</priority></presence>")
        self.take()
        return self

    def lose(self) -> None:
        self._host.end(self.session)


SECRET = hash_password("secret", 4096)


class Town:
    """A host with the accounts ann, bob and cat."""

    def __init__(self, config: ServerConfig) -> None:
        self.store = Store(None)
        self.router = Router()
        self.host = Host(config, "localhost", self.store, self.router)
        for name in ("ann", "bob", "cat"):
            self.store.set_credentials(f"{name}@localhost", SECRET)

    def client(self, jid: str) -> Client:
        return Client(self.host, jid)

    def friends(self, one: str, other: str) -> None:
        """Subscribe the accounts to each other, and sign out again."""
        first, second = self.client(f"{one}@localhost/f"), self.client(f"{other}@localhost/f")
        for a, b, to in ((first, second, other), (second, first, one)):
            me = other if to == one else one
            a.send(f"<presence type='subscribe' to='{to}@localhost'/>")
            b.send(f"<presence type='subscribed' to='{me}@localhost'/>")
        first.lose()
        second.lose()


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town(ServerConfig(max_offline=3, max_roster=4, max_directed=5))
    yield made
    made.store.close()


def error_of(stanza: Element) -> str:
    """The condition of an error stanza."""
    assert stanza.attrs["type"] == "error", stanza
    error = stanza.child("jabber:client", "error")
    assert error is not None
    condition = next(error.elements())
    assert condition.ns == "urn:ietf:params:xml:ns:xmpp-stanzas"
    return condition.name


@pytest.fixture(name="error_of")
def _error_of() -> object:
    return error_of


@pytest.fixture(name="parse")
def _parse() -> object:
    return parse
