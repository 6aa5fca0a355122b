"""Connections to PostgreSQL that are made anew when they break, and what goes over them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec
import psycopg
from psycopg import errors
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from jabot.errors import ConfigError, StoreError, StoreUnavailable
from jabot.queue.store.sql import Call, Steps, lacking
from jabot.queue.store.store import Impossible

log = logging.getLogger(__name__)

PACKAGE: Final = "jabot.queue.store.postgres"
OLDEST: Final = 14  # of PostgreSQL, whose functions take records
_LOCK: Final = 1_784_832_622  # of whoever changes the schema
_LIMIT: Final = 60.0  # seconds that a transaction may take; a server that hangs is away
_AGAIN: Final = 6  # times that a transaction is tried which another one was in the way of
_PAUSE: Final = 0.02  # seconds before the second time, at most; then longer
_FOLLOWED: Final = ("claim", "fire")  # queries whose answers may bring another call

# Broken connections are noticed within half a minute, also when nothing is sent.
_KEEPALIVE: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "jabot",
}
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
# Beginnings of SQLSTATE: the connection; another transaction; the disk, the memory, the number of
# connections; a shutdown or a start; the system; a standby, for now.
_NOT_NOW: Final = ("08", "40", "55P03", "53", "57", "58", "25006")
_FOR_GOOD: Final = ("28", "3D")  # who signs in, to which database


class Address:
    """Where a database is, and as whom to sign in."""

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ConfigError(f"the store's address cannot be read: {error}") from None
        self.conninfo = make_conninfo(
            url, **{k: v for k, v in _KEEPALIVE.items() if k not in given}
        )
        host = given.get("host") or given.get("service") or "the local server"
        self.name = f"PostgreSQL on {host}, database {given.get('dbname') or given.get('user')}"

    def explained(self, error: psycopg.Error) -> StoreError:
        """What a failure means for a queue."""
        what = f"{self.name}: {error.diag.message_primary or str(error).strip()}"
        code = error.sqlstate
        lost = code is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if lost and re.search(r'(database|role) ".*" does not exist|authentication failed', what):
            return StoreError(f"{what}; look at the store's address")
        if lost or (code or "").startswith(_NOT_NOW):
            return StoreUnavailable(what)
        if (code or "").startswith(_FOR_GOOD):
            return StoreError(f"{what}; look at the store's address")
        return Impossible(what)


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
                await _migrate(raw, address.name)
            await raw.execute(_SETTINGS)
            await raw.execute(_functions())
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


async def connect(address: Address) -> psycopg.AsyncConnection[Any]:
    """A connection in which each statement is a transaction, unless it says otherwise."""
    raw = await psycopg.AsyncConnection.connect(address.conninfo, autocommit=True)
    if raw.info.server_version < OLDEST * 10_000:
        await raw.close()
        raise StoreError(
            f"{address.name} is PostgreSQL {raw.info.server_version // 10_000}:"
            f" {OLDEST} or newer is needed"
        )
    return raw


async def _migrate(raw: psycopg.AsyncConnection[Any], name: str) -> None:
    """Bring the schema to the newest number, one process at a time.

    Raises `StoreError` when it is of a newer jabot, or another program's.
    """
    async with raw.transaction():
        await raw.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        there = await _version(raw, name)
        for number, script in lacking(PACKAGE, there, name).items():
            await raw.execute("SET LOCAL search_path = jabot")
            await raw.execute(script.encode())
            await raw.execute("UPDATE jabot.version SET number = %s", (number,))


async def _version(raw: psycopg.AsyncConnection[Any], name: str) -> int:
    """The schema's number; 0 for a new one."""
    found = await raw.execute(
        "SELECT to_regnamespace('jabot') IS NOT NULL, to_regclass('jabot.version') IS NOT NULL"
    )
    has_schema, is_ours = await found.fetchone() or (False, False)
    if has_schema and not is_ours:
        taken = await raw.execute(
            "SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('jabot') LIMIT 1"
        )
        if await taken.fetchone():
            raise StoreError(
                f"{name} has a schema `jabot` of another program; use another database"
            )
    if not has_schema:
        await raw.execute("CREATE SCHEMA jabot")
    if not is_ours:
        await raw.execute("CREATE TABLE jabot.version AS SELECT 0 AS number")
    (number,) = await (await raw.execute("SELECT number FROM jabot.version")).fetchone() or (0,)
    return int(number)


@cache
def _functions() -> bytes:
    """What makes the functions that queries call, in the connection's own temporary schema."""
    files = resources.files(PACKAGE).iterdir()
    return b"\n".join(
        file.read_bytes()
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    )


class _Bytes(Loader):
    """JSON is decoded as it comes."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


# -- the character that PostgreSQL has no place for -----------------------------------------------

_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_STAND_IN: Final = "\U000f0000"  # of a private use area; doubled where it stands for itself


def escaped(json: str) -> str:
    """JSON in which no text has U+0000."""
    if _STAND_IN in json:
        json = json.replace(_STAND_IN, _STAND_IN + "=")
    if "\\u0000" in json:
        json = _NUL.sub(rf"\g<1>{_STAND_IN}0", json)
    return json


def unescaped(json: bytes) -> bytes:
    """The JSON that it was."""
    stand_in = _STAND_IN.encode()
    if stand_in not in json:
        return json
    return json.replace(stand_in + b"0", b"\\u0000").replace(stand_in + b"=", stand_in)
