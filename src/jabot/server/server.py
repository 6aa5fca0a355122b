"""The server: listens, looks after its connections, stops."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import sqlite3

from jabot.errors import ConfigError
from jabot.jid import JID, InvalidJID
from jabot.server.conditions import StreamError
from jabot.server.config import ServerConfig
from jabot.server.connection import Connection
from jabot.server.host import Host
from jabot.server.rooms.service import Rooms
from jabot.server.rooms.store import RoomStore
from jabot.server.router import Router
from jabot.server.sasl import hash_password
from jabot.server.store import Store
from jabot.server.stream import Stream
from jabot.server.tls import Certificate

_BACKLOG = 1_024  # connections that wait to be accepted: a whole fleet may come back at once

log = logging.getLogger(__name__)


class Server:
    """One XMPP server for one domain.

    `add_user` works whether it runs or not, and on the directory of a server that runs in
    another process. Raises ConfigError when a setting can't be used.
    """

    def __init__(self, config: ServerConfig | None = None) -> None:
        self.config = config or ServerConfig()
        self.domain = checked_domain(self.config.domain)
        self.port = self.config.port
        self.router = Router()
        self.store = _open_store(self.config)
        self._certificate = Certificate(self.domain, self.config.data)
        self.host = Host(self.config, self.domain, self.store, self.router)
        self.rooms = Rooms(
            self.config,
            f"conference.{self.domain}",
            RoomStore(self.store.db),
            self.router,
            self.host.sessions,
        )
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._all_gone = asyncio.Event()
        self._tls_required = True

    @property
    def address(self) -> str:
        """Where it listens: `HOST:PORT`."""
        host = self.config.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address is not to be had."""
        loop = asyncio.get_running_loop()
        self.rooms.load()
        self.host.pubsub.load()
        try:
            self._listener = await loop.create_server(
                self._connect, await self._listen_on(), self.config.port, backlog=_BACKLOG
            )
        except OSError as problem:
            self.store.close()
            number = problem.errno or 0  # negative for a name that can't be looked up
            reason = os.strerror(number) if number > 0 else problem.strerror or str(problem)
            option = "--port" if number in (errno.EADDRINUSE, errno.EACCES) else "--host"
            raise ConfigError(
                f"cannot listen on {self.address}: {reason.lower()}. Choose another with {option}"
            ) from problem
        sockets = self._listener.sockets
        self.port = sockets[0].getsockname()[1]
        self._tls_required = not all(_is_loopback(each) for each in sockets)
        if self._tls_required:
            await self._check_certificate()
        self._upkeep = loop.create_task(self._check_connections())
        log.debug("%s: listening on %s", self.domain, self.address)

    async def stop(self) -> None:
        """Tell every client, close, and keep what has to be kept."""
        if self._listener is not None:
            self._listener.close()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        self.host.stop()
        for connection in list(self._connections):
            connection.fail(StreamError("system-shutdown"))
        await self._wait_for_clients()
        for connection in list(self._connections):
            connection.abort()
        await self._wait_for_clients()
        if self._listener is not None:
            await self._listener.wait_closed()
        self.store.close()
        log.info("%s: stopped", self.domain)

    def add_user(self, name: str, password: str) -> str:
        """Create an account, or set its password; gives its address.

        Raises ConfigError when the name or the password can't be used.
        """
        try:
            jid = JID(f"{name}@{self.domain}")
        except InvalidJID as problem:
            raise ConfigError(f"{name!r} is no name for an account") from problem
        if not password:
            raise ConfigError(f"the password for {jid.bare} is empty")
        try:
            credentials = hash_password(password, self.config.scram_iterations)
        except ValueError as problem:
            raise ConfigError(f"{jid.bare}: {problem}") from None
        self.store.set_credentials(jid.bare, credentials)
        return str(jid.bare)

    def close(self) -> None:
        """For a server that was never started: let go of its files."""
        self.store.close()

    async def _check_certificate(self) -> None:
        """One that is no good is better found now than by the first client."""
        try:
            self._certificate.context()
        except (OSError, ValueError) as problem:
            await self.stop()
            raise ConfigError(
                f"cannot use the certificate in {self.config.data}: {problem}"
            ) from problem

    async def _listen_on(self) -> str:
        """The address to bind. A name may have several, and "a free port" would be one for each:
        then the first is taken.
        """
        host = self.config.host
        if self.config.port != 0:
            return host
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        return str(found[0][4][0])

    def _connect(self) -> Connection:
        return Connection(self.config, self._certificate, self._new_stream, self._made, self._lost)

    def _made(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._all_gone.clear()
        if len(self._connections) > self.config.max_connections:
            connection.fail(StreamError("resource-constraint", "too many connections"))

    def _new_stream(self, connection: Connection) -> Stream:
        return Stream(connection, self.config, self.host, self.store, self._tls_required)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    async def _wait_for_clients(self) -> None:
        if self._connections:
            try:
                async with asyncio.timeout(self.config.close_timeout):
                    await self._all_gone.wait()
            except TimeoutError:
                log.info("%s: %d clients do not close", self.domain, len(self._connections))

    async def _check_connections(self) -> None:
        config = self.config
        shortest = min(
            config.auth_timeout,
            config.ping_interval,
            config.ping_timeout,
            config.write_timeout,
            config.close_timeout,
        )
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, shortest / 4))
            now = loop.time()
            for connection in list(self._connections):
                try:
                    connection.check(now)
                except Exception:
                    log.exception("%s: dropped", connection.peer)
                    connection.abort()


def checked_domain(domain: str) -> str:
    """The same, as servers compare it; raises `ConfigError` for what is none."""
    try:
        jid = JID(domain)
    except InvalidJID as problem:
        raise ConfigError(f"{domain!r} is no domain") from problem
    if not jid.domain or jid.full != jid.domain:
        raise ConfigError(f"{domain!r} is no domain")
    return str(jid.domain)


def _open_store(config: ServerConfig) -> Store:
    try:
        return Store(config.data)
    except (OSError, sqlite3.Error) as problem:
        raise ConfigError(f"cannot use the directory {config.data}: {problem}") from problem


def _is_loopback(each: socket.socket) -> bool:
    address: str = each.getsockname()[0]
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
