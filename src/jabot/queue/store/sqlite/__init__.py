"""Jobs in an SQLite file: one process, one writer, one commit for all that a turn brought."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from jabot.errors import StoreError
from jabot.queue.store.sql import Steps, ask, work
from jabot.queue.store.sqlite.file import Hold, connect, explained, migrate
from jabot.queue.store.sqlite.program import Program
from jabot.queue.store.store import News
from jabot.queue.store.verbs import Question, Verb

T = TypeVar("T")


class SqliteStore:
    """A `Store` in a file, or with `path` None in memory.

    A file has a thread and a connection for `apply`, and another one for `read`. In memory, all
    happens at once, on the event loop.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.name = "the store in memory" if path is None else str(path)
        self._hold = None if path is None else Hold(path)
        self._writer: _Connection | None = None
        self._reader: _Connection | None = None

    async def open(self) -> list[News]:
        """See `Store`."""
        if self._path is not None and not self._path.parent.is_dir():
            raise StoreError(f"{self._path}: {self._path.parent} is no directory; make it first")
        if self._hold is not None:
            self._hold.take()
        self._writer = _Connection(self._path, self.name)
        try:
            await self._writer.do(self._writer.open)
            if self._path is not None:
                self._reader = _Connection(self._path, self.name)
                await self._reader.do(self._reader.open)
            return await self._writer.do(self._writer.first_news)
        except BaseException:
            await self.close()
            raise

    async def apply(self, verbs: list[Verb]) -> list[Any]:
        """See `Store`."""
        writer = self._opened(self._writer)
        return await writer.do(lambda: writer.transaction(work(verbs), "BEGIN IMMEDIATE"))

    async def read(self, verb: Question) -> Any:
        """See `Store`."""
        reader = self._opened(self._reader or self._writer)
        (answer,) = await reader.do(lambda: reader.transaction(ask(verb), "BEGIN"))
        return answer

    def listen(self, heard: Any) -> None:
        """There are no other processes on the file."""

    def tell(self, news: News) -> None:
        """There are no other processes on the file."""

    async def close(self) -> None:
        """See `Store`."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                await connection.end()
        self._reader = self._writer = None
        if self._hold is not None:
            self._hold.drop()

    def _opened(self, connection: _Connection | None) -> _Connection:
        if connection is None:
            raise StoreError(f"{self.name} is not open")
        return connection


class _Connection:
    """A connection, and the thread that it lives in."""

    def __init__(self, path: Path | None, name: str) -> None:
        self._path = path
        self._name = name
        self._thread = None if path is None else ThreadPoolExecutor(1, "jabot-store")
        self._db: sqlite3.Connection | None = None
        self._program: Program | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """Do it in the thread; what it raises is explained."""
        try:
            if self._thread is None:
                return work()
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
                raise  # a mistake in this package
            raise explained(error, self._name) from error

    def open(self) -> None:
        """Connect, and bring the schema to the newest number."""
        self._db = connect(self._path)
        migrate(self._db, self._name)
        self._program = Program(self._db)

    def first_news(self) -> list[News]:
        """`changed` when there are jobs, and `ready` for each kind of those that may run."""
        assert self._db is not None  # noqa: S101  # it was opened
        (there,) = self._db.execute("SELECT EXISTS (SELECT 1 FROM jobs)").fetchone()
        kinds = self._db.execute("SELECT kind FROM ready_kinds").fetchall()
        ready = [News("ready", str(kind, "utf-8", "replace")) for (kind,) in kinds]
        return [News("changed", ""), *ready] if there else []

    def transaction(self, steps: Steps, begin: str) -> list[Any]:
        """Make the calls of some verbs in one transaction."""
        if self._db is None:
            self.open()
        db, program = self._db, self._program
        assert db is not None and program is not None  # noqa: S101  # it was opened
        db.execute(begin)
        try:
            calls = next(steps)
            while True:
                calls = steps.send([program.run(call) for call in calls])
        except StopIteration as done:
            results: list[Any] = done.value
            try:
                db.execute("COMMIT")
            except BaseException:
                self._undo()
                raise
            return results
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        """Roll back; when even that cannot be done, begin anew with the next call."""
        db = self._db
        if db is None or not db.in_transaction:
            return
        try:
            db.execute("ROLLBACK")
        except sqlite3.Error:
            self._db = None
            with contextlib.suppress(sqlite3.Error):
                db.close()

    async def end(self) -> None:
        """Close it, and end the thread."""
        try:
            await self.do(self._close)
        finally:
            if self._thread is not None:
                self._thread.shutdown()

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
