"""Everything that a campaign is about: machines, servers, and the programs on them."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import Authority, Server, create
from servers.postgres import Postgres

from .actor import Actor, module
from .clock import Clock
from .hosts import Hosts

HERE = Path(__file__).resolve().parents[1]
QUEUES = {"sqlite": 1, "postgres": 2}
WORKERS = 3
CALLERS = 2
_DISK = "512m"
_QUIET_LIMIT = 120.0  # seconds in which each job is to have its outcome when nothing fails any more


@dataclass(frozen=True)
class Settings:
    """What a campaign is run with."""

    seed: int
    seconds: float
    store: str = "sqlite"
    server: str = "ejabberd"
    lease: float = 3.0
    rate: float = 8.0  # jobs in a second, of each caller
    losses: int = 5
    only: str = ""  # the one sort of job that the first caller submits, once


class Stage:
    """Starts everything, and ends it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.hosts = Hosts()
        self.disk = Path("/run/jabot-disk")  # on a path that PostgreSQL's user may go
        self.disk.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(self.disk)], check=True
        )
        self._store_clock = Clock(Path("/run/jabot-store.clock"))  # where PostgreSQL may read it
        self.postgres = self._postgres() if settings.store == "postgres" else None
        self.server = self._server()
        self.queues: list[Actor] = []
        self.workers: list[Actor] = []
        self.callers: list[Actor] = []

    @property
    def actors(self) -> dict[str, Actor]:
        """The programs of jabot, by the names of their machines."""
        return {actor.name: actor for actor in [*self.queues, *self.workers, *self.callers]}

    @property
    def clocks(self) -> dict[str, Clock]:
        """The clocks of the machines, by their names."""
        clocks = {name: actor.clock for name, actor in self.actors.items()}
        return clocks if self.postgres is None else clocks | {"store": self._store_clock}

    @property
    def targets(self) -> dict[str, list[str]]:
        """Who can have a fault, by role."""
        return {
            "worker": [actor.name for actor in self.workers],
            "queue": [actor.name for actor in self.queues],
            "caller": [actor.name for actor in self.callers],
            "server": ["server"],
            "store": ["store"] if self.postgres is not None else [],
            "disk": ["disk"],
        }

    @property
    def store(self) -> str:
        """The URL of the queue's store."""
        if self.postgres is not None:
            return self.postgres.url("jobs")
        return f"sqlite:///{self.disk}/jobs.db"

    def start(self) -> None:
        """Start everything; returns when it works."""
        if self.postgres is not None:
            self.postgres.start()
            self.postgres.make_database("jobs")
        self.server.start()
        queue, app = self.server.fresh_user("jobs"), self.server.fresh_user("app")
        lease = f"{self.settings.lease}s"
        more = {"CAMPAIGN_QUEUE": queue.jid, "CAMPAIGN_RATE": str(self.settings.rate)}
        more["CAMPAIGN_ONLY"] = self.settings.only
        command = ["queue", "--store", self.store, "--allow", app.jid, "--lease", lease]
        command += ["--losses", str(self.settings.losses)]
        for number in range(1, QUEUES[self.settings.store] + 1):
            self.queues.append(self._actor(f"queue{number}", queue, module("jabot", *command)))
        work = str(Path(__file__).with_name("worker.py"))
        for number in range(1, WORKERS + 1):
            command = ["run", work, "--account", queue.jid]
            self.workers.append(
                self._actor(f"worker{number}", queue, module("jabot", *command), more)
            )
        for number in range(1, CALLERS + 1):
            self.callers.append(
                self._actor(f"caller{number}", app, module("campaign.submitter"), more)
            )
        for actors, sign in ((self.queues, "online as"), (self.workers, "working for")):
            for actor in actors:
                actor.start()
            for actor in actors:
                actor.await_log(sign)
        for actor in self.callers[:1] if self.settings.only else self.callers:
            actor.start()

    def quiet(self) -> bool:
        """Have no more jobs submitted, and wait until each has its outcome; False when that does
        not come to an end."""
        (self.folder / "quiet").touch()
        deadline = time.monotonic() + _QUIET_LIMIT
        for actor in self.callers:
            actor.let_go()
        while any(actor.running for actor in self.callers):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def stop(self) -> None:
        """End the programs in order; the store stays as it is."""
        for actors in (self.callers, self.workers, self.queues):
            for actor in actors:
                actor.terminate()
        self.server.kill()

    def _actor(
        self, name: str, account: Any, command: list[str], more: dict[str, str] | None = None
    ) -> Actor:
        environment = {
            "JABOT_JID": account.jid,
            "JABOT_PASSWORD": account.password,
            "JABOT_SERVER": self.server.address,
            "JABOT_CA_FILE": str(self.server.ca_file),
            "HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parent, HERE.parents[1] / "src"))),
            "PYTHONUNBUFFERED": "1",
            **(more or {}),
        }
        return Actor(self.hosts.add(name), command, environment, self.folder)

    def _server(self) -> Server:
        host = self.hosts.add("server")
        authority = Authority(self.folder)
        return create(
            self.settings.server,
            self.folder / "server",
            authority.good(),
            host=host.address,
            inside=host.inside,
        )

    def _postgres(self) -> Postgres:
        host = self.hosts.add("store")
        postgres = Postgres(
            folder=self.disk / "postgres",
            host=host.address,
            inside=host.inside,
            environment=self._store_clock.environment,
        )
        postgres.log_file = self.folder / "store.log"  # the disk goes with the campaign
        return postgres
