"""The fixtures themselves: a test that stands on a broken one proves nothing."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from slixmpp import ClientXMPP
from slixmpp.stanza import Message

from servers import Account, Authority, Server

LIMIT = 20.0  # seconds, for a machine that is busy with other things


class Client(ClientXMPP):
    """The least that can sign in with a checked certificate, talk, and listen."""

    def __init__(self, account: Account, ca_file: Path | None) -> None:
        super().__init__(account.jid, account.password)
        self.ca_certs = ca_file
        self.enable_direct_tls = False
        self.heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.outcome: asyncio.Future[str] = self.loop.create_future()
        self.add_event_handler("session_start", self._begin)
        self.add_event_handler("message", self._hear)
        self.add_event_handler("failed_all_auth", lambda _: self._settle("refused"))
        self.add_event_handler("ssl_invalid_chain", lambda error: self._settle(repr(error)))
        self.add_event_handler("connection_failed", lambda error: self._settle(repr(error)))

    async def sign_in(self, address: str) -> str:
        """Returns "online", or what went wrong."""
        host, port = address.rsplit(":", 1)
        self.connect(host, int(port))
        async with asyncio.timeout(LIMIT):
            return await self.outcome

    async def sign_out(self) -> None:
        self.cancel_connection_attempt()
        async with asyncio.timeout(LIMIT):
            await self.disconnect()

    async def hear(self) -> tuple[str, str]:
        async with asyncio.timeout(LIMIT):
            return await self.heard.get()

    def _begin(self, _: object) -> None:
        self.send_presence()
        self._settle("online")

    def _hear(self, message: Message) -> None:
        if message["type"] in ("chat", "normal"):
            self.heard.put_nowait((message["from"].bare, message["body"]))

    def _settle(self, outcome: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


async def sign_in(server: Server, account: Account) -> Client:
    client = Client(account, server.ca_file)
    assert await client.sign_in(server.address) == "online"
    return client


@pytest.mark.also_prosody
async def test_two_clients_talk_over_verified_tls(xmpp: Server) -> None:
    ann = await sign_in(xmpp, ann_account := xmpp.fresh_user("ann"))
    bob = await sign_in(xmpp, bob_account := xmpp.fresh_user("bob"))
    try:
        # A client with available presence is one that gets its own presence back; the message
        # waits offline for a moment otherwise, and arrives all the same.
        ann.send_message(bob_account.jid, "good morning", mtype="chat")
        assert await bob.hear() == (ann_account.jid, "good morning")
        assert isinstance(bob.transport.get_extra_info("ssl_object"), ssl.SSLObject)
    finally:
        await ann.sign_out()
        await bob.sign_out()


@pytest.mark.also_prosody
async def test_a_wrong_password_is_refused(xmpp: Server) -> None:
    client = Client(xmpp.fresh_user()._replace(password="wrong"), xmpp.ca_file)
    try:
        assert await client.sign_in(xmpp.address) == "refused"
    finally:
        await client.sign_out()


@pytest.mark.also_prosody
@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["stop", "kill"])
async def test_a_restart_keeps_the_accounts_and_the_port(
    own_xmpp: Server, end: Callable[[Server], None]
) -> None:
    account = own_xmpp.fresh_user()
    address = own_xmpp.address
    await (await sign_in(own_xmpp, account)).sign_out()
    end(own_xmpp)
    assert not own_xmpp.is_running
    own_xmpp.start()
    assert own_xmpp.address == address
    await (await sign_in(own_xmpp, account)).sign_out()


async def test_an_expired_certificate_is_seen(
    new_xmpp: Callable[..., Server], authority: Authority
) -> None:
    server = new_xmpp(certificate=authority.expired())
    client = Client(server.fresh_user(), server.ca_file)
    try:
        assert "expired" in await client.sign_in(server.address)
    finally:
        await client.sign_out()


async def test_the_certificate_of_another_host_is_seen(
    new_xmpp: Callable[..., Server], authority: Authority
) -> None:
    server = new_xmpp(certificate=authority.wrong_host())
    client = Client(server.fresh_user(), server.ca_file)
    try:
        assert "not valid for 'localhost'" in await client.sign_in(server.address)
    finally:
        await client.sign_out()
