"""Where a queue keeps its jobs: what a store does, and the stores that there are."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from jabot.errors import ConfigError
from jabot.queue.store.store import Store


def open_store(url: str) -> Store:
    """The store of an address, which is still to be opened.

    `sqlite:///jobs.db` is a file in the working directory, `sqlite:////var/lib/jobs.db` one
    anywhere, `sqlite:///:memory:` is gone with the process; `postgresql://...` is a database.
    Raises `ConfigError` for anything else.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return _sqlite(url, rest)
    if scheme in ("postgresql", "postgres"):
        return _postgres(url)
    raise ConfigError(
        f"{_shown(url)!r} is no store that I know: give sqlite:///jobs.db, or sqlite:////var/lib/"
        "jobs.db, or postgresql://user@host/database"
    )


def _sqlite(url: str, rest: str) -> Store:
    from jabot.queue.store.sqlite import SqliteStore  # a client needs no database

    if not rest.startswith("/") or rest == "/" or "?" in rest or "#" in rest:
        raise ConfigError(
            f"{url!r} names no file: sqlite:///jobs.db is one in the working directory,"
            " sqlite:////var/lib/jobs.db has four slashes"
        )
    path = unquote(rest[1:])
    return SqliteStore(None if path == ":memory:" else Path(path).absolute())


def _postgres(url: str) -> Store:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"a store in PostgreSQL needs psycopg ({error}): pip install 'jabot[postgres]'"
        ) from None
    from jabot.queue.store.postgres import PostgresStore

    store: Store = PostgresStore(url)
    return store


def _shown(url: str) -> str:
    """Without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@")
