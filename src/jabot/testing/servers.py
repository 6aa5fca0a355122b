"""A real XMPP server inside a test.

    async with jabot.testing.server(users={"bot": "secret"}) as s:
        s.address, s.port, s.domain

It is the server of `jabot server`, on loopback and a free port, with everything in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from jabot.server import Server, ServerConfig

__all__ = ["TestServer", "server"]

# The least that RFC 7677 allows: a test should not spend its time on hashing.
_ITERATIONS = 4096


class TestServer:
    """A running server, as a test sees it."""

    __test__ = False  # pytest would take the name for a class of tests

    def __init__(self, running: Server) -> None:
        self._running = running

    @property
    def domain(self) -> str:
        return self._running.domain

    @property
    def host(self) -> str:
        return self._running.config.host

    @property
    def port(self) -> int:
        return self._running.port

    @property
    def address(self) -> str:
        """`HOST:PORT`, for whoever is to connect there."""
        return self._running.address

    def add_user(self, name: str, password: str) -> str:
        """Create the account, and give its address. Raises ConfigError for a name it can't have."""
        return self._running.add_user(name, password)


@asynccontextmanager
async def server(
    domain: str = "localhost", users: Mapping[str, str] | None = None, **config: Any
) -> AsyncIterator[TestServer]:
    """Run a server. `users` are names and passwords, `config` the fields of ServerConfig."""
    settings = {"port": 0, "scram_iterations": _ITERATIONS, **config}
    running = Server(ServerConfig(domain=domain, **settings))
    for name, password in (users or {}).items():
        running.add_user(name, password)
    await running.start()
    try:
        yield TestServer(running)
    finally:
        await running.stop()
