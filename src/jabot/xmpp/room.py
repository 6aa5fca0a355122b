"""A room (XEP-0045), who is in it, and what is told of that."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from jabot.account import parse_jid
from jabot.errors import ConfigError
from jabot.jid import JID


@dataclass(frozen=True)
class Room:
    """A room to be in, by its address.

    Where it is missing it is created: everybody sees the real addresses of all, and anybody may
    enter, or the accounts in `members` alone. `nick` is the name in it; without one it is made of
    the account's name.
    """

    address: str
    nick: str | None = None
    members: Collection[str] = ()

    def __post_init__(self) -> None:
        """Raises `ConfigError` for what is no address of a room, or of a member."""
        jid = parse_jid(self.address)
        if not jid.node or jid.resource:
            raise ConfigError(
                f"room {self.address!r}: give name@service, as in fleet@conference.example.org"
            )
        if self.nick is not None and not self.nick.strip():
            raise ConfigError(f"room {self.address}: nick {self.nick!r} is no name")
        members = tuple(parse_jid(member).bare for member in self.members)
        object.__setattr__(self, "address", jid.bare)
        object.__setattr__(self, "members", members)


def rooms_of(given: str | Room | Iterable[str | Room]) -> list[Room]:
    """Rooms that are given by their addresses alone, or as themselves; one, or several."""
    several = (given,) if isinstance(given, str | Room) else given
    return [room if isinstance(room, Room) else Room(room) for room in several]


@dataclass(frozen=True, slots=True)
class Occupant:
    """Somebody in a room."""

    nick: str
    jid: JID | None  # the real full address; None where the room hides it
    is_node: bool
    is_queue: bool = False  # and it is the node of a queue


class RoomListener:
    """What is told of rooms; all of it on the event loop. The methods do nothing: a subclass has
    those that concern it."""

    def entered(self, room: JID) -> None:
        """We are in it now, and know who else is."""

    def kept_out(self, room: JID, why: str) -> None:
        """We are not in it, and it does not let us in now. We try again by ourselves."""

    def out(self, room: JID, why: str) -> None:
        """We are in it no more. We enter again by ourselves."""

    def came(self, room: JID, occupant: Occupant) -> None:
        """Somebody entered."""

    def went(self, room: JID, occupant: Occupant, why: str) -> None:
        """Somebody left."""
