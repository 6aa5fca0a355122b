"""What test servers share: their processes; and those for XMPP: ports and accounts."""

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import psutil

from .certificates import Certificate
from .ports import LOOPBACK, free_port

START_LIMIT = 45.0  # seconds; a quiet machine needs one or two
STOP_LIMIT = 20.0
_HELPERS_LIMIT = 2.0  # for the processes that a server started itself
_LOOK_EVERY = 0.02


class ServerMissingError(Exception):
    """The server is not installed. A test that needs it fails, and says what to install."""


class Account(NamedTuple):
    jid: str  # bare
    password: str


class ServerProcess(ABC):
    """The process of a server of any kind, in a folder of its own. A restart keeps port and data.

    `host` is another address than loopback to listen at, and `inside` the start of a command line
    that runs it on the machine that has that: a network namespace.
    """

    kind: ClassVar[str]

    def __init__(self, folder: Path, host: str, inside: Sequence[str]) -> None:
        self.folder = folder
        self.host = host
        self._inside = inside
        self.port = free_port()
        self.log_file = folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    # --- what a kind fills in -------------------------------------------------------------

    @abstractmethod
    def prepare(self) -> None:
        """Write what it needs to start. Called before every start."""

    @abstractmethod
    def command_line(self) -> list[str]:
        """What to run, in the foreground, in `folder`, so that it dies with us."""

    def environment(self) -> dict[str, str]:
        """Variables on top of this process' own."""
        return {}

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether clients can sign in by now."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""

    # --- what a test uses -----------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, or start again; returns when clients can sign in."""
        if self.is_running:
            raise RuntimeError(f"{self.kind} runs already, as process {self.pid}")
        try:
            self.prepare()
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    self.command_line(),
                    cwd=self.folder,
                    env=os.environ | self.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C in the terminal is for pytest, which then stops the servers in order.
                    start_new_session=True,
                )
            self._await_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def pause(self) -> None:
        """Stop it from running, while its connections stay: a server that hangs."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def log(self, lines: int = 60) -> str:
        """The end of what it logged, for the report of a failed test."""
        found = []
        for path in (self.log_file, *sorted(self.folder.glob("logs/*.log"))):
            with contextlib.suppress(OSError):
                found += path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(found)

    # --- inside ---------------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.kind} is not running")
        return self._process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_LIMIT
        while not self.is_ready():
            if process.poll() is not None:
                raise RuntimeError(
                    f"{self.kind} ended with {process.returncode} instead of starting:\n"
                    + self.log()
                )
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.kind} was not ready after {START_LIMIT:.0f} s:\n{self.log()}"
                )
            time.sleep(_LOOK_EVERY)


class Server(ServerProcess):
    """One XMPP server. A restart keeps the ports and the accounts."""

    domain = "localhost"

    def __init__(
        self,
        folder: Path,
        certificate: Certificate,
        *,
        host: str = LOOPBACK,
        inside: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, host, inside)
        self.certificate = certificate
        self.ca_file: Path | None = certificate.ca_file
        self._descendants: list[psutil.Process] = []

    wall = staticmethod(time.time)  # the date of who signs in there

    # --- what a kind fills in -------------------------------------------------------------

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    def command_line(self) -> list[str]:
        return [*tied_to_this_process(), *self._inside, *self.command()]

    def is_ready(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @abstractmethod
    def add_user(self, name: str, password: str) -> str:
        """Make an account; returns its bare JID."""

    # --- what a test uses -----------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def fresh_user(self, prefix: str = "bot") -> Account:
        """An account that no other test has, so that tests which share a server never meet."""
        name = f"{prefix}{next(self._numbers)}-{secrets.token_hex(3)}"
        password = secrets.token_hex(8)
        return Account(self.add_user(name, password), password)

    def stop(self) -> None:
        """Ask it to end, and wait until it has. Does nothing when it is not running."""
        if not self.is_running:
            self._reap()
            return
        process = self._running()
        self._note_descendants()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.kind} did not stop in {STOP_LIMIT:.0f} s") from None
        self._reap()

    def kill(self) -> None:
        """End it at once, as a power cut does to the programs of a machine."""
        if self.is_running:
            self._note_descendants()
            self._running().kill()
        self._reap()

    # --- inside ---------------------------------------------------------------------------

    def _note_descendants(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._descendants = psutil.Process(self.pid).children(recursive=True)

    def _reap(self) -> None:
        """Collect the process, and end those of its helpers that outlive it."""
        if self._process is not None:
            self._process.wait()
            self._process = None
        deadline = time.monotonic() + _HELPERS_LIMIT
        while alive := [helper for helper in self._descendants if runs(helper)]:
            if time.monotonic() > deadline:
                for helper in alive:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        helper.kill()
            time.sleep(_LOOK_EVERY)
        self._descendants = []


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended: an orphan that has stays a zombie until the system collects it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def tied_to_this_process() -> list[str]:
    """The start of a command line whose program dies with us, even when we are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
