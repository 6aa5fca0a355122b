"""What the durable subjects on Redis have in common: a Redis that writes a file."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import ClassVar

from tests.servers.ports import LOOPBACK

from bench.servers import PortServer, version_of, which
from bench.subjects.durable import DurableSubject
from bench.subjects.subject import Start


class OnRedis(DurableSubject):
    programs: ClassVar[dict[str, str]] = {"redis-server": "redis-server"}
    on_disk = "written, synced within 1 second"

    _server: PortServer

    def open(self, stack: ExitStack) -> Sequence[int]:
        self._server = self.servers.redis_on_disk(stack)
        return [self._server.program.pid]

    def caller(self, address: str) -> Start:
        return self.script("caller", **self.environment)

    def versions(self) -> dict[str, str]:
        return super().versions() | {
            "redis-server": version_of(which("redis-server") or "redis-server", "--version")
        }

    @property
    def environment(self) -> dict[str, str]:
        """What its worker and its caller find out from the environment."""
        return {"BENCH_REDIS": f"redis://{LOOPBACK}:{self._server.port}"}
