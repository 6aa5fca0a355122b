"""What outlives a session: accounts, rosters, offline messages. SQLite, in a file or in memory.

Calls are made on the event loop: each is one short statement on an indexed table. In WAL mode
with `synchronous=NORMAL` a commit does not wait for the disk; what is committed survives the end
of the process however it ends. (After a power failure the last moments may be missing; a server
that has acknowledged nothing has promised nothing.)

Other processes may write at the same time (`jabot server adduser`); nothing is cached here.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jabot.errors import ConfigError

_FILE: Final = "server.db"
_VERSION: Final = 1  # of the tables below, and of those that rooms and topics keep beside them
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS credentials (
    account TEXT NOT NULL,
    mechanism TEXT NOT NULL,
    salt BLOB NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    PRIMARY KEY (account, mechanism)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roster (
    account TEXT NOT NULL,
    contact TEXT NOT NULL,
    listed INTEGER NOT NULL,
    name TEXT NOT NULL,
    contact_groups TEXT NOT NULL,
    sub_to INTEGER NOT NULL,
    sub_from INTEGER NOT NULL,
    ask INTEGER NOT NULL,
    request TEXT,
    PRIMARY KEY (account, contact)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offline (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    stanza BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS offline_account ON offline (account, id);
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What SCRAM needs to know of a password (RFC 5802 section 3), which is not the password."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


@dataclass(frozen=True, slots=True)
class RosterItem:
    """One contact of an account (RFC 6121 section 2), and where the subscriptions stand."""

    contact: str  # bare JID
    listed: bool = False  # in the roster for its own sake, not only for a request that waits
    name: str = ""
    groups: tuple[str, ...] = ()
    to: bool = False  # the account sees the contact's presence
    from_: bool = False  # the contact sees the account's presence
    ask: bool = False  # the account has asked, and waits
    request: str | None = None  # the contact's own request, as XML, while the account is asked


class Store:
    """The tables of one server. `data` is its directory; None keeps everything in memory.

    Raises `ConfigError` when a newer jabot has made them.
    """

    def __init__(self, data: Path | None) -> None:
        self.db = _open(data)  # rooms and topics keep tables of their own in it
        self.db.executescript(_SCHEMA)
        self.secret = self._kept_secret()  # 32 random bytes, made once

    def close(self) -> None:
        self.db.close()

    def _kept_secret(self) -> bytes:
        with self.db:
            self.db.execute(
                "INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),)
            )
        return bytes(self._first("SELECT value FROM meta WHERE key = 'secret'")[0])

    def _first(self, query: str, *values: str) -> Any:
        """The first row, or None."""
        return self.db.execute(query, values).fetchone()

    def _texts(self, query: str, *values: str) -> list[str]:
        return [text for (text,) in self.db.execute(query, values)]

    # Accounts

    def set_credentials(self, account: str, by_mechanism: dict[str, Credentials]) -> None:
        """Create the account, or give it another password."""
        rows = [
            (account, mechanism, each.salt, each.stored_key, each.server_key, each.iterations)
            for mechanism, each in by_mechanism.items()
        ]
        with self.db:
            self.db.execute("DELETE FROM credentials WHERE account = ?", (account,))
            self.db.executemany("INSERT INTO credentials VALUES (?, ?, ?, ?, ?, ?)", rows)

    def credentials(self, account: str, mechanism: str) -> Credentials | None:
        row = self._first(
            "SELECT salt, stored_key, server_key, iterations FROM credentials"
            " WHERE account = ? AND mechanism = ?",
            account,
            mechanism,
        )
        return None if row is None else Credentials(*row)

    def has_account(self, account: str) -> bool:
        return self._first("SELECT 1 FROM credentials WHERE account = ?", account) is not None

    # Rosters

    def roster(self, account: str) -> list[RosterItem]:
        rows = self.db.execute(
            f"SELECT {_ITEM} FROM roster WHERE account = ? ORDER BY contact",  # noqa: S608
            (account,),
        )
        return [_item(row) for row in rows]

    def roster_item(self, account: str, contact: str) -> RosterItem | None:
        query = f"SELECT {_ITEM} FROM roster WHERE account = ? AND contact = ?"  # noqa: S608
        row = self._first(query, account, contact)
        return None if row is None else _item(row)

    def roster_size(self, account: str) -> int:
        return int(self._first("SELECT count(*) FROM roster WHERE account = ?", account)[0])

    def put_roster_item(self, account: str, item: RosterItem) -> None:
        with self.db:
            self.db.execute(
                "INSERT OR REPLACE INTO roster VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    account,
                    item.contact,
                    item.listed,
                    item.name,
                    json.dumps(item.groups),
                    item.to,
                    item.from_,
                    item.ask,
                    item.request,
                ),
            )

    def delete_roster_item(self, account: str, contact: str) -> None:
        with self.db:
            self.db.execute(
                "DELETE FROM roster WHERE account = ? AND contact = ?", (account, contact)
            )

    def shows(self, account: str, to: str) -> bool:
        """Whether `to` may see the presence of `account`; an account sees its own."""
        if account == to:
            return True
        item = self.roster_item(account, to)
        return item is not None and item.from_

    def watchers(self, account: str) -> list[str]:
        """The contacts that see the account's presence."""
        return self._texts("SELECT contact FROM roster WHERE account = ? AND sub_from", account)

    def watched(self, account: str) -> list[str]:
        """The contacts whose presence the account sees."""
        return self._texts("SELECT contact FROM roster WHERE account = ? AND sub_to", account)

    def requests(self, account: str) -> list[str]:
        """The subscription requests that the account has not answered, as XML."""
        query = "SELECT request FROM roster WHERE account = ? AND request IS NOT NULL"
        return self._texts(query, account)

    # Offline messages

    def offline_count(self, account: str) -> int:
        return int(self._first("SELECT count(*) FROM offline WHERE account = ?", account)[0])

    def add_offline(self, account: str, stanza: bytes) -> None:
        with self.db:
            self.db.execute(
                "INSERT INTO offline (account, stanza) VALUES (?, ?)", (account, stanza)
            )

    def take_offline(self, account: str) -> list[bytes]:
        """The messages that wait for the account, oldest first; they are deleted."""
        rows = self.db.execute(
            "SELECT stanza FROM offline WHERE account = ? ORDER BY id", (account,)
        ).fetchall()
        if rows:
            with self.db:
                self.db.execute("DELETE FROM offline WHERE account = ?", (account,))
        return [bytes(row[0]) for row in rows]


_ITEM: Final = "contact, listed, name, contact_groups, sub_to, sub_from, ask, request"


def _item(row: tuple[str, int, str, str, int, int, int, str | None]) -> RosterItem:
    contact, listed, name, groups, to, from_, ask, request = row
    return RosterItem(
        contact,
        bool(listed),
        name,
        tuple(json.loads(groups)),
        bool(to),
        bool(from_),
        bool(ask),
        request,
    )


def _open(data: Path | None) -> sqlite3.Connection:
    if data is None:
        return sqlite3.connect(":memory:")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data / _FILE
    # Made before SQLite does it, so that nobody else can ever read it; SQLite gives the files
    # that it puts beside it the same mode.
    path.touch(mode=0o600)
    db = sqlite3.connect(path, timeout=5.0)
    (there,) = db.execute("PRAGMA user_version").fetchone()
    if there > _VERSION:
        db.close()
        raise ConfigError(
            f"{path} has schema {there}, made by a newer jabot; this one knows {_VERSION}:"
            " update jabot"
        )
    if there < _VERSION:
        db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db
