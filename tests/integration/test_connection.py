"""Signing in, being refused, and coming back."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from slixmpp import JID

from chatting import LIMIT, QUICK, Person, jabot_account, serving, signed_in, soon, until
from jabot import Node
from jabot.account import Account, ServerAddress
from jabot.errors import (
    AuthenticationFailed,
    CertificateError,
    ConnectionFailed,
    Replaced,
    UnknownHost,
)
from jabot.xmpp import Timing
from network import Direction, Proxy
from servers import Authority, Server
from servers.ports import free_port

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def refused(account: Account) -> ConnectionFailed:
    """What a node that can't sign in raises, without ever trying again."""
    node = Node()
    with pytest.raises(ConnectionFailed) as caught:
        async with asyncio.timeout(LIMIT):
            await node.serve(account, timing=QUICK)
    return caught.value


@asynccontextmanager
async def fake_server(conversation: Conversation) -> AsyncIterator[tuple[int, list[int]]]:
    """A server that says what the test tells it to; gives its port, and a tally of its visitors."""
    visits: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(len(visits))
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], visits
    finally:
        server.close()


STREAM = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='1' from='localhost' "
    b"version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>"
)
WITHOUT_TLS = (
    b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    b"<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
)


# -- signing in ----------------------------------------------------------------------------------


@pytest.mark.also_prosody
async def test_starttls_with_a_checked_certificate(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})
    async with serving(node, xmpp) as bot:
        assert node._serving is not None
        stream = node._serving.session._stream
        assert stream is not None
        tls = stream.transport.get_extra_info("ssl_object")
        assert tls.context.verify_mode is ssl.CERT_REQUIRED
        assert tls.context.check_hostname
        await ann.ask(bot.jid, "status", "running")


@pytest.mark.also_prosody
@pytest.mark.not_on("embedded")  # it has STARTTLS only
async def test_tls_from_the_first_byte(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})
    address = f"xmpps://{xmpp.host}:{xmpp.tls_port}"
    async with serving(node, xmpp, address=address) as bot:
        await ann.ask(bot.jid, "status", "running")


async def test_on_loopback_a_certificate_of_its_own_will_do(xmpp: Server) -> None:
    async with serving(Node(), xmpp, with_ca=False) as bot, signed_in(xmpp) as ann:
        await ann.ask(bot.jid, "help", "^I do not take commands from you")


@pytest.mark.also_prosody
async def test_each_start_has_an_address_of_its_own(xmpp: Server) -> None:
    account = xmpp.fresh_user("bot")
    seen: set[JID] = set()
    for _ in range(2):
        async with serving(Node(), xmpp, account) as bot:
            assert bot.full.resource
            seen.add(bot.full)
    assert len(seen) == 2


# -- being refused -------------------------------------------------------------------------------


@pytest.mark.also_prosody
async def test_a_wrong_password_ends_it(xmpp: Server) -> None:
    account = replace(jabot_account(xmpp, xmpp.fresh_user()), password="Geheimnis")
    error = await refused(account)
    assert isinstance(error, AuthenticationFailed)
    assert f"does not accept the account {account.jid} with this password" in str(error)
    assert "Geheimnis" not in str(error)


@pytest.mark.also_prosody
async def test_an_unknown_user_is_told_the_same(xmpp: Server) -> None:
    account = replace(jabot_account(xmpp, xmpp.fresh_user()), jid=JID("nobody@localhost"))
    error = await refused(account)
    assert isinstance(error, AuthenticationFailed)
    assert "does not accept the account nobody@localhost with this password" in str(error)


