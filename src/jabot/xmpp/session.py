"""A session that stays: it connects, notices when the line is dead, and connects again."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from xml.etree import ElementTree as ET

from jabot.account import Account
from jabot.errors import (
    AuthenticationFailed,
    CertificateError,
    ConnectionFailed,
    Replaced,
    StanzaError,
    UnknownHost,
)
from jabot.jid import JID
from jabot.xmpp.backoff import Backoff
from jabot.xmpp.delivery import Delivery
from jabot.xmpp.disco import PING, Disco, information, read_features
from jabot.xmpp.frames import LATER, read_batch, refusal
from jabot.xmpp.line import Line
from jabot.xmpp.outbox import Arrived
from jabot.xmpp.requests import Requests
from jabot.xmpp.shares import Share, read_share
from jabot.xmpp.stanzas import (
    IncomingPresence,
    IncomingText,
    OutgoingText,
    read_chat_state,
    read_presence,
    read_text,
)
from jabot.xmpp.stream import over_network
from jabot.xmpp.topic_stanzas import Notification, read_notification

log = logging.getLogger(__name__)

# Trying again would not help: a person has to do something.
_FINAL = (AuthenticationFailed, CertificateError, Replaced)
_STEADY = 10.0  # seconds after which a connection counts as good, and the backoff begins anew
_REMEMBERED_FEATURES = 1000
_TOLD_WITHIN = 5.0  # seconds that a program may take to say what it can


class SessionListener:
    """What a session tells its owner; all of it on the event loop. The methods do nothing: a
    subclass has those that concern it."""

    def online(self) -> None:
        """The session is bound. Nothing was announced yet."""

    def offline(self) -> None:
        """The connection is gone; the session connects again by itself."""

    def text_received(self, text: IncomingText) -> None:
        """A message with a text came in."""

    def typing_received(self, sender: JID, state: str) -> None:
        """A message came in that only tells a chat state (XEP-0085)."""

    def presence_received(self, presence: IncomingPresence) -> None:
        """Somebody's presence, ours among them."""

    def notification_received(self, notification: Notification) -> None:
        """A service tells of a topic."""

    def share_received(self, share: Share) -> None:
        """Another node adds to an answer in a room."""


class Carrier(Protocol):
    """Who carries frames over a session."""

    def iq_received(self, iq: ET.Element) -> bool:
        """An IQ came in; True when it was about frames, and is seen to."""

    def room(self) -> None:
        """The line takes more again."""


@dataclass(frozen=True)
class Timing:
    """The limits of a session, in seconds, and the clock that tells its program the date.

    A dead line is found after `quiet + ping` at the latest.
    """

    connect: float = 30.0  # from the first byte to the bound session
    quiet: float = 20.0  # silence after which the server is pinged
    ping: float = 10.0  # how long it has to answer
    backoff: Backoff = field(default_factory=Backoff)
    wall: Callable[[], float] = time.time  # seconds since 1970


