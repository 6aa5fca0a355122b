"""A stretch of network between a client and a server that a test can break.

    with Proxy(xmpp.port) as proxy:
        ... connect to proxy.address ...
        proxy.freeze()        # a half-open link: both ends believe in it, nothing passes
        proxy.thaw()          # what was held back arrives late, as after a retransmission
        proxy.cut()           # every connection is reset
        proxy.refuse()        # and no new one is let in, until proxy.allow()

The work is done by a loop in a thread of its own, so that the same few calls serve tests with and
without a loop, and a test whose own loop is blocked still has a network. Each call returns when it
has taken effect.
"""

import asyncio
import enum
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from servers.ports import LOOPBACK, free_port

T = TypeVar("T")

_CHUNK = 65_536
_CALL_LIMIT = 30.0  # seconds for the proxy's thread to obey
# "Linger for 0 seconds": closing then sends a reset instead of an orderly end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(enum.Enum):
    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class Proxy:
    """Forwards connections on a loopback port to a server on loopback."""

    def __init__(self, server_port: int, *, server_host: str = LOOPBACK) -> None:
        self.host = LOOPBACK
        self.port = free_port()
        self._server = (server_host, server_port)
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._passed = dict.fromkeys(Direction, 0)
        self._gates = {direction: asyncio.Event() for direction in Direction}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return self._call(self._count)

    def passed(self, direction: Direction) -> int:
        """Bytes forwarded in this direction since the proxy was made."""
        return self._passed[direction]

    def cut(self) -> None:
        """Reset all connections, on both sides. New ones are welcome."""
        self._call(self._cut)

    def freeze(self, *directions: Direction) -> None:
        """Let nothing through any more (in these directions; none named: in both).

        Connections made meanwhile are accepted, and hang as well.
        """
        self._call(lambda: self._set_gates(directions or tuple(Direction), is_open=False))

    def thaw(self) -> None:
        """Forward what was held back, and all that follows."""
        self._call(lambda: self._set_gates(tuple(Direction), is_open=True))

    def refuse(self) -> None:
        """Refuse new connections; those that exist stay."""
        self._run(self._close_listener())

    def allow(self) -> None:
        """Take new connections again, on the same port."""
        self._run(self._open_listener())

    def __enter__(self) -> Self:
        self._thread.start()
        self.thaw()
        self.allow()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_LIMIT)
        self._loop.close()

    # --- from the test's thread into the proxy's ------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_LIMIT)

    def _call(self, function: Callable[[], T]) -> T:
        async def work() -> T:
            return function()

        return self._run(work())

    # --- in the proxy's thread ------------------------------------------------------------------

    def _count(self) -> int:
        return len(self._links)

    def _set_gates(self, directions: tuple[Direction, ...], *, is_open: bool) -> None:
        for direction in directions:
            if is_open:
                self._gates[direction].set()
            else:
                self._gates[direction].clear()

    def _cut(self) -> None:
        for link in tuple(self._links):
            link.cut()
        self._links.clear()

    async def _open_listener(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, self.host, self.port, limit=_CHUNK
            )

    async def _close_listener(self) -> None:
        if self._listener is not None:
            # Not wait_closed(): since Python 3.12 it waits for the connections, too.
            self._listener.close()
            self._listener = None
            await asyncio.sleep(0)

    async def _shut_down(self) -> None:
        await self._close_listener()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            for gate in self._gates.values():
                await gate.wait()
            server_reader, server_writer = await asyncio.open_connection(
                *self._server, limit=_CHUNK
            )
            link.add(server_writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(Direction.TO_SERVER, reader, server_writer))
                pumps.create_task(self._pump(Direction.TO_CLIENT, server_reader, writer))
            await link.close()
        except* (OSError, asyncio.CancelledError):
            link.cut()  # one end was reset, the server refused, or the test cut the link
        finally:
            self._links.discard(link)

    async def _pump(
        self, direction: Direction, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        gate = self._gates[direction]
        while data := await source.read(_CHUNK):
            await gate.wait()
            target.write(data)
            self._passed[direction] += len(data)
            await target.drain()
        await gate.wait()  # the end of a stream is news as well: a frozen link holds it back
        if target.can_write_eof():
            target.write_eof()


class _Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._task = asyncio.current_task()
        self._writers = [client]

    def add(self, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)

    async def close(self) -> None:
        """End in order: what was written still arrives."""
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()

    def cut(self) -> None:
        for writer in self._writers:
            raw: socket.socket | None = writer.get_extra_info("socket")
            if raw is not None and not writer.transport.is_closing():
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