@pytest.mark.also_prosody
@pytest.mark.not_on("embedded")  # it makes itself a good one instead
@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct tls"])
@pytest.mark.parametrize(
    ("certificate", "reason"),
    [(Authority.expired, "expired"), (Authority.wrong_host, "mismatch|not valid for")],
    ids=["expired", "of another host"],
)
async def test_a_bad_certificate_ends_it(
    new_xmpp: Callable[..., Server],
    authority: Authority,
    certificate: Callable[[Authority], object],
    reason: str,
    direct: bool,
) -> None:
    server = new_xmpp(certificate=certificate(authority))
    with Proxy(server.tls_port if direct else server.port) as proxy:
        address = f"xmpps://{proxy.address}" if direct else proxy.address
        error = await refused(jabot_account(server, server.fresh_user(), address))
        assert proxy.passed(Direction.TO_SERVER) < 1000  # it did not try again
    assert isinstance(error, CertificateError)
    assert str(error).startswith("the certificate of 127.0.0.1:")
    assert "is not to be trusted: " in str(error)
    assert any(words in str(error) for words in reason.split("|"))


@pytest.mark.also_prosody
async def test_an_unknown_authority_ends_it(xmpp: Server, tmp_path_factory) -> None:
    other = Authority(tmp_path_factory.mktemp("other"))
    error = await refused(replace(jabot_account(xmpp, xmpp.fresh_user()), ca_file=other.ca_file))
    assert isinstance(error, CertificateError)
    assert "is not to be trusted: " in str(error)


async def test_an_unknown_host_ends_it() -> None:
    nowhere = ServerAddress("no-such-host.invalid", 5222)
    error = await refused(Account(JID("bot@localhost"), "secret", nowhere))
    assert isinstance(error, UnknownHost)
    assert "no-such-host.invalid" in str(error)
    assert "there is no such host" in str(error)


@pytest.mark.also_prosody
async def test_a_domain_that_the_server_does_not_serve_ends_it(xmpp: Server) -> None:
    account = replace(jabot_account(xmpp, xmpp.fresh_user()), jid=JID("bot@elsewhere.example"))
    error = await refused(account)
    assert isinstance(error, UnknownHost)
    assert "does not serve elsewhere.example" in str(error)


async def test_no_password_goes_without_tls(authority: Authority) -> None:
    sent = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        sent += await reader.readuntil(b">")
        writer.write(STREAM + WITHOUT_TLS)
        while more := await reader.read(4096):
            sent += more

    async with fake_server(talk) as (port, visits):
        address = ServerAddress("127.0.0.1", port)
        account = Account(JID("bot@localhost"), "secret", address, authority.ca_file)
        error = await refused(account)
        assert isinstance(error, AuthenticationFailed)
        assert "no TLS, and no password goes without it" in str(error)
        assert len(visits) == 1
        assert b"<auth" not in sent


async def test_no_password_goes_by_plain_alone(authority: Authority) -> None:
    """Behind TLS, too: it would show the password to whoever runs that server."""
    good = authority.good()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good.chain_file, good.key_file)
    sent = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await writer.start_tls(context)
        sent += await reader.readuntil(b">")
        writer.write(STREAM + WITHOUT_TLS.replace(b"SCRAM-SHA-1", b"X-NONE"))
        while more := await reader.read(4096):
            sent += more

    async with fake_server(talk) as (port, _):
        address = ServerAddress("127.0.0.1", port, direct_tls=True)
        error = await refused(Account(JID("bot@localhost"), "secret", address, authority.ca_file))
    assert isinstance(error, AuthenticationFailed)
    assert "offers no SCRAM sign-in" in str(error)
    assert b"<auth" not in sent


async def test_a_name_in_use_ends_the_node_that_had_it(xmpp: Server) -> None:
    async with serving(Node(), xmpp) as bot:
        other = signed_in(xmpp, bot.account, resource=bot.full.resource)
        async with other:
            with pytest.raises(Replaced) as caught:
                await bot.left()
            assert f"another program signed in as {bot.full}" in str(caught.value)


# -- coming back ---------------------------------------------------------------------------------


