"""Dramatiq with Redis as broker and as the store of results."""

from bench.subjects.redis_durable import OnRedis
from bench.subjects.subject import Start


class DramatiqRedis(OnRedis):
    name = "dramatiq_redis"
    label = "Dramatiq, Redis"
    short = "dramatiq"

    def worker(self) -> Start:
        # Its own choice: a process per core, eight threads in each.
        command = [str(self.bin / "dramatiq"), "tasks", "--path", str(self.folder())]
        return Start(command, self.environment)
