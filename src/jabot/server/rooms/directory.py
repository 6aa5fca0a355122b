"""Which rooms there are: they come when somebody enters, and go when nobody is left."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from jabot.server.conditions import StanzaError
from jabot.server.config import ServerConfig
from jabot.server.delay import utc_now
from jabot.server.rooms.affiliations import Affiliation
from jabot.server.rooms.configuration import RoomConfiguration
from jabot.server.rooms.room import Deliver, Room, RoomRecord
from jabot.server.rooms.store import RoomStore

log = logging.getLogger(__name__)


class Directory:
    """The rooms of one service; the persistent ones are in the store as well."""

    def __init__(self, config: ServerConfig, store: RoomStore, deliver: Deliver) -> None:
        self._config = config
        self._store = store
        self._deliver = deliver
        self._rooms: dict[str, Room] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def load(self) -> None:
        """Take up the rooms that were kept."""
        for record in self._store.load():
            self._rooms[record.jid] = self._room(record)

    def get(self, jid: str) -> Room | None:
        return self._rooms.get(jid)

    def find(self, jid: str) -> Room:
        """Raises StanzaError when there is none."""
        room = self.get(jid)
        if room is None:
            raise StanzaError("item-not-found", "there is no such room")
        return room

    def create(self, jid: str, creator: str) -> Room:
        """A new room, locked until its owner has configured it. Raises StanzaError at a limit."""
        limit = self._config.max_rooms
        if sum(1 for each in self if each.record.creator == creator) >= limit:
            raise StanzaError("resource-constraint", f"{creator} has {limit} rooms already")
        configuration = RoomConfiguration(max_occupants=self._config.max_occupants)
        record = RoomRecord(
            jid=jid,
            creator=creator,
            configuration=configuration,
            affiliations={creator: Affiliation.OWNER},
        )
        room = self._rooms[jid] = self._room(record, locked=True)
        log.info("%s: created by %s", jid, creator)
        return room

    def settle(self, room: Room) -> None:
        """Let a room go that is empty and not meant to stay."""
        if not room.configuration.persistent and len(room.occupants) == 0:
            del self._rooms[room.jid]
            log.info("%s: gone", room.jid)

    def destroy(self, room: Room) -> None:
        del self._rooms[room.jid]
        self._store.delete(room.jid)
        log.info("%s: destroyed", room.jid)

    # What is kept

    def configured(self, room: Room, *, was_persistent: bool) -> None:
        """Bring the store up to date after a change of the configuration."""
        if room.configuration.persistent:
            self._store.save(room.record)
        elif was_persistent:
            self._store.delete(room.jid)
        self.settle(room)

    def subject_set(self, room: Room) -> None:
        if room.configuration.persistent:
            self._store.save_room(room.record)

    def affiliated(self, room: Room, changed: dict[str, Affiliation]) -> None:
        if room.configuration.persistent:
            self._store.save_affiliations(room.jid, changed)

    def _room(self, record: RoomRecord, *, locked: bool = False) -> Room:
        return Room(record, self._deliver, utc_now, self._config.max_occupants, locked=locked)
