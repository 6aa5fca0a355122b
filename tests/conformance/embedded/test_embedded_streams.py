"""Streams of the embedded server: opening, TLS, signing in, binding, and all refusals."""

import contextlib
import re
import ssl

import pytest
from embedded_client import SASL, USERS, Raw, signed_in

import jabot.server.server
import jabot.testing
from jabot.server import Server, ServerConfig


@pytest.fixture
async def raw(server):
    client = await Raw.connect(server)
    yield client
    await client.close()


def features(text):
    return set(re.findall(r"<(starttls|required|mechanism|bind|session|optional)\b", text))


# --- opening ------------------------------------------------------------------------------------


async def test_loopback_offers_tls_and_does_without(raw):
    opened = await raw.open()
    assert features(opened) == {"starttls", "mechanism"}
    assert re.findall("<mechanism>(.*?)</", opened) == ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    assert "from='localhost'" in opened
    assert re.search("id='[0-9a-f]{16}'", opened)
    assert "version='1.0'" in opened


@pytest.mark.parametrize(
    ("opening", "condition"),
    [
        ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='example.org' version='1.0'>", "host-unknown"),
        ("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='localhost' version='1.0'>", "invalid-namespace"),
        ("<stream:stream xmlns='jabber:client' xmlns:stream='urn:wrong'>", "invalid-namespace"),
        ("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='localhost'>", "unsupported-version"),
        ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", "restricted-xml"),
        ("<a" + " " * 20_000, "policy-violation"),
    ],
)  # fmt: skip
async def test_a_stream_that_is_refused(raw, opening, condition):
    raw.send(opening)
    answer = await raw.end()
    assert answer.startswith("<?xml version='1.0'?><stream:stream ")
    assert f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in answer
    assert answer.endswith("</stream:error></stream:stream>")


@pytest.mark.parametrize(
    ("xml", "condition"),
    [
        ("<message/>", "not-authorized"),
        ("<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>", "not-authorized"),
        ("<iq type='set' id='1'><query xmlns='jabber:iq:register'/></iq>", "not-authorized"),
        ("<message>&x;</message>", "restricted-xml"),
        ("<message><!-- --></message>", "restricted-xml"),
        ("<message><body>" + "x" * 20_000, "policy-violation"),
        ("<a>" * 100, "policy-violation"),
    ],
)
async def test_before_signing_in_little_is_allowed(raw, xml, condition):
    await raw.open()
    raw.send(xml)
    assert f"<{condition} " in await raw.end()


async def test_the_stream_is_closed_when_the_client_closes_it(raw):
    await raw.open()
    raw.send("</stream:stream>")
    assert await raw.end() == "</stream:stream>"


async def test_who_does_not_sign_in_is_closed():
    async with jabot.testing.server(auth_timeout=0.05) as server:
        silent, talking = await Raw.connect(server), await Raw.connect(server)
        await talking.open()
        for client in (silent, talking):
            assert "<connection-timeout " in await client.end()
            await client.close()


async def test_the_number_of_connections_is_limited():
    async with jabot.testing.server(max_connections=1) as server:
        first = await Raw.connect(server)
        await first.open()
        second = await Raw.connect(server)
        assert "<resource-constraint " in await second.end()
        await first.close()
        await second.close()


# --- TLS ----------------------------------------------------------------------------------------


async def test_tls_then_signing_in(server, raw):
    await raw.open()
    await raw.start_tls()
    assert features(await raw.open()) == {"mechanism"}
    assert "</success>" in await raw.login("ann", "secret", "SCRAM-SHA-256")
    assert features(await raw.open()) == {"bind", "session", "optional"}
    await raw.bind()
    assert raw.jid == "ann@localhost/r"


async def test_what_was_sent_in_the_clear_is_forgotten(server, raw):
    """Whoever could write into the connection before TLS must not be heard after it."""
    await raw.open()
    raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><auth xmlns='x'/><stream:stream>")
    await raw.until("<proceed[^>]*>")
    assert raw.text == ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # The words after <starttls/> are read as a TLS handshake, if they are read at all.
    with contextlib.suppress(OSError):
        await raw.writer.start_tls(context)
        assert features(await raw.open()) == {"mechanism"}