async def test_a_node_waits_for_its_server(
    own_xmpp: Server, caplog: pytest.LogCaptureFixture
) -> None:
    account = own_xmpp.fresh_user("bot")
    own_xmpp.stop()
    node = Node()
    serve = asyncio.create_task(node.serve(jabot_account(own_xmpp, account), timing=QUICK))
    await until(lambda: caplog.text.count("Connection refused; trying again in") >= 2)
    own_xmpp.start()
    assert node._serving is not None
    await until(lambda: node._serving.pool.joined)  # a line from before that may wait in the store
    async with signed_in(own_xmpp) as ann:
        await ann.ask(account.jid, "help", "^I do not take commands from you")
    assert not serve.done()
    node.stop()
    await serve


async def test_a_refused_port_is_tried_again_and_again(authority: Authority) -> None:
    node = Node()
    port = free_port()
    account = Account(JID("bot@localhost"), "secret", ServerAddress("127.0.0.1", port))
    serve = asyncio.create_task(node.serve(account, timing=QUICK))
    visited = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    async with asyncio.timeout(LIMIT):
        await visited.wait()
    server.close()
    assert not serve.done()
    node.stop()
    await soon(serve)


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["stopped", "killed"])
async def test_after_a_restart_of_the_server_a_node_goes_on(
    own_xmpp: Server, end: Callable[[Server], None], caplog: pytest.LogCaptureFixture
) -> None:
    account = own_xmpp.fresh_user("ann")
    let_go = threading.Event()
    node = Node(allow={account.jid: "*"}, drain_limit=LIMIT)

    @node.task
    def lift() -> str:
        assert let_go.wait(LIMIT)
        return "lifted"

    async with serving(node, own_xmpp) as bot:
        async with signed_in(own_xmpp, account) as ann:
            await ann.ask(bot.jid, "lift", "^Scheduled")
        await asyncio.to_thread(end, own_xmpp)
        let_go.set()  # the job ends while there is nobody to tell
        await until(lambda: "lift: succeeded" in caplog.text)
        own_xmpp.start()  # not in a thread: the server would end with it
        async with signed_in(own_xmpp, account) as ann:
            await ann.hear("^lift .* is done: lifted$")
            assert (await ann.greet(bot.jid)).sender == bot.full  # it is there again
            await ann.ask(bot.jid, "lift", "is done: lifted$")


async def test_after_a_reset_a_node_goes_on(xmpp: Server, ann: Person) -> None:
    let_go = threading.Event()
    node = Node(allow={ann.boundjid.bare: "*"}, drain_limit=LIMIT)

    @node.task
    def lift() -> str:
        assert let_go.wait(LIMIT)
        return "lifted"

    with Proxy(xmpp.port) as proxy:
        async with serving(node, xmpp, address=proxy.address) as bot:
            await ann.greet(bot.jid)
            await ann.ask(bot.jid, "lift", "^Scheduled")
            proxy.refuse()
            proxy.cut()
            await ann.see(bot.full, type="unavailable")
            let_go.set()
            ann.presences.clear()
            proxy.allow()
            await ann.hear("^lift .* is done: lifted$")
            await ann.greet(bot.jid)
            await ann.ask(bot.jid, "status", "^0 of 8 running")
            assert len([body for body in ann.bodies if "is done" in body]) == 1


@pytest.mark.parametrize("directions", [(), (Direction.TO_CLIENT,)], ids=["both", "one way"])
async def test_a_half_open_link_is_found(
    xmpp: Server, ann: Person, directions: tuple[Direction, ...]
) -> None:
    """What is within 30 seconds by default is within one here: 20 + 10, and 0.3 + 0.5."""
    node = Node(allow={ann.boundjid.bare: "*"})
    timing = replace(QUICK, quiet=0.3, ping=0.5)
    with Proxy(xmpp.port) as proxy:
        async with serving(node, xmpp, address=proxy.address, timing=timing) as bot:
            assert node._serving is not None
            session = node._serving.session
            proxy.freeze(*directions)
            await until(lambda: not session.is_online)
            node.deliver(ann.boundjid.bare, "said while it was down")
            proxy.thaw()
            await ann.hear("^said while it was down$")
            await ann.greet(bot.jid)
            await ann.ask(bot.jid, "status", "running")


