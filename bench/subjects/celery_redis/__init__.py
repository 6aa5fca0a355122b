"""Celery with Redis as broker and result backend, set up as its guide advises for short tasks."""

from typing import ClassVar

from tests.servers.ports import LOOPBACK

from bench.servers import version_of, which
from bench.subjects.subject import Start, Subject


class CeleryRedis(Subject):
    name = "celery_redis"
    label = "Celery, Redis"
    short = "celery"
    programs: ClassVar[dict[str, str]] = {"redis-server": "redis-server"}
    most_in_flight = 1_000

    def server_pid(self) -> int:
        return self.servers.redis.program.pid

    def worker(self) -> Start:
        command = [str(self.bin / "celery"), "--app", "tasks", "--workdir", str(self.folder())]
        # One worker has nobody to gossip with; a line of log for each job would cost as much again.
        quiet = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        return Start([*command, "worker", *quiet, "--without-heartbeat"], self._environment)

    def caller(self, address: str) -> Start:
        return self.script("caller", **self._environment)

    def versions(self) -> dict[str, str]:
        return super().versions() | {
            "redis-server": version_of(which("redis-server") or "redis-server", "--version")
        }

    @property
    def _environment(self) -> dict[str, str]:
        return {"BENCH_REDIS": f"redis://{LOOPBACK}:{self.servers.redis.port}"}
