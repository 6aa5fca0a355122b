"""jabot's queue on SQLite: a queue, a worker of it and a caller, through ejabberd."""

from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from bench.servers import Account
from bench.subjects.durable import DurableSubject
from bench.subjects.subject import Start

_READY_LIMIT = 30.0  # seconds


class DurableSqlite(DurableSubject):
    name = "durable_sqlite"
    label = "jabot queue, SQLite"
    short = "durable_sqlite"
    programs: ClassVar[dict[str, str]] = {"ejabberdctl": "ejabberd"}
    on_disk = "synced"

    @classmethod
    def folder(cls) -> Path:
        return Path(__file__).parent

    def open(self, stack: ExitStack) -> Sequence[int]:
        store, pids = self.store(stack)
        queue = self.launch("queue", self.queue(store))
        stack.callback(queue.stop)
        queue.await_ready(_READY_LIMIT)
        return [self.servers.ejabberd.pid, queue.pid, *pids]

    def store(self, stack: ExitStack) -> tuple[str, Sequence[int]]:
        """A new store: its address, and the processes that it needs."""
        return f"sqlite:///{self.servers.data(self.name)}/jobs.db", []

    def worker(self) -> Start:
        queue = self.account("queue").jid
        return self.script("worker", queue, **self._environment(self.account("worker")))

    def caller(self, address: str) -> Start:
        queue = self.account("queue").jid
        return self.script("caller", queue, **self._environment(self.account("caller")))

    def versions(self) -> dict[str, str]:
        names = ("jabot", "slixmpp", "msgspec")
        return {name: version(name) for name in names} | {"ejabberd": self.servers.ejabberd.version}

    def queue(self, store: str) -> Start:
        """A queue on this store."""
        caller, worker = self.account("caller").jid, self.account("worker").jid
        own = self._environment(self.account("queue"))
        return self.script("queue_node", store, caller, worker, **own)

    def _environment(self, account: Account) -> dict[str, str]:
        return {
            "JABOT_JID": account.jid,
            "JABOT_PASSWORD": account.password,
            "JABOT_SERVER": self.servers.ejabberd.address,
        }
