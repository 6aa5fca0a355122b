"""A session's stays in rooms (XEP-0045): it enters, comes back when it was put out, and knows who
else is there."""

from __future__ import annotations

from collections.abc import Mapping

from jabot.jid import JID
from jabot.xmpp.room import Occupant, Room, RoomListener
from jabot.xmpp.session import Session
from jabot.xmpp.stanzas import IncomingPresence
from jabot.xmpp.stay import Stay


class Rooms:
    """All stays of one session. `mark` is what it bears there: `NODE`, `QUEUE`, or None for who is
    neither. `listeners` are told of everything, in their order."""

    def __init__(self, session: Session, mark: Mapping[str, str] | None) -> None:
        self.listeners: list[RoomListener] = []
        self._session = session
        self._mark = mark
        self._stays: dict[str, Stay] = {}

    def __contains__(self, address: str) -> bool:
        """Whether we are to be in a room."""
        return address in self._stays

    def enter(self, room: Room) -> None:
        """Be in a room from now on, and whenever there is a connection."""
        stay = self._stays.get(room.address)
        if stay is None:
            stay = Stay(room, self._session, self.listeners, self._mark)
            self._stays[room.address] = stay
            if self._session.is_online:
                stay.enter()

    def leave(self, address: str) -> None:
        """Be in it no more."""
        stay = self._stays.pop(address, None)
        if stay is not None:
            stay.leave()

    def farewell(self, status: str) -> None:
        """Leave all of them, with a last word."""
        stays, self._stays = self._stays, {}
        for stay in stays.values():
            stay.leave(status)

    def is_inside(self, address: str) -> bool:
        """Whether we are in a room just now."""
        stay = self._stays.get(address)
        return stay is not None and stay.state == "inside"

    def problem(self, address: str) -> str:
        """Why we are not in a room that we were to enter; empty when nothing is wrong."""
        stay = self._stays.get(address)
        return "" if stay is None else stay.problem

    def is_barred(self, address: str) -> bool:
        """Whether somebody has to let us into a room first."""
        stay = self._stays.get(address)
        return stay is not None and stay.is_barred

    def occupants(self, address: str) -> list[Occupant]:
        """Who is in a room, ourselves among them; by nick."""
        stay = self._stays.get(address)
        return [] if stay is None else [stay.there[nick] for nick in sorted(stay.there)]

    def occupant(self, sender: JID) -> Occupant | None:
        """Who has an address in a room (`fleet@conference.example.org/worker-3`)."""
        stay = self._stays.get(sender.bare)
        return None if stay is None else stay.there.get(sender.resource)

    def nick(self, address: str) -> str:
        """Our own name in a room."""
        return self._stays[address].nick

    def online(self) -> None:
        """There is a new connection."""
        if not self._session.is_online:
            return  # gone again
        for stay in self._stays.values():
            stay.enter()

    def offline(self) -> None:
        """The connection is gone, and we are nowhere."""
        for stay in self._stays.values():
            stay.lost("the connection was lost")

    def close(self) -> None:
        """Stop the timers."""
        for stay in self._stays.values():
            stay.close()

    def received(self, stanza: IncomingPresence) -> bool:
        """Somebody's presence; True when a room says it, also one that we have left."""
        stay = self._stays.get(stanza.sender.bare)
        if stay is not None:
            stay.received(stanza)
        return stay is not None or stanza.room is not None
