"""The servers of a run, each started when it is first needed, all ended together."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cached_property
from pathlib import Path
from string import Template
from typing import NamedTuple

from tests.servers.certificates import Authority
from tests.servers.ejabberd import Ejabberd
from tests.servers.ports import LOOPBACK, free_port

from bench.processes import Program, ProgramFailedError

_START_LIMIT = 20.0  # seconds
_LOOK_EVERY = 0.02
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class Account(NamedTuple):
    name: str
    jid: str  # bare
    password: str


class PlainEjabberd(Ejabberd):
    """The ejabberd of the tests, but with plain TCP and fewer modules."""

    def prepare(self) -> None:
        super().prepare()
        template = Template(Path(__file__).with_name("ejabberd.yml").read_text())
        self._config.write_text(
            template.substitute(domain=self.domain, port=self.port, api_port=self._api_port)
        )

    def account(self, name: str) -> Account:
        """A new account."""
        password = secrets.token_hex(8)
        return Account(name, self.add_user(name, password), password)

    @property
    def version(self) -> str:
        found = re.search(r"ejabberd ([\d.]+\d)", self._call("status", {}))
        return found[1] if found else "unknown"


class PortServer(NamedTuple):
    """A server that is ready when its port answers."""

    program: Program
    port: int


class Servers:
    """Servers of one run, with their files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        """End all of them."""
        self._stack.close()

    @cached_property
    def ejabberd(self) -> PlainEjabberd:
        folder = self.folder / "ejabberd"
        folder.mkdir()
        server = PlainEjabberd(folder, Authority(folder).good())
        server.start()
        self._stack.callback(server.stop)
        return server

    @cached_property
    def redis(self) -> PortServer:
        """Nothing is written to disk: a direct job is not either."""
        program = which("redis-server") or "redis-server"
        return self.start(
            "redis-server",
            [
                program,
                "--bind",
                LOOPBACK,
                "--save",
                "",
                "--appendonly",
                "no",
                "--loglevel",
                "warning",
            ],
        )

    def start(
        self,
        name: str,
        command: list[str],
        stack: contextlib.ExitStack | None = None,
        port_option: str = "--port",
    ) -> PortServer:
        """Start a server that is told its port by an option, and wait until the port answers.

        It ends with `stack`, or with the run.
        """
        port = free_port()
        program = Program(name, [*command, port_option, str(port)], self.folder / f"{name}.log")
        (stack or self._stack).callback(program.stop)
        deadline = time.monotonic() + _START_LIMIT
        while not _answers(port):
            program.check()
            if time.monotonic() > deadline:
                raise ProgramFailedError(f"{name} was not ready after {_START_LIMIT:.0f} s")
            time.sleep(_LOOK_EVERY)
        return PortServer(program, port)

    def data(self, name: str) -> Path:
        """A new folder for what a server keeps, on a disk."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def redis_on_disk(self, stack: contextlib.ExitStack) -> PortServer:
        """A new Redis with an append-only file, set as its documentation advises for durability:
        what it was told is in the file at once, and synced to the disk each second."""
        program = which("redis-server") or "redis-server"
        data = ["--dir", str(self.data("redis")), "--appendonly", "yes"]
        quiet = ["--appendfsync", "everysec", "--save", "", "--loglevel", "warning"]
        return self.start("redis-on-disk", [program, "--bind", LOOPBACK, *data, *quiet], stack)

    def postgresql(self, stack: contextlib.ExitStack) -> PortServer:
        """A new PostgreSQL with its defaults: each commit is synced to the disk.

        Its one account is `postgres`, without a password, on loopback only.
        """
        data = self.data("postgresql")
        unprivileged = []
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(data, "postgres")
            identity = ["--reuid=postgres", "--regid=postgres", "--init-groups"]
            # The kernel forgets the tie to us where a program changes its user: tie it again.
            unprivileged = ["setpriv", *identity, "--pdeathsig=KILL", "--"]
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"]
        done = subprocess.run(  # noqa: S603 - our own command line
            [*unprivileged, which("initdb") or "initdb", "--pgdata", str(data), *options],
            capture_output=True,
            text=True,
            timeout=_START_LIMIT * 3,
            check=False,
            cwd=data.parent,
        )
        if done.returncode:
            raise ProgramFailedError(f"initdb: {done.stderr.strip()}")
        command = [which("postgres") or "postgres", "-D", str(data), "-k", str(data)]
        local = ["-c", f"listen_addresses={LOOPBACK}", "-c", "fsync=on"]
        return self.start("postgresql", [*unprivileged, *command, *local], stack, "-p")


def which(program: str) -> str | None:
    """Where a program is; Debian keeps servers where users do not look."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([_PATH, *map(str, versions)])
    return shutil.which(program) or shutil.which(program, path=path)


def version_of(*command: str) -> str:
    """The first thing that looks like a version in what a program says of itself."""
    answer = subprocess.run(  # noqa: S603 - our own command line
        command, capture_output=True, text=True, timeout=10, check=False
    )
    found = re.search(r"\d+\.\d+[\w.]*", answer.stdout)
    return found[0] if found else "unknown"


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1.0):
        return True
    return False
