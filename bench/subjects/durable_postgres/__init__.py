"""jabot's queue on PostgreSQL: as on SQLite, with another address for its store."""

from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from typing import ClassVar

from tests.servers.ports import LOOPBACK

from bench.servers import version_of, which
from bench.subjects.durable_sqlite import DurableSqlite


class DurablePostgres(DurableSqlite):
    name = "durable_postgres"
    label = "jabot queue, PostgreSQL"
    short = "durable_postgres"
    programs: ClassVar[dict[str, str]] = {"ejabberdctl": "ejabberd", "postgres": "postgresql"}

    def store(self, stack: ExitStack) -> tuple[str, Sequence[int]]:
        server = self.servers.postgresql(stack)
        return f"postgresql://postgres@{LOOPBACK}:{server.port}/postgres", [server.program.pid]

    def versions(self) -> dict[str, str]:
        return super().versions() | {
            "psycopg": version("psycopg"),
            "postgresql": version_of(which("postgres") or "postgres", "--version"),
        }
