"""Taskiq with Redis streams as broker and Redis as the store of results."""

from bench.subjects.redis_durable import OnRedis
from bench.subjects.subject import Start


class TaskiqRedis(OnRedis):
    name = "taskiq_redis"
    label = "Taskiq, Redis streams"
    short = "taskiq"

    def worker(self) -> Start:
        # Its own choice: two processes, a hundred coroutines in each.
        command = [str(self.bin / "taskiq"), "worker", "tasks:broker"]
        quiet = ["--app-dir", str(self.folder()), "--log-level", "WARNING"]
        return Start([*command, *quiet], self.environment)
