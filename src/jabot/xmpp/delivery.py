"""Sends texts that must not be lost, over one connection of a session after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from xml.etree import ElementTree as ET

from jabot.errors import ConnectionFailed
from jabot.xmpp.line import Line
from jabot.xmpp.outbox import Arrived, Outbox

log = logging.getLogger(__name__)

_SLOWEST = 1_000.0  # bytes a second that a line carries at least; a slower one counts as dead


class Delivery:
    """Texts are kept in an `Outbox` until a ping that was sent behind them came back.

    `ping(limit)` is that of the session; it raises `ConnectionFailed` or `TimeoutError`. A server
    has `answer_within` seconds for it, beside the time that the texts take.
    """

    def __init__(self, ping: Callable[[float], Awaitable[None]], answer_within: float) -> None:
        self._ping = ping
        self._answer_within = answer_within
        self._outbox = Outbox()
        self._line: Line | None = None
        self._confirming: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many texts the server has not got, as far as we know."""
        return len(self._outbox)

    @property
    def patience(self) -> float:
        """Seconds for a ping to come back: what was sent before it has to pass the line first."""
        return self._answer_within + self._outbox.bytes_under_way / _SLOWEST

    def send(self, text: ET.Element, arrived: Arrived | None) -> None:
        """Send a text now or as soon as the line allows."""
        self._outbox.add(text, arrived)
        self._send_waiting()

    def online(self, line: Line) -> None:
        """There is a new connection: what was not confirmed on the last one goes again."""
        self._line = line
        self._outbox.rewind()
        self._send_waiting()

    def offline(self) -> None:
        """The connection is gone."""
        self._line = None
        if self._confirming is not None:
            self._confirming.cancel()
            self._confirming = None

    async def finish(self, limit: float) -> None:
        """Confirm what is under way, within `limit` seconds."""
        if self._confirming is not None:
            await asyncio.wait({self._confirming}, timeout=limit)
        if self._outbox:
            log.warning("left with %d texts that the server has not got", len(self._outbox))

    def _send_waiting(self) -> None:
        """Send as many texts as may be under way, and see to it that they are confirmed."""
        if self._line is None:
            return
        try:
            for text in self._outbox.take():
                self._line.send_element(text)
        except ConnectionFailed:
            return  # they stay in the outbox, for the next connection
        if self._outbox and self._confirming is None:
            self._confirming = asyncio.ensure_future(self._confirm(self._line))

    async def _confirm(self, line: Line) -> None:
        """Ping until all texts are confirmed; each answer makes room for more of them."""
        try:
            while self._outbox and line is self._line:
                mark, patience = self._outbox.mark(), self.patience
                await self._ping(patience)
                self._outbox.confirm(mark)
                self._send_waiting()
        except TimeoutError:
            line.give_up(f"the server took no text within {patience:.0f} s")
        except ConnectionFailed as problem:
            log.debug("texts are not confirmed: %s", problem)
        finally:
            if self._confirming is asyncio.current_task():
                self._confirming = None