def test_a_half_open_link_is_found_within_a_minute_by_default() -> None:
    timing = Timing()
    assert timing.quiet + timing.ping <= 60


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"<not><xml",
        STREAM + b"</wrong>",
        STREAM + b"<message><body>&undefined;</body></message>",
        STREAM + b"\x00\xff\xfe",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + STREAM,
        b"",
    ],
    ids=["ssh", "http", "cut off", "wrong end", "entity", "binary", "doctype", "nothing"],
)
async def test_garbage_is_no_reason_to_give_up(garbage: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(garbage)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    await is_visited(3, talk, connect=2.0)


async def test_a_server_that_says_nothing_is_left_after_a_while() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    await is_visited(2, talk, connect=0.2)


async def is_visited(times: int, talk: Conversation, connect: float) -> None:
    """A node comes to this server again and again."""
    async with fake_server(talk) as (port, visits):
        node = Node()
        account = Account(JID("bot@localhost"), "secret", ServerAddress("127.0.0.1", port))
        serve = asyncio.create_task(node.serve(account, timing=replace(QUICK, connect=connect)))
        await until(lambda: serve.done() or len(visits) >= times)
        assert not serve.done(), serve.exception()
        node.stop()
        await soon(serve)


async def test_garbage_in_the_middle_is_answered_by_a_new_connection(
    xmpp: Server, ann: Person
) -> None:
    """A proxy that changes bytes: TLS finds out, and the node connects again."""
    node = Node(allow={ann.boundjid.bare: "*"})
    links: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        links.append(writer)
        server_reader, server_writer = await asyncio.open_connection(xmpp.host, xmpp.port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                target.write(data)
            target.close()

        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer))

    async with fake_server(forward) as (port, visits):
        served = serving(node, xmpp, address=f"127.0.0.1:{port}")
        async with served as bot:
            assert len(visits) == 1
            links[0].write(b"\x17\x03\x03\x00\x20" + b"garbage " * 4)
            await until(lambda: len(visits) >= 2)
            await ann.greet(bot.jid)
            await ann.ask(bot.jid, "status", "running")


# -- too much ------------------------------------------------------------------------------------


@pytest.mark.also_prosody
async def test_a_message_of_a_megabyte_harms_its_sender_only(xmpp: Server, ann: Person) -> None:
    node = Node(allow={"*": "*"})
    async with serving(node, xmpp) as bot:
        big = Person(xmpp, xmpp.fresh_user("big"))
        ended = asyncio.Event()
        big.add_event_handler("disconnected", lambda _: ended.set())
        try:
            await big.sign_in()
            big.say(bot.jid, "lift " + "x" * 1_000_000)
            async with asyncio.timeout(LIMIT):
                await ended.wait()  # servers close the stream of who sends it
        finally:
            await big.sign_out()
        await ann.ask(bot.jid, "status", "running")
        assert not bot.task.done()


@pytest.mark.also_prosody
async def test_a_result_of_a_megabyte_is_cut(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})

    @node.task(done="{result}")
    async def lift() -> str:
        return "ß" * 1_000_000

    @node.task
    async def fail() -> None:
        raise ValueError("y" * 1_000_000)

    async with serving(node, xmpp) as bot:
        ann.say(bot.jid, "lift")
        text = await ann.hear("ß", limit=LIMIT)
        assert text.body == "ß" * 10_000 + "... (1,000,000 characters in all)"
        ann.say(bot.jid, "fail")
        text = await ann.hear("failed")
        assert len(text.body) < 1_100
        assert text.body.endswith("characters in all)")
        await ann.ask(bot.full, "status", "running")  # over the same connection