def new_resource() -> str:
    """A resource that was never used before: `host-pid-random`."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname())
    return f"{host[:32]}-{os.getpid()}-{secrets.token_hex(4)}"


class Session:
    """Signed in as `account`, for as long as `run()` runs. `features` are what it says that it can
    (XEP-0030) beyond answering pings.

    The resource is made at the start and kept when the connection is made anew, so a reconnected
    session takes the place of its own dead one.
    """

    def __init__(
        self,
        account: Account,
        listener: SessionListener,
        timing: Timing | None = None,
        *,
        features: tuple[str, ...] = (),
    ) -> None:
        self.account = account
        self.timing = timing or Timing()
        self._listener = listener
        self._resource = new_resource()
        self._new_line: Callable[..., Line] = (account.lines or over_network)(account)
        self._stream: Line | None = None
        self._texts = Delivery(self.ping, self.timing.ping)
        self._stopping = asyncio.Event()
        self._features: OrderedDict[JID, frozenset[str]] = OrderedDict()
        self._carrier: Carrier | None = None
        self.requests = Requests(lambda: self.jid, self.send)
        """What is asked of others by IQ, and what they may ask."""
        self.disco = Disco(self.requests, features)
        """What it says that it is."""

    def carry(self, carrier: Carrier) -> None:
        """Let a carrier see each IQ first, from the next connection on."""
        self._carrier = carrier

    @property
    def jid(self) -> JID:
        """The full address. The server may choose another resource than the one asked for."""
        return (
            self._stream.boundjid
            if self._stream
            else JID(f"{self.account.jid.bare}/{self._resource}")
        )

    @property
    def is_online(self) -> bool:
        """Whether the session is bound just now."""
        return self._stream is not None

    async def run(self, *, keep_trying: bool = True) -> None:
        """Stay connected until `stop()`.

        Raises `AuthenticationFailed`, `CertificateError` or `Replaced` at once, `UnknownHost` when
        it meets the very first attempt, and with `keep_trying=False` whatever does.
        """
        loop = asyncio.get_running_loop()
        failures, ever_online = 0, False
        while not self._stopping.is_set():
            started = loop.time()
            try:
                await self._one_connection()
            except ConnectionFailed as problem:
                was_online = self._stream is not None
                ever_online = ever_online or was_online
                self._end_connection()
                first = failures == 0 and not ever_online
                if _is_final(problem, first) or not (keep_trying or ever_online):
                    raise
                good = was_online and loop.time() - started >= _STEADY
                failures = 1 if good else failures + 1
                await self._wait_before_retry(problem, failures)

    async def stop(self, limit: float = 2.0) -> None:
        """Confirm the texts that are under way, end the stream, and let `run()` return."""
        await self._texts.finish(limit)
        self._stopping.set()
        if self._stream is not None:
            await self._stream.leave(limit)

    def send_text(self, text: OutgoingText, arrived: Arrived | None = None) -> None:
        """Send a text now or as soon as the line allows; it is kept until the server has it."""
        self._texts.send(text.xml(), arrived)

    def send(self, element: ET.Element) -> bool:
        """Send what may be lost; False when there is no connection to send it on."""
        if self._stream is None:
            return False
        try:
            self._stream.send_element(element)
        except ConnectionFailed:
            return False
        return True

    def send_stanzas(self, xml: str) -> None:
        """Send stanzas that are text already and may be lost, as they are without a connection."""
        if self._stream is not None:
            with suppress(ConnectionFailed):
                self._stream.send_text(xml)

    @property
    def has_room(self) -> bool:
        """Whether there is a connection, and its line is not full."""
        return self._stream is not None and not self._stream.is_choked

    async def ping(self, limit: float) -> None:
        """A round trip to the server (XEP-0199): it has taken all that was sent before.

        Raises `ConnectionFailed` or `TimeoutError`.
        """
        try:
            await self.requests.ask("get", JID(self.jid.domain), ET.Element(PING), limit)
        except StanzaError:
            log.debug("the server knows no ping; an error is an answer, too")

    async def features(self, jid: JID) -> frozenset[str]:
        """What a program at a full address says that it can (XEP-0030); empty when it won't say.

        Answers are remembered until its presence goes or the connection does.
        """
        stream = self._stream
        if jid in self._features or stream is None:
            return self._features.get(jid, frozenset())
        try:
            features = read_features(
                await self.requests.ask("get", jid, information(), _TOLD_WITHIN)
            )
        except (StanzaError, TimeoutError, ConnectionFailed) as problem:
            log.debug("%s does not say what it can: %r", jid, problem)
            return frozenset()  # not remembered: it may say so next time
        if stream is self._stream:
            self._features[jid] = features
            if len(self._features) > _REMEMBERED_FEATURES:
                self._features.popitem(last=False)
        return features

    # -- one connection --------------------------------------------------------------------------

    async def _one_connection(self) -> None:
        """Connect and stay until the stream ends; returns only when that was asked for."""
        stream: Line = self._new_line(
            self._resource,
            on_message=self._message,
            on_presence=self._presence,
            on_iq=lambda iq: self._iq(stream, iq),
            on_room=self._room,
        )
        stopped = asyncio.ensure_future(self._stopping.wait())
        opening = asyncio.ensure_future(stream.open(self.timing.connect))
        try:
            await asyncio.wait({opening, stopped}, return_when="FIRST_COMPLETED")
            if self._stopping.is_set():
                return
            opening.result()
            self._stream = stream
            log.info("online as %s", self.jid)
            _guarded(self._listener.online)
            self._texts.online(stream)
            watch = asyncio.ensure_future(self._watch(stream))
            try:
                problem = await stream.closed
            finally:
                watch.cancel()
            if not self._stopping.is_set():
                raise problem
            self._end_connection()
        finally:
            stream.close()
            for task in (opening, stopped):
                task.cancel()
            # Also fetches the exception of an attempt that failed while we were told to stop.
            await asyncio.gather(opening, stopped, return_exceptions=True)

    def _end_connection(self) -> None:
        if self._stream is not None:
            self._stream = None
            self._features.clear()
            self._texts.offline()
            self.requests.lost(ConnectionFailed("the connection was lost"))
            _guarded(self._listener.offline)

    async def _wait_before_retry(self, problem: ConnectionFailed, failures: int) -> None:
        delay = self.timing.backoff.delay(failures)
        log.warning("%s; trying again in %.1f s", problem, delay)
        try:
            async with asyncio.timeout(delay):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _watch(self, stream: Line) -> None:
        """Ping a silent server, and give a connection up on which nothing comes back."""
        loop = asyncio.get_running_loop()
        while True:
            silent = loop.time() - stream.received_at
            if silent < self.timing.quiet:
                await asyncio.sleep(self.timing.quiet - silent)
                continue
            try:
                await self.ping(self._texts.patience)
            except TimeoutError:
                silent = loop.time() - stream.received_at
                stream.give_up(f"nothing came from the server for {silent:.0f} s")
            except ConnectionFailed:
                return

    # -- what comes in ---------------------------------------------------------------------------

    def _message(self, xml: ET.Element) -> None:
        text = read_text(xml, self.jid)
        if text is not None:
            _guarded(self._listener.text_received, text)
        elif (typing := read_chat_state(xml, self.jid)) is not None:
            _guarded(self._listener.typing_received, *typing)
        elif (notification := read_notification(xml)) is not None:
            _guarded(self._listener.notification_received, notification)
        elif (share := read_share(xml)) is not None:
            _guarded(self._listener.share_received, share)

    def _iq(self, stream: Line, xml: ET.Element) -> bool:
        if self._carrier is None:
            return self.requests.received(xml)
        if self._stream is not stream:  # bound, and not yet known to be: ask for it again
            batch = read_batch(xml)
            if batch is not None:
                stream.send_text(refusal(batch.peer, batch.id, LATER))
            return batch is not None
        try:
            return self._carrier.iq_received(xml) or self.requests.received(xml)
        except Exception:
            log.exception("handling frames failed")
            return True

    def _room(self) -> None:
        if self._carrier is not None:
            _guarded(self._carrier.room)

    def _presence(self, xml: ET.Element) -> None:
        presence = read_presence(xml, self.jid)
        if presence is None:
            return
        if presence.type == "unavailable":
            self._features.pop(presence.sender, None)
        _guarded(self._listener.presence_received, presence)


def _is_final(problem: ConnectionFailed, first: bool) -> bool:
    """Whether it is of no use to try again: a name that never resolved is misspelt."""
    return isinstance(problem, _FINAL) or (first and isinstance(problem, UnknownHost))


def _guarded(function: Callable[..., None], *args: object) -> None:
    """slixmpp would answer an exception with a stanza to whoever sent the one in hand."""
    try:
        function(*args)
    except Exception:
        log.exception("handling a stanza failed")
