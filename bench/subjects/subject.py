"""What a subject of the benchmark is: a server, a worker process and a caller process."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.environments import environment, versions
from bench.processes import Program
from bench.servers import Account, Servers, which

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Start:
    """How to start a program of a subject."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


class Subject(ABC):
    """One way to have `echo(value: int) -> int` run by another process."""

    name: ClassVar[str]  # its key in the JSON file
    label: ClassVar[str]  # for people
    short: ClassVar[str]  # what `--only` takes as well
    programs: ClassVar[dict[str, str]] = {}  # what must be installed: program -> Debian package
    most_in_flight: ClassVar[int] = 30_000  # where its own pace makes more a matter of minutes
    watches_idle: ClassVar[bool] = False

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self._bin: Path | None = None
        self._accounts: dict[str, Account] = {}

    @classmethod
    def missing(cls) -> list[str]:
        """The Debian packages that are not installed."""
        return [package for program, package in cls.programs.items() if not which(program)]

    @classmethod
    def folder(cls) -> Path:
        return Path(__file__).parent / cls.name

    @classmethod
    def requirements(cls) -> Path | None:
        """The peer's pinned packages; None for what runs in jabot's own environment."""
        path = cls.folder() / "requirements.txt"
        return path if path.is_file() else None

    def prepare(self, say: Callable[[str], None]) -> None:
        """Make the environment, if there is one to make."""
        requirements = self.requirements()
        if requirements is not None:
            self._bin = environment(self.name, requirements, say)

    @abstractmethod
    def server_pid(self) -> int:
        """Start the server unless it runs, and say which process it is."""

    @abstractmethod
    def worker(self) -> Start:
        """A worker; its first line is `ready`, and its address when a caller needs that."""

    @abstractmethod
    def caller(self, address: str) -> Start:
        """A caller, as `closed_loop` describes it. `address` is what the worker said."""

    def versions(self) -> dict[str, str]:
        """The versions of what it consists of."""
        requirements = self.requirements()
        return versions(self.bin, requirements) if requirements else {}

    @property
    def bin(self) -> Path:
        """The environment's folder of programs."""
        return self._bin or Path(sys.executable).parent

    def account(self, role: str) -> Account:
        """An account on ejabberd, the same each time."""
        if role not in self._accounts:
            name = f"{role}-{self.name}".replace("_", "-")
            self._accounts[role] = self.servers.ejabberd.account(name)
        return self._accounts[role]

    def script(self, name: str, *arguments: object, **variables: str) -> Start:
        """A script of the subject's folder, run in its environment."""
        command = [self.bin / "python", self.folder() / f"{name}.py", *arguments]
        return Start([str(word) for word in command], variables)

    def launch(self, role: str, start: Start) -> Program:
        """Start a worker or a caller. `bench` itself is on its path."""
        return Program(
            f"{self.name} {role}",
            start.command,
            self.servers.folder / f"{self.name}-{role}.log",
            {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"} | start.environment,
        )
