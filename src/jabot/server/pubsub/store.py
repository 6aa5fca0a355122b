"""Nodes and their items in the server's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from jabot.server.pubsub.configuration import NodeConfiguration
from jabot.server.pubsub.node import Affiliation, Item, Node

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS nodes (
    key INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    creator TEXT NOT NULL,
    configuration TEXT NOT NULL,
    UNIQUE (service, name)
);
CREATE TABLE IF NOT EXISTS node_affiliations (
    node INTEGER NOT NULL,
    account TEXT NOT NULL,
    affiliation TEXT NOT NULL,
    PRIMARY KEY (node, account)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_subscribers (
    node INTEGER NOT NULL,
    jid TEXT NOT NULL,
    PRIMARY KEY (node, jid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    node INTEGER NOT NULL,
    id TEXT NOT NULL,
    publisher TEXT NOT NULL,
    payload TEXT NOT NULL,
    size INTEGER NOT NULL,
    at REAL NOT NULL,
    UNIQUE (node, id)
);
CREATE INDEX IF NOT EXISTS items_in_order ON items (node, position);
"""
_ITEM: Final = "id, publisher, payload, at"


class NodeStore:
    """Keeps nodes, and the items of those that keep theirs. Items are in the order in which they
    were published; one that is published again is the newest.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.executescript(_SCHEMA)

    def load(self) -> Iterator[Node]:
        """Every node. Settings that another version knew are passed by."""
        affiliations: dict[int, dict[str, Affiliation]] = {}
        for key, account, word in self._db.execute("SELECT * FROM node_affiliations"):
            affiliations.setdefault(key, {})[account] = Affiliation(word)
        subscribers: dict[int, set[str]] = {}
        for key, jid in self._db.execute("SELECT * FROM node_subscribers"):
            subscribers.setdefault(key, set()).add(jid)
        sizes = dict(self._db.execute("SELECT node, sum(size) FROM items GROUP BY node").fetchall())
        for key, service, name, creator, configuration in self._db.execute("SELECT * FROM nodes"):
            yield Node(
                key=key,
                service=service,
                name=name,
                creator=creator,
                configuration=msgspec.json.decode(configuration, type=NodeConfiguration),
                affiliations=affiliations.get(key, {}),
                subscribers=subscribers.get(key, set()),
                size=sizes.get(key, 0),
            )

    # Nodes

    def add(self, node: Node) -> None:
        """Keep a new node, and give it its key."""
        configuration = msgspec.json.encode(node.configuration).decode()
        with self._db:
            cursor = self._db.execute(
                "INSERT INTO nodes (service, name, creator, configuration) VALUES (?, ?, ?, ?)",
                (node.service, node.name, node.creator, configuration),
            )
            node.key = cursor.lastrowid or 0
            self._put_affiliations(node.key, node.affiliations)

    def save_configuration(self, node: Node) -> None:
        configuration = msgspec.json.encode(node.configuration).decode()
        with self._db:
            self._db.execute(
                "UPDATE nodes SET configuration = ? WHERE key = ?", (configuration, node.key)
            )

    def save_affiliations(self, node: Node, changed: dict[str, Affiliation]) -> None:
        with self._db:
            self._put_affiliations(node.key, changed)

    def subscribe(self, node: Node, jid: str) -> None:
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO node_subscribers VALUES (?, ?)", (node.key, jid)
            )

    def unsubscribe(self, node: Node, jid: str) -> None:
        with self._db:
            self._db.execute(
                "DELETE FROM node_subscribers WHERE node = ? AND jid = ?", (node.key, jid)
            )

    def delete(self, node: Node) -> None:
        with self._db:
            self._db.execute("DELETE FROM nodes WHERE key = ?", (node.key,))
            for table in ("node_affiliations", "node_subscribers", "items"):
                self._db.execute(f"DELETE FROM {table} WHERE node = ?", (node.key,))  # noqa: S608

    def _put_affiliations(self, key: int, changed: dict[str, Affiliation]) -> None:
        for account, held in changed.items():
            if held is Affiliation.NONE:
                self._db.execute(
                    "DELETE FROM node_affiliations WHERE node = ? AND account = ?", (key, account)
                )
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO node_affiliations VALUES (?, ?, ?)",
                    (key, account, held.value),
                )

    # Items. All that removes some says which, and tells the node how much it holds.

    def publish(self, node: Node, item: Item) -> list[str]:
        """Keep an item; gives the ids of those that had to go for it."""
        row = (node.key, item.id, item.publisher, item.payload, item.size, item.at.timestamp())
        with self._db:
            self._remove(node, "id = ?", item.id)
            self._db.execute(
                "INSERT INTO items (node, id, publisher, payload, size, at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            node.size += item.size
            return self._trim(node)

    def freed_by(self, node: Node, item_id: str) -> int:
        """Bytes of the item that has to go when one of this id is published; 0 for none."""
        rows = self._db.execute(
            "SELECT id, size FROM items WHERE node = ? ORDER BY position", (node.key,)
        ).fetchall()
        sizes = dict(rows)
        if item_id in sizes:
            return int(sizes[item_id])
        return int(rows[0][1]) if len(rows) >= node.configuration.max_items else 0

    def trim(self, node: Node) -> list[str]:
        """Remove the oldest items that are too many; gives their ids."""
        with self._db:
            return self._trim(node)

    def expire(self, node: Node, before: datetime) -> None:
        """Remove what was published before a moment."""
        with self._db:
            self._remove(node, "at < ?", before.timestamp())

    def retract(self, node: Node, item_id: str) -> None:
        with self._db:
            self._remove(node, "id = ?", item_id)

    def purge(self, node: Node) -> None:
        with self._db:
            self._remove(node, "1")

    def item(self, node: Node, item_id: str) -> Item | None:
        row = self._db.execute(
            f"SELECT {_ITEM} FROM items WHERE node = ? AND id = ?",  # noqa: S608
            (node.key, item_id),
        ).fetchone()
        return None if row is None else _item(row)

    def last(self, node: Node) -> Item | None:
        row = self._db.execute(
            f"SELECT {_ITEM} FROM items WHERE node = ? ORDER BY position DESC LIMIT 1",  # noqa: S608
            (node.key,),
        ).fetchone()
        return None if row is None else _item(row)

    def ids(self, node: Node) -> list[str]:
        """Of all items, oldest first."""
        rows = self._db.execute(
            "SELECT id FROM items WHERE node = ? ORDER BY position", (node.key,)
        )
        return [row[0] for row in rows]

    def _trim(self, node: Node) -> list[str]:
        oldest_kept = (
            "position <= (SELECT position FROM items WHERE node = ?"
            " ORDER BY position DESC LIMIT 1 OFFSET ?)"
        )
        return self._remove(node, oldest_kept, node.key, node.configuration.max_items)

    def _remove(self, node: Node, condition: str, *arguments: object) -> list[str]:
        which = f"FROM items WHERE node = ? AND {condition}"
        given = (node.key, *arguments)
        rows = self._db.execute(f"SELECT id, size {which}", given).fetchall()
        if rows:
            self._db.execute(f"DELETE {which}", given)
        node.size -= sum(size for _, size in rows)
        return [item_id for item_id, _ in rows]


def _item(row: tuple[str, str, str, float]) -> Item:
    item_id, publisher, payload, at = row
    return Item(item_id, publisher, payload, datetime.fromtimestamp(at, UTC))