async def test_a_stream_that_arrives_with_the_end_of_the_handshake_is_encrypted(raw):
    """One packet completes the handshake and opens the stream: no moment in between is clear."""
    await raw.open()
    raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await raw.until("<proceed[^>]*>")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.send(outgoing.read())
            incoming.write(await raw.reader.read(65536))
    tls.write(
        b"<stream:stream xmlns='jabber:client' to='localhost' version='1.0' "
        b"xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    raw.send(outgoing.read())
    answer = b""
    while b"</stream:features>" not in answer:
        incoming.write(await raw.reader.read(65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                answer += tls.read(65536)
    assert features(answer.decode()) == {"mechanism"}


async def test_a_failed_handshake_ends_one_connection_only(sign_in, raw):
    await raw.open()
    raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await raw.until("<proceed[^>]*>")
    raw.send("this is no handshake" * 10)
    await raw.end()
    await sign_in(tls=True)


async def test_stopping_in_the_middle_of_a_handshake():
    async with jabot.testing.server() as server:
        raw = await Raw.connect(server)
        await raw.open()
        raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await raw.until("<proceed[^>]*>")
    assert await raw.end() == ""
    await raw.close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.1", False), ("fe80::1%eth0", False)],
)  # fmt: skip
def test_what_is_loopback(address, expected):
    class Socket:
        def getsockname(self):
            return (address, 5222)

    assert jabot.server.server._is_loopback(Socket()) is expected


async def test_elsewhere_than_on_loopback_tls_comes_first(monkeypatch):
    monkeypatch.setattr(jabot.server.server, "_is_loopback", lambda _: False)
    async with jabot.testing.server(users=USERS) as server:
        raw = await Raw.connect(server)
        assert features(await raw.open()) == {"starttls", "required"}
        raw.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>biwsbj1hbm4scj14</auth>")
        assert "<encryption-required/>" in await raw.until("</failure>")
        await raw.start_tls()
        assert features(await raw.open()) == {"mechanism"}
        assert "</success>" in await raw.login("ann", "secret")
        await raw.close()


async def test_the_certificate_is_made_once_and_names_the_domain(tmp_path):
    seen = []
    for _ in range(2):
        async with jabot.testing.server(domain="xmpp.example", data=tmp_path) as server:
            raw = await Raw.connect(server)
            await raw.open(to="xmpp.example")
            raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            await raw.until("<proceed[^>]*>")
            context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
            await raw.writer.start_tls(context, server_hostname="xmpp.example")
            seen.append(raw.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            await raw.close()
    assert seen[0] == seen[1]
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.glob("*.pem")} == {
        "cert.pem": 0o600,
        "key.pem": 0o600,
    }


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
async def test_a_wrong_password_and_an_unknown_name_are_told_the_same(raw, mechanism):
    await raw.open()
    wrong = await raw.login("ann", "wrong", mechanism)
    assert wrong == await raw.login("nobody", "secret", mechanism)
    assert "<not-authorized/>" in wrong
    assert "</success>" in await raw.login("ann", "secret", mechanism)


@pytest.mark.parametrize(
    ("xml", "condition"),
    [
        ("<auth xmlns='{}' mechanism='PLAIN'>AGFubgBzZWNyZXQ=</auth>", "invalid-mechanism"),
        ("<auth xmlns='{}' mechanism='ANONYMOUS'/>", "invalid-mechanism"),
        ("<auth xmlns='{}' mechanism='SCRAM-SHA-1'>***</auth>", "incorrect-encoding"),
        ("<auth xmlns='{}' mechanism='SCRAM-SHA-1'>aGVsbG8=</auth>", "malformed-request"),
        ("<auth xmlns='{}' mechanism='SCRAM-SHA-1'>=</auth>", "malformed-request"),
        ("<response xmlns='{}'>aGVsbG8=</response>", "malformed-request"),
        ("<abort xmlns='{}'/>", "aborted"),
    ],
)
async def test_a_login_that_is_refused(raw, xml, condition):
    await raw.open()
    raw.send(xml.format(SASL))
    assert f"<{condition}/>" in await raw.until("</failure>")
    assert "</success>" in await raw.login("ann", "secret")


@pytest.mark.server(max_logins=3)
async def test_after_some_failures_the_stream_ends(raw):
    await raw.open()
    for _ in range(3):
        assert "<not-authorized/>" in await raw.login("ann", "wrong")
    assert "<policy-violation " in await raw.end()


async def test_an_account_that_another_process_makes_is_known_at_once(tmp_path):
    async with jabot.testing.server(data=tmp_path) as server:
        other = Server(ServerConfig(data=tmp_path))
        other.add_user("ann", "secret")
        other.close()
        client = await signed_in(server)
        await client.close()


# --- binding ------------------------------------------------------------------------------------


async def test_nothing_goes_before_binding(server, raw):
    await raw.open()
    await raw.login("ann", "secret")
    await raw.open()
    raw.send("<presence/>")
    assert "<not-authorized " in await raw.end()


async def test_a_resource_is_made_up_when_none_is_asked_for(raw):
    await raw.open()
    await raw.login("Ann", "secret")
    await raw.open()
    await raw.bind("")
    assert re.fullmatch("ann@localhost/[0-9a-f]{16}", raw.jid)


async def test_a_resource_that_cannot_be(raw):
    await raw.open()
    await raw.login("ann", "secret")
    await raw.open()
    assert "<bad-request " in await raw.bind("x" * 2_000)
    assert "<jid>" in await raw.bind("fine")
    assert "type='error'" in await raw.bind("again")


async def test_a_session_is_a_formality(sign_in):
    client = await sign_in()
    client.send("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
    assert "type='result'" in await client.until("<iq[^>]*id='s'[^>]*>")


async def test_a_resource_in_use_goes_to_the_newcomer(sign_in):
    old = await sign_in()
    new = await sign_in()
    assert "<conflict " in await old.end()
    assert new.jid == old.jid
    await new.sync()
