"""The jabot command, as somebody at a terminal has it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from chatting import account_environment, clean_environment
from people.bot import Bot
from servers import Server

LIMIT = 30.0  # seconds, for a machine that is busy with other things

Run = Callable[..., subprocess.CompletedProcess[str]]


class Screen(pexpect.spawn):
    """A program at a terminal that tells where its cursor is, as every real one does."""

    def see(self, pattern: str) -> None:
        """Wait until the program shows a match."""
        while self.expect([pattern, r"\x1b\[6n"]):
            self.send("\x1b[1;1R")

    def see_end(self) -> int | None:
        """Wait until the program ends; its exit code."""
        while self.expect([pexpect.EOF, r"\x1b\[6n"]):
            self.send("\x1b[1;1R")
        self.wait()
        return self.exitstatus


Terminal = Callable[..., Screen]


@pytest.fixture(scope="module")
def shared_bot(
    request: pytest.FixtureRequest,
    server_kind: str,
    shared_servers: Callable[[str], Server],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bot]:
    server, folder = shared_servers(server_kind), tmp_path_factory.mktemp("bot")
    program = folder / "gym.py"
    program.write_text(request.module.PROGRAM)
    with Bot(program, server, server.fresh_user("bot"), folder) as bot:
        yield bot


@pytest.fixture
def bot(shared_bot: Bot) -> Bot:
    """The `PROGRAM` of the test's module, served: the same for all of its tests, or the next one
    when it was ended."""
    if not shared_bot.is_running:
        shared_bot.start()
    return shared_bot


@pytest.fixture
def ann(xmpp: Server) -> dict[str, str]:
    """The variables that make `jabot` sign in as ann."""
    return account_environment(xmpp, xmpp.fresh_user("ann"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `jabot ARGUMENTS...` without a terminal, in a home of its own; returns what it said."""

    def run(
        *arguments: str | Path, text: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jabot", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            cwd=tmp_path,
            env=clean_environment(tmp_path) | environment,
        )

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Run `jabot ARGUMENTS...` at a terminal."""
    running: list[Screen] = []

    def start(*arguments: str | Path, **environment: str) -> Screen:
        child = Screen(
            sys.executable,
            ["-m", "jabot", *map(str, arguments)],
            env=clean_environment(tmp_path) | {"TERM": "xterm"} | environment,
            cwd=str(tmp_path),
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(30, 120),
            timeout=LIMIT,
        )
        running.append(child)
        return child

    yield start
    for child in running:
        child.close(force=True)
