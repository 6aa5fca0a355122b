"""Procrastinate: jobs in PostgreSQL."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from typing import ClassVar

from tests.servers.ports import LOOPBACK

from bench.processes import ProgramFailedError
from bench.servers import PortServer, version_of, which
from bench.subjects.durable import DurableSubject
from bench.subjects.subject import Start

_SCHEMA_LIMIT = 60.0  # seconds


class Procrastinate(DurableSubject):
    name = "procrastinate"
    label = "Procrastinate, PostgreSQL"
    short = "procrastinate"
    programs: ClassVar[dict[str, str]] = {"postgres": "postgresql"}
    on_disk = "synced"

    _server: PortServer

    def open(self, stack: ExitStack) -> Sequence[int]:
        self._server = self.servers.postgresql(stack)
        prepare = self.script("schema", self._conninfo)
        done = subprocess.run(  # noqa: S603 - our own command line
            prepare.command, capture_output=True, text=True, timeout=_SCHEMA_LIMIT, check=False
        )
        if done.returncode:
            raise ProgramFailedError(f"{self.name}, its schema: {done.stderr.strip()}")
        return [self._server.program.pid]

    def worker(self) -> Start:
        return self.script("worker", BENCH_POSTGRESQL=self._conninfo)

    def caller(self, address: str) -> Start:
        return self.script("caller", BENCH_POSTGRESQL=self._conninfo)

    def versions(self) -> dict[str, str]:
        return super().versions() | {
            "postgresql": version_of(which("postgres") or "postgres", "--version")
        }

    @property
    def _conninfo(self) -> str:
        return f"host={LOOPBACK} port={self._server.port} user=postgres dbname=postgres"
