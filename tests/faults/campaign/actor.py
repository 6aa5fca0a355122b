"""A program of the campaign: started, killed, frozen, and started again."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .clock import Clock
from .hosts import Host

_STOP_LIMIT = 50.0  # 30 s for jobs, 5 for each of the last words to the store and to peers


class Actor:
    """One program, on one machine. It writes its log to the end of one file at each start."""

    def __init__(
        self,
        host: Host,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self.host = host
        self.clock = Clock(folder / f"{host.name}.clock")
        self.log_file = folder / f"{host.name}.log"
        self._command = [*host.inside, *command]
        self._environment = {**environment, **self.clock.environment, "CAMPAIGN_NAME": host.name}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._wanted = False

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Of the last run; negative for a signal."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        with self._lock:
            self._wanted = True
            if not self.running:
                self._start()

    def revive(self) -> int | None:
        """Start it again when it has ended by itself; the exit code that it ended with."""
        with self._lock:
            if not self._wanted or self.running:
                return None
            code = self.exit_code
            self._start()
            return code

    def let_go(self) -> None:
        """It may end by itself from now on."""
        with self._lock:
            self._wanted = False

    def _start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JABOT_")}
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=kept | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at once."""
        with self._lock:
            self._wanted = False
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def terminate(self) -> None:
        """Ask it to end, and give up waiting for that after half a minute."""
        self.let_go()
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(f"{self.name} did not stop within {_STOP_LIMIT:.0f} s") from None

    def freeze(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def await_log(self, pattern: str, limit: float = 30.0, *, after: int = 0) -> None:
        """Wait until its log has that, past so many characters."""
        deadline = time.monotonic() + limit
        while not re.search(pattern, self.log()[after:]):
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not log {pattern!r}:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""


def module(name: str, *arguments: str) -> list[str]:
    """The command line of a Python module."""
    return [sys.executable, "-m", name, *arguments]
