"""Several nodes at once, and a room of their own for each test."""

import asyncio
from contextlib import AsyncExitStack
from xml.etree import ElementTree as ET

from jabot import Node, Reply
from servers import Account, Server

from .nodes import QUICK, Served, serving
from .person import Person, signed_in
from .waiting import LIMIT

MUC = "http://jabber.org/protocol/muc"


def fresh_room(server: Server) -> str:
    """The address of a room that is not there yet."""
    name = server.fresh_user("fleet").jid.partition("@")[0]
    return f"{name}@conference.{server.domain}"


class Fleet:
    """Nodes that are served, and people who are signed in, until the end of the test."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self.server = server
        self.room = fresh_room(server)
        self._stack = stack

    async def serve(self, node: Node, account: Account | None = None) -> Served:
        served = serving(node, self.server, account, timing=QUICK, for_people=False)
        return await self._stack.enter_async_context(served)

    async def person(self, nick: str, account: Account | None = None) -> Person:
        """Somebody who is in the room, with a chat program, and hears nothing of before."""
        person = await self._stack.enter_async_context(signed_in(self.server, account))
        presence = person.make_presence(pto=f"{self.room}/{nick}")
        entrance = ET.Element(f"{{{MUC}}}x")
        ET.SubElement(entrance, f"{{{MUC}}}history", maxstanzas="0")
        presence.append(entrance)
        presence.send()
        await person.see(f"{self.room}/{nick}")
        return person

    async def gathered(self, *nodes: Served) -> None:
        """Wait until all of them are in the room, and know each other's addresses."""
        rooms = [served.node._serving.rooms for served in nodes]
        counts: list[int] = []
        try:
            async with asyncio.timeout(LIMIT):
                while counts != len(nodes) * [len(nodes)]:
                    await asyncio.sleep(0.01)
                    counts = [
                        sum(o.is_node and o.jid is not None for o in each.occupants(self.room))
                        for each in rooms
                    ]
        except TimeoutError:
            raise AssertionError(f"the nodes know of so many nodes in the room: {counts}") from None


def told(replies: list[Reply]) -> dict[str, object]:
    """By node: the result, or the status."""
    said = {
        str(reply.node): reply.result if reply.status == "answered" else reply.status
        for reply in replies
    }
    assert len(said) == len(replies), replies
    for reply in replies:
        assert (reply.error is None) == (reply.status == "answered")
        assert reply.seconds >= 0
    return said
