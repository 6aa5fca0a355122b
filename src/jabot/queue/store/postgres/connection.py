"""Connections to PostgreSQL that are made anew when they break, and what goes over them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import psycopg
from psycopg import errors
from psycopg.adapt import Buffer, Loader
from psycopg.pq import TransactionStatus

from jabot.errors import StoreUnavailable
from jabot.queue.store.postgres import schema
from jabot.queue.store.postgres.address import Address, connect
from jabot.queue.store.postgres.escaping import escaped, unescaped
from jabot.queue.store.sql import Call, Steps

log = logging.getLogger(__name__)

_LIMIT: Final = 60.0  # seconds that a transaction may take; a server that hangs is away
_AGAIN: Final = 6  # times that a transaction is tried which another one was in the way of
_PAUSE: Final = 0.02  # seconds before the second time, at most; then longer
_FOLLOWED: Final = ("claim", "fire")  # queries whose answers may bring another call

# Plans are kept, and are made while the tables are empty: nothing but an index will do later.
_SETTINGS: Final = """
    SET search_path = jabot;
    SET check_function_bodies = off;
    SET client_min_messages = warning;
    SET jit = off;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_mergejoin = off;
    SET idle_in_transaction_session_timeout = '60s';
"""
_IN_THE_WAY: Final = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
)


class Connection:
    """One connection, with the functions that queries call."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.raw = connection
        self.pid = connection.info.backend_pid

    @classmethod
    async def open(cls, address: Address, *, migrate: bool = False) -> Connection:
        """Raises `StoreError` when the database cannot be used."""
        raw = await connect(address)
        try:
            if migrate:
                await schema.migrate(raw, address.name)
            await raw.execute(_SETTINGS)
            await raw.execute(schema.functions())
            raw.adapters.register_loader("text", _Bytes)
        except BaseException:
            await raw.close()
            raise
        return cls(raw)

    async def kinds(self) -> list[str]:
        """Of the jobs that wait."""
        found = await self.raw.execute("SELECT to_json(kind)::text FROM pg_temp.kinds() AS kind")
        return [msgspec.json.decode(unescaped(kind)) for (kind,) in await found.fetchall()]

    async def transaction(self, steps: Steps) -> list[Any]:
        """Make the calls of some verbs in one transaction."""
        try:
            calls = next(steps)
            answers, open_ = await self._send(calls, begin=True)
            while True:
                calls = steps.send(answers)
                answers, open_ = await self._send(calls, begin=not open_)
        except StopIteration as done:
            if self.raw.info.transaction_status != TransactionStatus.IDLE:
                await self.raw.execute("COMMIT")
            results: list[Any] = done.value
            return results

    async def undo(self) -> bool:
        """Roll back, if need be; False when the connection is of no use any more."""
        if self.raw.closed:
            return False
        if self.raw.info.transaction_status == TransactionStatus.IDLE:
            return True
        with contextlib.suppress(psycopg.Error):
            await self.raw.execute("ROLLBACK")
            return True
        return False

    async def _send(self, calls: list[Call], *, begin: bool) -> tuple[list[bytes], bool]:
        """Their answers, and whether the transaction goes on."""
        goes_on = any(call.query in _FOLLOWED for call in calls) or not begin
        async with self.raw.pipeline():
            if begin:
                await self.raw.execute("BEGIN")
            cursors = [
                await self.raw.execute(
                    f"SELECT pg_temp.{call.query}(%s)", (escaped(call.json),), prepare=True
                )
                for call in calls
            ]
            if not goes_on:
                await self.raw.execute("COMMIT")
        answers = []
        for cursor in cursors:
            (answer,) = await cursor.fetchone() or (b"",)
            answers.append(unescaped(answer))
        return answers, goes_on


class Line:
    """A connection for one transaction after the other, made when it is needed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Of the server's process; 0 without one."""
        return self._connection.pid if self._connection else 0

    async def transaction(self, steps: Callable[[], Steps]) -> list[Any]:
        """Make the calls that `steps()` yields, again when another transaction was in the way.

        Raises `StoreUnavailable` when the server is away. Whether a commit took place is not known
        then, if its answer was lost.
        """
        async with self._turn:
            for tried in range(1, _AGAIN + 1):
                try:
                    async with self._unbroken() as connection:
                        return await connection.transaction(steps())
                except _IN_THE_WAY as error:
                    if tried == _AGAIN:
                        raise self._address.explained(error) from error
                    log.debug("%s; again", error)
                    await asyncio.sleep(random.uniform(0, _PAUSE * 2**tried))  # noqa: S311
            raise AssertionError

    async def connected(self, *, migrate: bool = False) -> Connection:
        """The connection. Raises `StoreError`."""
        if self._connection is None or self._connection.raw.closed:
            self._connection = None
            try:
                async with asyncio.timeout(_LIMIT):
                    self._connection = await Connection.open(self._address, migrate=migrate)
            except psycopg.Error as error:
                raise self._address.explained(error) from error
            except TimeoutError:
                raise StoreUnavailable(f"{self._address.name} does not answer") from None
        return self._connection

    async def close(self) -> None:
        """Let it go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.raw.close()

    @contextlib.asynccontextmanager
    async def _unbroken(self) -> AsyncIterator[Connection]:
        """The connection; what leaves it in an unknown state closes it."""
        connection = await self.connected()
        try:
            async with asyncio.timeout(_LIMIT):
                yield connection
        except _IN_THE_WAY:
            if not await connection.undo():
                await self.close()
            raise
        except psycopg.Error as error:
            if not await connection.undo():
                await self.close()
            raise self._address.explained(error) from error
        except TimeoutError:
            await self.close()
            raise StoreUnavailable(
                f"{self._address.name} has not answered for {_LIMIT:.0f} s"
            ) from None
        except BaseException:
            await self.close()
            raise


class _Bytes(Loader):
    """JSON is decoded as it comes."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)
