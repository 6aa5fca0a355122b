"""The schema of a database, brought to the newest number; and the functions that work on it."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Final

import psycopg

from jabot.errors import StoreError
from jabot.queue.store.migrations import lacking

PACKAGE: Final = "jabot.queue.store.postgres"
_LOCK: Final = 1_784_832_622  # of whoever changes the schema


async def migrate(raw: psycopg.AsyncConnection[Any], name: str) -> None:
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
def functions() -> bytes:
    """What makes the functions that queries call, in the connection's own temporary schema."""
    files = resources.files(PACKAGE).iterdir()
    return b"\n".join(
        file.read_bytes()
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    )
