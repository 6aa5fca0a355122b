"""A line in a room, and how far its answer is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from jabot.chat import texts
from jabot.chat.addressing import Address
from jabot.chat.collection import Collection
from jabot.chat.obeying import Part
from jabot.jid import JID
from jabot.xmpp.rooms import Rooms


@dataclass(eq=False)
class RoomLine:
    """One line that is for this node among others. It is over when its answer was said."""

    room: str
    id: str
    person: JID  # the real address of who said it
    address: Address
    own: str  # our nick when it was said
    # The nodes that have heard it, by nick, and their addresses as far as they are known by now (a
    # room that was just made may show them late). The nicks are the same for all of them.
    all: dict[str, JID | None]
    beside_others: bool  # we are a queue, and it is for nodes that are none as well
    is_known: bool  # whether its sender has a right here
    may_refuse: bool  # whether its sender, who has none, is still to be told so
    there: list[str]  # nicks of those that are still in the room, in order
    mine: Part | None = None
    collection: Collection | None = None  # of the speaker
    timer: asyncio.TimerHandle | None = None
    mute: str = ""  # the speaker of before that never spoke
    until: float = 0.0  # when the others stop waiting for us to speak
    is_over: bool = False
    _nicks: dict[JID, str] = field(default_factory=dict)  # by address, as far as they were known

    def nick_of(self, sender: JID, rooms: Rooms) -> str:
        """Whose address it is, of those that have heard it; empty when it is nobody's."""
        if sender not in self._nicks:
            addresses = {nick: self.address_of(nick, rooms) for nick in self.all}
            self._nicks = {jid: nick for nick, jid in addresses.items() if jid is not None}
        return self._nicks.get(sender, "")

    def address_of(self, nick: str, rooms: Rooms) -> JID | None:
        """The real address of a node that has heard it."""
        if self.all[nick] is None:
            occupant = rooms.occupant(JID(f"{self.room}/{nick}"))
            self.all[nick] = occupant.jid if occupant is not None else None
        return self.all[nick]

    @property
    def speaker(self) -> str:
        """Who says the answer: the first that is there."""
        return self.there[0]

    def text(self, collection: Collection) -> str:
        """What the speaker says; empty when that is nothing."""
        if self.mute and not collection.has_answers:
            return ""
        if not self.is_known and not collection.has_answers:
            return texts.NOT_FOR_YOU if self.may_refuse else ""
        if collection.is_for_nobody and self.address.label:
            value = f"={self.address.value}" if self.address.value else ""
            return f"No node here has the label {self.address.label}{value}."
        return collection.text()
