"""Child processes of a run: started, spoken to, weighed and ended by their id."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_STOP_LIMIT = 5.0  # seconds from SIGTERM to SIGKILL
_MEGABYTE = 1_000_000


class ProgramFailedError(Exception):
    """A worker, a caller or a server ended early, or did not answer in time."""


@dataclass(frozen=True)
class Usage:
    """What a process and its children have used up, and what they hold."""

    cpu: float  # seconds, user and system, since the start
    memory: float  # MB; pages that processes share are counted once
    rss: float  # MB; what `ps` and `top` show, pages that are shared counted for each process


class Program:
    """One process that speaks lines: it says `ready`, then answers each order with one.

    It dies with this process, even when that is killed, and Ctrl-C in the terminal does not reach
    it: this process ends it in order.
    """

    def __init__(
        self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = log
        self._unread = b""
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [*_tied_to_this_process(), *command],
                env=os.environ | (environment or {}),
                cwd=log.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                bufsize=0,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_ready(self, limit: float = 30.0) -> str:
        """Wait for the line `ready ...`, and return what stands behind that word."""
        word = ""
        while word != "ready":  # programs that are not ours may show a banner first
            word, _, rest = self._line(limit).partition(" ")
        return rest

    def order(self, limit: float, **what: Any) -> dict[str, Any]:
        """Send one order and wait for its answer, both JSON in a line."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
        except BrokenPipeError:
            raise self._ended() from None
        answer: dict[str, Any] = json.loads(self._line(limit))
        return answer

    def check(self) -> None:
        """Raise `ProgramFailedError` when it has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, insist after a while, and see to it that its children end too."""
        children = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.pid).children(recursive=True)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for child in psutil.wait_procs(children, timeout=1.0)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self, limit: float) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        deadline = time.monotonic() + limit
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ProgramFailedError(f"{self.name} did not answer in {limit:.0f} s{self._tail}")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise self._ended()
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def _ended(self) -> ProgramFailedError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        return ProgramFailedError(f"{self.name} ended with {self._process.returncode}{self._tail}")

    @property
    def _tail(self) -> str:
        """The end of what it wrote to stderr, for a message."""
        lines = self._log.read_text(errors="replace").splitlines()[-20:]
        return ":\n  " + "\n  ".join(lines) if lines else ""


def usage(pid: int) -> Usage:
    """Of a process and all its children."""
    cpu = memory = rss = 0.0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        raise ProgramFailedError(f"process {pid} is gone") from None
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            times = process.cpu_times()
            cpu += times.user + times.system
            rss += process.memory_info().rss
            memory += getattr(process.memory_full_info(), "pss", process.memory_info().rss)
    return Usage(cpu, memory / _MEGABYTE, rss / _MEGABYTE)


def usage_of(pids: Iterable[int]) -> Usage:
    """Of several processes and all their children, together."""
    each = [usage(pid) for pid in pids]
    return Usage(
        sum(one.cpu for one in each), sum(one.memory for one in each), sum(one.rss for one in each)
    )


def _tied_to_this_process() -> list[str]:
    """The start of a command line whose program dies with us, even when we are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
