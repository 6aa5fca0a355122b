"""The fixtures themselves: a test that stands on a broken one proves nothing."""

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slixmpp import ClientXMPP
from slixmpp.stanza import Message

from network import Direction, Proxy
from servers import Account, Authority, Server
from servers.postgres import Postgres

LIMIT = 20.0  # seconds, for a machine that is busy with other things
RUN_LIMIT = 50.0  # for a run of tests within a test


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


async def sign_in_by(proxy: Proxy, server: Server) -> Client:
    client = Client(server.fresh_user(), server.ca_file)
    assert await client.sign_in(proxy.address) == "online"
    return client


@pytest.mark.also_prosody
async def test_two_clients_talk_over_verified_tls(xmpp: Server) -> None:
    ann = await sign_in(xmpp, ann_account := xmpp.fresh_user("ann"))
    bob = await sign_in(xmpp, bob_account := xmpp.fresh_user("bob"))
    try:
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


@pytest.mark.also_prosody
@pytest.mark.not_on("embedded")  # it makes itself a good one instead
async def test_an_expired_certificate_is_seen(
    new_xmpp: Callable[..., Server], authority: Authority
) -> None:
    server = new_xmpp(certificate=authority.expired())
    client = Client(server.fresh_user(), server.ca_file)
    try:
        assert "expired" in await client.sign_in(server.address)
    finally:
        await client.sign_out()


@pytest.mark.also_prosody
@pytest.mark.not_on("embedded")  # it makes itself a good one instead
async def test_the_certificate_of_another_host_is_seen(
    new_xmpp: Callable[..., Server], authority: Authority
) -> None:
    server = new_xmpp(certificate=authority.wrong_host())
    client = Client(server.fresh_user(), server.ca_file)
    try:
        assert "not valid for 'localhost'" in await client.sign_in(server.address)
    finally:
        await client.sign_out()


async def test_a_paused_server_answers_once_it_is_resumed(own_xmpp: Server) -> None:
    account = own_xmpp.fresh_user()
    client = await sign_in(own_xmpp, account)
    try:
        own_xmpp.pause()
        client.send_message(account.jid, "to myself", mtype="chat")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.heard.get()
        own_xmpp.resume()
        assert await client.hear() == (account.jid, "to myself")
    finally:
        await client.sign_out()


async def test_a_cut_connection_ends_for_both_sides(xmpp: Server) -> None:
    with Proxy(xmpp.port) as proxy:
        client = Client(xmpp.fresh_user(), xmpp.ca_file)
        ended = asyncio.Event()
        client.add_event_handler("disconnected", lambda _: ended.set())
        assert await client.sign_in(proxy.address) == "online"
        assert proxy.connections == 1
        proxy.cut()
        async with asyncio.timeout(LIMIT):
            await ended.wait()
        assert proxy.connections == 0
        await (await sign_in_by(proxy, xmpp)).sign_out()  # a new connection passes


async def test_a_frozen_link_holds_everything_back(xmpp: Server) -> None:
    with Proxy(xmpp.port) as proxy:
        client = await sign_in_by(proxy, xmpp)
        try:
            proxy.freeze()
            client.send_message(client.boundjid.bare, "to myself", mtype="chat")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.heard.get()
            assert proxy.connections == 1
            proxy.thaw()
            assert await client.hear() == (client.boundjid.bare, "to myself")
        finally:
            await client.sign_out()


async def test_one_direction_can_be_frozen(xmpp: Server) -> None:
    with Proxy(xmpp.port) as proxy:
        client = await sign_in_by(proxy, xmpp)
        watcher = await sign_in(xmpp, xmpp.fresh_user())
        try:
            proxy.freeze(Direction.TO_CLIENT)
            for address in (watcher.boundjid.bare, client.boundjid.bare):
                client.send_message(address, "hello", mtype="chat")
            assert await watcher.hear() == (client.boundjid.bare, "hello")
            assert client.heard.empty()
            proxy.thaw()
            assert await client.hear() == (client.boundjid.bare, "hello")
        finally:
            await client.sign_out()
            await watcher.sign_out()


async def test_a_proxy_can_refuse_and_counts_bytes() -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    async with server:
        with Proxy(server.sockets[0].getsockname()[1]) as proxy:
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(proxy.host, proxy.port)
            proxy.allow()
            reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
            writer.write(b"x" * 300_000)
            writer.write_eof()
            assert await reader.read() == b"X" * 300_000
            writer.close()
            await writer.wait_closed()
            assert proxy.passed(Direction.TO_SERVER) == 300_000
            assert proxy.passed(Direction.TO_CLIENT) == 300_000


def test_a_test_that_leaves_something_on_its_loop_fails(tmp_path: Path) -> None:
    (tmp_path / "test_untidy.py").write_text(
        """
import asyncio

async def test_forgets_a_task():
    forgotten = asyncio.create_task(asyncio.sleep(60))

async def test_never_asks_how_its_task_fared():
    async def fail():
        raise ValueError("nobody looks")
    asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

async def test_is_tidy():
    await asyncio.create_task(asyncio.sleep(0))
"""
    )
    with run_of(tmp_path, "-o", "asyncio_mode=auto") as run:
        told, _ = run.communicate()
    assert "3 passed, 2 errors" in told
    assert "the test left tasks behind" in told
    assert "nobody looks" in told


def test_a_run_that_gets_sigterm_still_ends_its_servers(tmp_path: Path) -> None:
    (tmp_path / "test_held.py").write_text(
        """
import asyncio
import signal
import time
import pytest

def test_hears_the_signal_on_a_loop():
    loop = asyncio.new_event_loop()
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.close()  # from now on, the signal ends the program at once

@pytest.fixture(scope="session")
def server():
    yield
    print("ended", flush=True)

def test_takes_long(server):
    print("begun", flush=True)
    time.sleep(60)
"""
    )
    with run_of(tmp_path, "-s") as run:
        begun = any("begun" in line for line in run.stdout)
        run.terminate()
        told, _ = run.communicate()
    assert begun
    assert "ended" in told
    assert run.returncode == pytest.ExitCode.INTERRUPTED


def test_a_server_that_cannot_be_prepared_leaves_no_folder(monkeypatch, tmp_path: Path) -> None:
    server = Postgres()
    monkeypatch.setattr(server, "_programs", tmp_path)
    with pytest.raises((RuntimeError, OSError), match="initdb"):
        server.start()
    assert not server.folder.exists()


@contextmanager
def run_of(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run of the tests in a folder, with the fixtures of ours; killed if it takes too long."""
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "conftest", *options, folder],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = threading.Timer(RUN_LIMIT, run.kill)
    limit.start()
    try:
        with run:
            try:
                yield run
            finally:
                run.kill()
    finally:
        limit.cancel()
