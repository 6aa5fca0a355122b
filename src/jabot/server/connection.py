"""The I/O of one client: bytes to the stream and back, limits on both, and TLS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from jabot.server.conditions import StreamError
from jabot.server.config import ServerConfig
from jabot.server.parser import StreamParser
from jabot.server.stream import Stream
from jabot.server.tls import Certificate

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One TCP connection. Also the `StreamLink` of its stream."""

    def __init__(
        self,
        config: ServerConfig,
        certificate: Certificate,
        make_stream: Callable[[Connection], Stream],
        on_made: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.peer = "?"
        self.is_encrypted = False
        self._config = config
        self._certificate = certificate
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport  # set by connection_made, before anything else
        self._upgrade: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._is_lost = False
        self._parser = StreamParser(config.max_stanza_before_auth, config.max_depth)
        self._stream = make_stream(self)
        self._pending: list[bytes] = []
        self._written = 0  # bytes handed to the transport
        self._drained = 0  # of these, the bytes that had left it at the last look
        self._drained_at = self._opened_at = self._heard_at = self._loop.time()
        self._pinged_at: float | None = None
        self._closing_at: float | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = _as_text(transport.get_extra_info("peername"))
        log.debug("%s connected", self.peer)
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        if self._upgrade is not None:
            # Decrypted already, but `_handshake` has not been told yet that TLS stands. Handled
            # now, it would count as plain text.
            self._early.append(data)
            return
        self._heard_at = self._loop.time()
        self._pinged_at = None
        if self._closing_at is not None:
            return
        parser = self._parser
        try:
            for event in parser.feed(data):
                self._stream.receive(event)
                if parser is not self._parser or self._closing_at is not None:
                    return  # what followed belongs to a stream that is no more
        except StreamError as error:
            self.fail(error)
        except Exception:
            log.exception("%s: a stanza could not be handled", self._name())
            self.fail(StreamError("internal-server-error"))

    def eof_received(self) -> None:
        self._end()  # asyncio closes the transport, once what was written is out

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        log.debug("%s disconnected: %s", self.peer, exc)
        self._end()
        self._parser.close()
        self._pending.clear()
        self._on_lost(self)

    # Link

    def write(self, data: bytes) -> None:
        """Queue `data`; what a turn of the loop queues leaves in one system call."""
        if self._closing_at is not None:
            return
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def fail(self, error: StreamError) -> None:
        if self._closing_at is not None:
            return
        log.info("%s: closing: %s", self._name(), error)
        if self._upgrade is not None:
            self.abort()  # in the middle of a TLS handshake nothing can be said
            return
        if not self._stream.header_sent:
            self._stream.send_header()
        self.write(error.to_bytes())
        self._close_stream()
        if not self.is_encrypted:
            # Closing at once, with input unread, would reset the connection and take the error
            # with it. The client reads to the end and closes; `check` sees to it that it does.
            self._transport.write_eof()

    def close(self) -> None:
        if self._closing_at is not None:
            return
        self._close_stream()
        self._transport.close()

    def restart(self, limit: int) -> None:
        self._parser.close()
        self._parser = StreamParser(limit, self._config.max_depth)

    def start_tls(self) -> None:
        # From here on nothing may be read as plain text: it could be put there by anybody.
        self._transport.pause_reading()
        self.restart(self._config.max_stanza_before_auth)
        self._flush()
        self._upgrade = self._loop.create_task(self._handshake(self._transport))

    # Upkeep

    def check(self, now: float) -> None:
        """Enforce the time limits; called every now and then."""
        config = self._config
        if self._closing_at is not None:
            if now - self._closing_at > config.close_timeout:
                self.abort()
        elif self._stalled_for(now) > config.write_timeout:
            log.warning("%s reads nothing, and is closed", self._name())
            self.abort()
        elif self._stream.session is None:
            if now - self._opened_at > config.auth_timeout:
                self.fail(StreamError("connection-timeout", "signing in took too long"))
        elif self._pinged_at is not None:
            if now - self._pinged_at > config.ping_timeout:
                self.fail(StreamError("connection-timeout", "no answer to a ping"))
        elif now - self._heard_at > config.ping_interval:
            self._pinged_at = now
            self._stream.ping()

    def abort(self) -> None:
        """Drop the connection now, with all that waits to be written."""
        self._end()
        if self._upgrade is not None:
            self._upgrade.cancel()
        self._transport.abort()

    def _stalled_for(self, now: float) -> float:
        """Seconds since the client last took something, while something waits for it."""
        waiting = self._transport.get_write_buffer_size()
        drained = self._written - waiting
        if waiting == 0 or drained != self._drained:
            self._drained = drained
            self._drained_at = now
        return now - self._drained_at

    # Inside

    def _flush(self) -> None:
        pending = self._pending
        if not pending:
            return
        transport = self._transport
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        pending.clear()
        if transport.is_closing():
            return
        self._written += len(data)
        transport.write(data)
        if transport.get_write_buffer_size() > self._config.max_backlog:
            log.warning("%s reads too slowly, and is closed", self._name())
            self.abort()

    def _close_stream(self) -> None:
        self.write(b"</stream:stream>")
        self._flush()
        self._end()

    def _end(self) -> None:
        if self._closing_at is None:
            self._closing_at = self._loop.time()
        self._stream.end()

    async def _handshake(self, transport: asyncio.Transport) -> None:
        timeout = self._config.auth_timeout
        try:
            secured = await self._loop.start_tls(
                transport,
                self,
                self._certificate.context(),
                server_side=True,
                ssl_handshake_timeout=timeout,
            )
        except OSError as problem:
            log.info("%s: no TLS: %s", self.peer, problem or type(problem).__name__)
            transport.abort()
            self.connection_lost(problem)  # asyncio does not always, when the handshake fails
            return
        except asyncio.CancelledError:
            self.connection_lost(None)
            raise
        except Exception as problem:  # of the certificate, say; the client can only go away
            log.exception("%s: cannot offer TLS", self.peer)
            transport.abort()
            self.connection_lost(problem)
            return
        finally:
            self._upgrade = None
        if secured is None:  # lost meanwhile
            self.connection_lost(None)
            return
        self._transport = secured
        self.is_encrypted = True
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def _name(self) -> str:
        session = self._stream.session
        return self.peer if session is None else session.full


def _as_text(address: object) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{address[0]}:{address[1]}"
    return str(address)
