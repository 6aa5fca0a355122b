"""Which other nodes are in the rooms of a node, for what its author wrote about that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jabot.jid import JID
from jabot.runner.timers import call
from jabot.xmpp.room import Occupant, RoomListener
from jabot.xmpp.rooms import Rooms

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nodes that are in a room just now."""

    room: str
    """Its address."""
    nodes: tuple[Occupant, ...]
    """By nick, the own one among them; empty while this node is not in the room."""


class Neighbourhood(RoomListener):
    """Calls hooks whenever other nodes are in a room than before: a listener of `Rooms`.

    Calls do not overlap. What changes while one runs is told as it is then, in one call.
    """

    def __init__(self, rooms: Rooms, hooks: Sequence[Callable[[Neighbours], Any]]) -> None:
        self._rooms = rooms
        self._hooks = hooks
        self._told: dict[str, tuple[Occupant, ...]] = {}
        self._changed: dict[str, None] = {}
        self._telling: asyncio.Task[None] | None = None
        if hooks:
            rooms.listeners.append(self)

    def close(self) -> None:
        """Tell no more."""
        if self._telling is not None:
            self._telling.cancel()

    # -- what the rooms tell: see `RoomListener` ----------------------------------------------

    def entered(self, room: JID) -> None:
        self._look(room)

    def out(self, room: JID, why: str) -> None:
        self._look(room)

    def came(self, room: JID, occupant: Occupant) -> None:
        self._look(room)

    def went(self, room: JID, occupant: Occupant, why: str) -> None:
        self._look(room)

    # -- within -------------------------------------------------------------------------------

    def _look(self, room: JID) -> None:
        self._changed[room.bare] = None
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="jabot on_peer")

    async def _tell(self) -> None:
        while self._changed:
            room = next(iter(self._changed))
            del self._changed[room]
            nodes = self._nodes(room)
            if nodes == self._told.get(room, ()):
                continue
            self._told[room] = nodes
            for hook in self._hooks:
                try:
                    await call(hook, Neighbours(room, nodes), name="jabot on_peer")
                except Exception:
                    log.exception("an on_peer hook raised")

    def _nodes(self, room: str) -> tuple[Occupant, ...]:
        if not self._rooms.is_inside(room):
            return ()
        return tuple(each for each in self._rooms.occupants(room) if each.is_node)
