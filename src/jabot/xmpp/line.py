"""One connection to a server, as a session uses it."""

from __future__ import annotations

import asyncio
from typing import Protocol
from xml.etree import ElementTree as ET

from jabot.errors import ConnectionFailed
from jabot.jid import JID


class Line(Protocol):
    """`Stream` is the one over a network; an account may bring its own (`Account.lines`)."""

    boundjid: JID
    closed: asyncio.Future[ConnectionFailed]
    is_choked: bool
    received_at: float

    async def open(self, limit: float) -> None:
        """Sign in and bind within `limit` seconds; raises `ConnectionFailed`."""

    def close(self) -> None:
        """Drop the connection now; does nothing when it is over already."""

    def give_up(self, reason: str) -> None:
        """Drop a connection that is good for nothing, for a reason that is told."""

    async def leave(self, limit: float) -> None:
        """End it in the orderly way, within `limit` seconds."""

    def send_element(self, xml: ET.Element) -> None:
        """Send a stanza; raises `ConnectionFailed` when closed."""

    def send_text(self, xml: str) -> None:
        """Send stanzas that are text already; raises `ConnectionFailed` when closed."""
