"""A queue's SQLite file: opened, held, and brought to the newest schema."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO, Final

from jabot.errors import StoreError, StoreUnavailable
from jabot.queue.store.migrations import lacking
from jabot.queue.store.sqlite.program import PACKAGE, statements
from jabot.queue.store.store import Impossible

APPLICATION: Final = 0x6A61626F  # "jabo": whose file it is (PRAGMA application_id)
OLDEST: Final = (3, 37, 0)  # of SQLite, that has STRICT tables
_CACHE: Final = 32_768  # KiB of pages in memory, for each of two connections
_CHECKPOINT: Final = 4000  # pages of 4 KiB in the write-ahead log before they go to their places

_NOT_NOW: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written; look at the system's log",
    sqlite3.SQLITE_BUSY: "another program has locked it; end that",
    sqlite3.SQLITE_LOCKED: "another program has locked it; end that",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; look at the directory and who may write there",
    sqlite3.SQLITE_READONLY: "it may not be written; look at who owns it",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_PERM: "it may not be written; look at who owns it",
}


def explained(error: sqlite3.Error, name: str) -> Exception:
    """What a failure means for a queue, and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what kind of I/O error it was
    if code in _NOT_NOW:
        return StoreUnavailable(f"{name}: {_NOT_NOW[code]} ({error})")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{name} is no SQLite database; give another path, or move it away")
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreError(
            f"{name} is damaged ({error}); stop the queue, and save what can be read with"
            f" `sqlite3 {name} .recover`, or go back to a copy of it"
        )
    return Impossible(f"{name}: {error}")


class Hold:
    """The right to be the one process that uses a file: a lock on another one beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + "-lock")
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises `StoreError` when another process has it."""
        try:
            file = self._path.open("a+")
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be written: {error.strerror};"
                " look at the directory and who owns it"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read(20).strip()
            file.close()
            raise StoreError(
                f"{self._path} is held by another queue{holder and f' (process {holder})'}: stop"
                " that one first. Several queues need a store in PostgreSQL"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def drop(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection to a file, or to a new database in memory. Any thread may use it."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed; use a newer"
            " Python, or a store in PostgreSQL"
        )
    if path is not None and not path.exists():
        path.touch(mode=0o600)  # so that nobody else can ever read it
    db = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=5.0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    db.text_factory = bytes
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "temp_store = MEMORY",
        "secure_delete = OFF",
        "trusted_schema = OFF",
        f"cache_size = -{_CACHE}",
        f"wal_autocheckpoint = {_CHECKPOINT}",
        "journal_size_limit = 67108864",
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def migrate(db: sqlite3.Connection, name: str) -> None:
    """Bring the schema to the newest number, each step in a transaction of its own.

    Raises `StoreError` when it is of a newer jabot, or another program's.
    """
    (there,) = db.execute("PRAGMA user_version").fetchone()
    (whose,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and whose != APPLICATION:
        raise StoreError(f"{name} is another program's database; give another path")
    for number, script in lacking(PACKAGE, there, name).items():
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements(script):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
