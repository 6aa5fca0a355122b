"""Sessions of the embedded server: limits, silence, loss, the end, and many at once."""

import asyncio
import socket

import pytest
import slixmpp
from embedded_client import TIMEOUT, USERS, Raw, signed_in

import jabot.testing
from jabot.errors import ConfigError
from jabot.server import Server, ServerConfig


@pytest.fixture
def pair(ann, bob):
    return ann, bob


async def test_a_message_and_its_order(pair):
    ann, bob = pair
    ann.send("".join(f"<message to='{bob.jid}' id='{i}' from='x@y'/>" for i in range(500)))
    await ann.sync()
    got = await bob.sync()
    assert [f"id='{i}'" in part for i, part in enumerate(got.split("<message ")[1:])] == [
        True
    ] * 500
    assert got.count(f"from='{ann.jid}'") == 500


async def test_an_iq_between_clients(pair):
    ann, bob = pair
    ann.send(f"<iq type='get' to='{bob.jid}' id='q'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert f"from='{ann.jid}'" in await bob.until("</iq>")
    bob.send(f"<iq type='result' to='{ann.jid}' id='q'/>")
    assert f"from='{bob.jid}'" in await ann.until("<iq[^>]*id='q'[^>]*/>")


@pytest.mark.parametrize("how", ["abort", "eof", "close", "stream"])
async def test_whoever_saw_a_session_learns_that_it_is_gone(sign_in, pair, how):
    _, bob = pair
    cat = await sign_in("ann", "cat", presence="")
    cat.send(f"<presence to='{bob.jid}'/>")
    await bob.until("<presence[^>]*/>")
    if how == "abort":
        cat.writer.transport.abort()
    elif how == "eof":
        cat.writer.write_eof()
    elif how == "close":
        await cat.close()
    else:
        cat.send("</stream:stream>")
    gone = await bob.until("<presence[^>]*/>")
    assert "type='unavailable'" in gone
    assert "from='ann@localhost/cat'" in gone


@pytest.mark.parametrize(
    ("xml", "condition"),
    [
        ("<message><body>" + "x" * 300_000, "policy-violation"),
        ("<a>" * 100, "policy-violation"),
        ("<message>&lol;</message>", "restricted-xml"),
        ("<r xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"),
        ("<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
        ("<message></iq>", "not-well-formed"),
        ("hello", "bad-format"),
    ],
)
async def test_what_ends_the_stream_ends_it_for_one_only(pair, xml, condition):
    ann, bob = pair
    ann.send(xml)
    assert f"<{condition} " in await ann.end()
    await bob.sync()


async def test_a_stanza_just_under_the_limit_passes(pair):
    ann, bob = pair
    stanza = f"<message to='{bob.jid}'><body>{{}}</body></message>"
    stanza = stanza.format("x" * (262_144 - len(stanza)))
    ann.send(stanza)
    assert len(await bob.until("</message>")) > 262_000


# --- silence ------------------------------------------------------------------------------------


@pytest.mark.server(ping_interval=0.05, ping_timeout=5)
async def test_a_silent_client_is_pinged_and_stays_when_it_answers(sign_in):
    ann = await sign_in()
    for _ in range(2):
        ping = await ann.until("</iq>")
        assert "<ping xmlns='urn:xmpp:ping'/>" in ping
        assert "from='localhost'" in ping
        ann.send("<iq type='result' id='ping' to='localhost'/>")
    await ann.sync()


@pytest.mark.server(ping_interval=0.1, ping_timeout=0.5)
async def test_a_client_that_answers_no_ping_is_gone(sign_in):
    bob = await sign_in("bob", "b")
    answering = asyncio.create_task(_answer_pings(bob))
    ann = await sign_in("ann", "a")
    ann.send(f"<presence to='{bob.jid}'/>")
    assert "<connection-timeout " in await ann.end()
    gone = await answering
    assert "from='ann@localhost/a'" in gone


async def _answer_pings(client):
    """Until presence of type unavailable arrives, which is given."""
    while "unavailable" not in (got := await client.until("</iq>|type='unavailable'[^>]*>")):
        client.send("<iq type='result' id='ping' to='localhost'/>")
    return got


@pytest.mark.server(max_backlog=500_000)
async def test_a_client_that_reads_nothing_is_closed(sign_in):
    """Its share of the server's memory is bounded, and nobody else waits for it."""
    slow, ann = await sign_in("bob", "slow"), await sign_in("ann", "a")
    watcher = await sign_in("bob", "watcher")
    await slow.sync()
    slow.writer.transport.pause_reading()
    flood = asyncio.create_task(_flood(ann, slow.jid))
    gone = await watcher.until("<presence[^>]*type='unavailable'[^>]*>")
    assert f"from='{slow.jid}'" in gone
    flood.cancel()
    await ann.sync()
    slow.writer.transport.abort()


async def _flood(client, to):
    while True:
        client.send(f"<message to='{to}' type='headline'><body>{'x' * 100_000}</body></message>")
        await client.writer.drain()


@pytest.mark.server(write_timeout=0.2)
async def test_a_client_that_stops_reading_is_closed_though_little_waits(server, sign_in):
    watcher, ann = await sign_in("bob", "w"), await sign_in("ann", "a")
    slow = await _small_reader(server)
    for _ in range(60):  # more than the sockets hold, less than the limit
        ann.send(f"<message to='{slow.jid}'><body>{'x' * 100_000}</body></message>")
    gone = await watcher.until("<presence[^>]*type='unavailable'[^>]*>")
    assert f"from='{slow.jid}'" in gone
    slow.writer.transport.abort()
    await slow.close()


async def _small_reader(server):
    """A session of bob whose kernel takes little, and which reads nothing any more."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (server.host, server.port))
    client = Raw(*await asyncio.open_connection(sock=sock))
    await client.open()
    await client.login("bob", "secret")
    await client.open()
    await client.bind("slow")
    client.send("<presence/>")
    await client.sync()
    client.writer.transport.pause_reading()
    return client


# --- the end ------------------------------------------------------------------------------------


async def test_stopping_says_so_and_loses_nothing(tmp_path):
    limits = {"close_timeout": 0.2}
    async with jabot.testing.server(users=USERS, data=tmp_path, **limits) as server:
        ann = await signed_in(server)
        ann.send("<message to='bob@localhost'><body>later</body></message>")
        await ann.sync()
    assert "<system-shutdown " in await ann.end()
    await ann.close()
    async with jabot.testing.server(data=tmp_path) as server:
        bob = await signed_in(server, "bob", presence="")
        bob.send("<presence/>")
        waited = await bob.until("</message>")
        assert "<body>later</body>" in waited
        assert "xmlns='urn:xmpp:delay'" in waited
        await bob.close()


async def test_stopping_does_not_wait_for_clients_that_do_not_close():
    async with jabot.testing.server(users=USERS, close_timeout=0.1) as server:
        clients = [await signed_in(server, resource=str(i), tls=i == 0) for i in range(2)]
        clients[0].writer.transport.pause_reading()
    for each in clients:
        each.writer.transport.abort()
        await each.close()


async def test_a_port_in_use_is_explained(server):
    second = Server(ServerConfig(port=server.port))
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{server.port}: address al"):
        await second.start()


async def test_a_name_with_several_addresses_and_any_port():
    async with jabot.testing.server(host="localhost") as server:
        client = await Raw.connect(server)
        await client.open()
        await client.close()


@pytest.mark.parametrize("domain", ["", "a b", "user@host", "host/x"])
def test_a_domain_that_cannot_be(domain):
    with pytest.raises(ConfigError):
        Server(ServerConfig(domain=domain))


@pytest.mark.parametrize(
    ("domain", "services"),
    [
        ("example.org", ["conference.example.org", "pubsub.example.org"]),
        ("127.0.0.1", ["conference.127.0.0.1", "pubsub.127.0.0.1"]),
        ("[::1]", []),
    ],
)
def test_a_server_serves_what_can_be_addressed(domain, services):
    server = Server(ServerConfig(domain=domain))
    assert sorted(server.router.domains()) == sorted([domain, *services])
    server.close()


@pytest.mark.parametrize(
    ("name", "password"), [("a b", "x"), ("", "x"), ("ann", ""), ("a", "\x07")]
)
def test_an_account_that_cannot_be(name, password):
    server = Server()
    with pytest.raises(ConfigError):
        server.add_user(name, password)
    server.close()


# --- a real client, and many --------------------------------------------------------------------


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, tls, ca=None):
        config = {"feature_mechanisms": {"unencrypted_scram": True}}
        super().__init__(jid, "secret", plugin_config=config)
        self.enable_direct_tls = False
        self.enable_starttls = tls
        self.enable_plaintext = not tls
        self.ca_certs = ca
        self.register_plugin("xep_0199")
        self.messages = asyncio.Queue()
        self.add_event_handler("message", self.messages.put_nowait)

    async def go(self, server):
        started = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: started.set_result(None), disposable=True)
        self.connect(server.host, server.port)
        async with asyncio.timeout(TIMEOUT):
            await started
            self.send_presence()
            await self.get_roster()


@pytest.mark.parametrize("tls", [False, True])
async def test_slixmpp_talks_through_it(tmp_path, tls):
    async with jabot.testing.server(users=USERS, data=tmp_path) as server:
        await signed_in_and_out_for_a_certificate(server)
        ca = tmp_path / "cert.pem"
        ann, bob = Client("ann@localhost/a", tls, ca), Client("bob@localhost/b", tls, ca)
        await asyncio.gather(ann.go(server), bob.go(server))
        ann.send_message("bob@localhost", "hi <there> & 'you' \N{ROBOT FACE}", mtype="chat")
        async with asyncio.timeout(TIMEOUT):
            message = await bob.messages.get()
            assert message["body"] == "hi <there> & 'you' \N{ROBOT FACE}"
            assert message["from"] == "ann@localhost/a"
            assert await ann.plugin["xep_0199"].ping("bob@localhost/b") < 5
        await asyncio.gather(ann.disconnect(), bob.disconnect())


async def signed_in_and_out_for_a_certificate(server):
    client = await signed_in(server, tls=True)
    await client.close()


async def test_five_hundred_clients_at_once(sign_in):
    clients = await asyncio.gather(*(sign_in(resource=f"r{i}", presence="") for i in range(500)))
    for client, other in zip(clients, reversed(clients), strict=True):
        client.send(f"<message to='{other.jid}' id='{client.jid}'/>")
    for client, other in zip(clients, reversed(clients), strict=True):
        assert f"id='{other.jid}'" in await client.until("<message[^>]*/>")
