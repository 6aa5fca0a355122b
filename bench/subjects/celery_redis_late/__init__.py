"""Celery with Redis, a job acknowledged after it ran, one job reserved per process."""

import itertools

from bench.servers import Servers
from bench.subjects.redis_durable import OnRedis
from bench.subjects.subject import Start


class CeleryRedisLate(OnRedis):
    name = "celery_redis_late"
    label = "Celery, Redis, acks_late"
    short = "celery_late"

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers)
        self._numbers = itertools.count(1)

    def worker(self) -> Start:
        command = [str(self.bin / "celery"), "--app", "tasks", "--workdir", str(self.folder())]
        # Two workers on one machine need names of their own.
        name = ["--hostname", f"worker{next(self._numbers)}@%h"]
        return Start([*command, "worker", "--loglevel", "WARNING", *name], self.environment)
