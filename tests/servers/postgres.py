"""A PostgreSQL server as Debian packages it, in a folder of its own, with data on the disk."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import psycopg

from .ports import LOOPBACK
from .process import STOP_LIMIT, ServerMissingError, ServerProcess, tied_to_this_process

_PROGRAMS = "/usr/lib/postgresql"
_USER = "postgres"  # the server refuses to run as root
_SETTINGS = {
    "synchronous_commit": "on",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "log_min_messages": "warning",
    "log_lock_waits": "on",
}


class Postgres(ServerProcess):
    """One server."""

    kind = "PostgreSQL"

    def __init__(
        self,
        *,
        keeps: bool = True,
        folder: Path | None = None,
        host: str = LOOPBACK,
        inside: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`keeps` False: what was committed need not survive a crash of the machine. `host` is
        another address to listen at, and `inside` the start of a command line that runs it there,
        with `environment` besides our own.
        """
        self._programs = _programs()
        super().__init__(folder or Path(tempfile.mkdtemp(prefix="jabot-postgres-")), host, inside)
        self._settings = _SETTINGS | {"fsync": "on" if keeps else "off"}
        # Not of the programs that start it: they are root's.
        self._environment = [f"{name}={value}" for name, value in (environment or {}).items()]
        self._data = self.folder / "data"
        self._reused: str | None = None
        self._paused: list[psutil.Process] = []  # they stay, for their parent collects none
        if os.getuid() == 0:
            shutil.chown(self.folder, _USER, _USER)

    # --- what a test uses -----------------------------------------------------------------

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@{self.host}:{self.port}/{database}"

    def fresh_database(self) -> str:
        """The URL of an empty database that no other test has."""
        return self.make_database(f"jabot{next(self._numbers)}")

    def make_database(self, name: str) -> str:
        """Make an empty database; its URL."""
        with psycopg.connect(self.url("template1"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def emptied_database(self) -> str:
        """The URL of one database that each caller gets, without what jabot left in it.

        A tenth of the time of a fresh one, for tests that come one after the other.
        """
        if self._reused is None:
            self._reused = self.fresh_database()
        with psycopg.connect(self._reused, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute("DROP SCHEMA IF EXISTS jabot CASCADE")
        return self._reused

    def stop(self, *, immediate: bool = False) -> None:
        """End it in order; `immediate`: as a crash would, without a last checkpoint."""
        if self.is_running:
            process = self._running()
            self.resume()
            process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            process.wait(STOP_LIMIT)
        self._process = None

    def pause(self) -> None:
        """All of its processes: one that has a connection does not need the first one."""
        super().pause()
        self._paused = psutil.Process(self.pid).children()
        for process in self._paused:
            process.suspend()

    def resume(self) -> None:
        for process in self._paused:
            process.resume()
        self._paused = []
        super().resume()

    def kill(self) -> None:
        """End it at once, and forget its data."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop(immediate=True)
        if self.is_running:
            self._running().kill()
        if self._process is not None:
            self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- its process ----------------------------------------------------------------------

    def prepare(self) -> None:
        if self._data.exists():
            return
        command = [str(self._programs / "initdb"), "--no-sync", "--auth=trust", f"-U{_USER}"]
        command += ["--encoding=UTF8", "--locale=C", "-D", str(self._data)]
        made = subprocess.run(
            [*self._as_user(), *command], cwd=self.folder, capture_output=True, text=True
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        settings = self._settings | {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        with (self._data / "postgresql.conf").open("a") as config:
            config.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        if self.host != LOOPBACK:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 0.0.0.0/0 trust\n")

    def command_line(self) -> list[str]:
        program = [str(self._programs / "postgres"), "-D", str(self._data)]
        return [*self._inside, *self._as_user(), "env", *self._environment, *program]

    def is_ready(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url("template1"), connect_timeout=2).close()
            return True
        return False

    def _as_user(self) -> list[str]:
        """The start of a command line: of a program that dies with us, and that is not root's."""
        tied = tied_to_this_process()
        if os.getuid() != 0:
            return tied
        user = pwd.getpwnam(_USER)
        who = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [*(tied[:-1] or ["setpriv"]), *who, "--"]


_shared: list[Postgres] = []


def shared() -> Postgres:
    """A running server for all tests of this process that do not harm it."""
    if not _shared:
        server = Postgres(keeps=False)
        server.start()
        _shared.append(server)
    return _shared[0]


def end_shared() -> None:
    """At the end of the session."""
    while _shared:
        _shared.pop().kill()


def _programs() -> Path:
    """The folder of the newest server that is installed; Debian keeps it out of the PATH."""
    found = sorted(
        Path(_PROGRAMS).glob("*/bin/initdb"), key=lambda file: float(file.parents[1].name)
    )
    if found:
        return found[-1].parent
    if (initdb := shutil.which("initdb")) is not None:
        return Path(initdb).parent
    raise ServerMissingError("PostgreSQL is not installed: apt-get install postgresql")
