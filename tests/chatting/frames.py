"""Somebody who speaks the protocol between programs by hand, right or wrong."""

import asyncio
import base64
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as ET

from slixmpp import JID
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from servers import Account, Server

from .person import Person, signed_in
from .waiting import LIMIT

JABOT = "urn:jabot:0"
JSON = "urn:xmpp:json:0"


def deflated(text: str) -> str:
    packer = zlib.compressobj(wbits=-15)
    return base64.b64encode(packer.compress(text.encode()) + packer.flush()).decode()


class Hand:
    """Frames go out as told, and come in as lists, each batch taken."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.frames: list[list[Any]] = []
        self._news = asyncio.Event()
        path = MatchXPath(f"{{jabber:client}}iq/{{{JABOT}}}frames")
        person.register_handler(Callback("frames", path, self._received))

    @property
    def full(self) -> str:
        return str(self.person.boundjid)

    async def send(self, to: JID | str, frames: object, *, deflate: bool = False) -> str:
        """Send a batch (a text goes as it is); gives the condition of the answer, "" when the
        batch was taken."""
        text = frames if isinstance(frames, str) else json.dumps(frames)
        payload = ET.Element(f"{{{JABOT}}}frames")
        child = ET.SubElement(payload, f"{{{JABOT}}}deflate" if deflate else f"{{{JSON}}}json")
        child.text = deflated(text) if deflate else text
        return await self.send_payload(to, payload)

    async def send_payload(self, to: JID | str, payload: ET.Element) -> str:
        """The same with any element in the stanza."""
        iq = self.person.make_iq_set(ito=JID(to))
        iq.append(payload)
        try:
            await iq.send(timeout=LIMIT)
        except IqError as error:
            return str(error.condition)
        return ""

    async def hear(self, *begin: object) -> list[Any]:
        """Wait for a frame that begins so, also an earlier one; each is given once."""
        async with asyncio.timeout(LIMIT):
            while True:
                for frame in self.frames:
                    if frame[: len(begin)] == list(begin):
                        self.frames.remove(frame)
                        return frame
                self._news.clear()
                await self._news.wait()

    def show_as_node(self, to: str, tasks: str = "lift", **more: str) -> None:
        """Answer a greeting as a node would."""
        presence = self.person.make_presence(pto=JID(to))
        told = {"tasks": tasks, "running": "0", "slots": "8", **more}
        presence.append(ET.Element(f"{{{JABOT}}}node", told))
        presence.send()

    def _received(self, iq: Any) -> None:
        (child,) = iq.xml[0]
        text = child.text or ""
        if child.tag == f"{{{JABOT}}}deflate":
            text = zlib.decompress(base64.b64decode(text), -15).decode()
        self.frames += json.loads(text)
        self._news.set()
        iq.reply(clear=True).send()


@asynccontextmanager
async def by_hand(
    server: Server, account: Account | None = None, resource: str = "by-hand"
) -> AsyncIterator[Hand]:
    """A session of that account, or of a new one."""
    async with signed_in(server, account, features=(), resource=resource) as person:
        yield Hand(person)
