"""Where a database is, how it is reached, and what its failures mean."""

from __future__ import annotations

import re
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from jabot.errors import ConfigError, StoreError, StoreUnavailable
from jabot.queue.store.store import Impossible

OLDEST: Final = 14  # of PostgreSQL, whose functions take records

# Broken connections are noticed within half a minute, also when nothing is sent.
_KEEPALIVE: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "jabot",
}
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
