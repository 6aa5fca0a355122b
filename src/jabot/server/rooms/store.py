"""The persistent rooms in the server's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec

from jabot.server.element import to_text
from jabot.server.parser import element_of
from jabot.server.rooms.affiliations import Affiliation
from jabot.server.rooms.configuration import RoomConfiguration
from jabot.server.rooms.room import RoomRecord

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rooms (
    room TEXT PRIMARY KEY,
    creator TEXT NOT NULL,
    configuration TEXT NOT NULL,
    subject TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS room_affiliations (
    room TEXT NOT NULL,
    account TEXT NOT NULL,
    affiliation TEXT NOT NULL,
    PRIMARY KEY (room, account)
) WITHOUT ROWID;
"""


class RoomStore:
    """Keeps what of a room outlives its occupants."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.executescript(_SCHEMA)

    def load(self) -> Iterator[RoomRecord]:
        """Every room that was kept. Settings that another version knew are passed by."""
        affiliations: dict[str, dict[str, Affiliation]] = {}
        for room, account, word in self._db.execute("SELECT * FROM room_affiliations"):
            affiliations.setdefault(room, {})[account] = Affiliation[word]
        for room, creator, configuration, subject in self._db.execute("SELECT * FROM rooms"):
            yield RoomRecord(
                jid=room,
                creator=creator,
                configuration=msgspec.json.decode(configuration, type=RoomConfiguration),
                affiliations=affiliations.get(room, {}),
                subject=None if subject is None else element_of(subject),
            )

    def save(self, record: RoomRecord) -> None:
        """Keep the room as it is now, all of it."""
        rows = [(record.jid, account, held.name) for account, held in record.affiliations.items()]
        with self._db:
            self._save_room(record)
            self._db.execute("DELETE FROM room_affiliations WHERE room = ?", (record.jid,))
            self._db.executemany("INSERT INTO room_affiliations VALUES (?, ?, ?)", rows)

    def save_room(self, record: RoomRecord) -> None:
        """Keep its configuration and its subject."""
        with self._db:
            self._save_room(record)

    def save_affiliations(self, room: str, changed: dict[str, Affiliation]) -> None:
        """Keep what some accounts are to the room now."""
        with self._db:
            for account, held in changed.items():
                if held is Affiliation.NONE:
                    self._db.execute(
                        "DELETE FROM room_affiliations WHERE room = ? AND account = ?",
                        (room, account),
                    )
                else:
                    self._db.execute(
                        "INSERT OR REPLACE INTO room_affiliations VALUES (?, ?, ?)",
                        (room, account, held.name),
                    )

    def delete(self, room: str) -> None:
        with self._db:
            self._db.execute("DELETE FROM rooms WHERE room = ?", (room,))
            self._db.execute("DELETE FROM room_affiliations WHERE room = ?", (room,))

    def _save_room(self, record: RoomRecord) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO rooms VALUES (?, ?, ?, ?)",
            (
                record.jid,
                record.creator,
                msgspec.json.encode(record.configuration).decode(),
                None if record.subject is None else to_text(record.subject, ""),
            ),
        )
