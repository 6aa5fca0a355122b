"""examples/commands.py: commands of one machine, run from another."""

import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from chatting import Program, account_environment, program
from servers import Server

COMMANDS = Path(__file__).parents[2] / "examples" / "commands.py"

Here = Callable[..., AbstractAsyncContextManager[Program]]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "web.log").write_text("started\nconnection refused; $(touch pwned)\n")
    (folder / "mail.log").write_text("connection refused\n")
    return folder


@pytest.fixture
async def there(xmpp: Server, tmp_path: Path, logs: Path) -> AsyncIterator[tuple[Program, str]]:
    """The machine with the commands, and its address."""
    account = xmpp.fresh_user("bot")
    command = [sys.executable, "-m", "jabot", "run", str(COMMANDS), "--account", account.jid]
    environment = account_environment(xmpp, account) | {"LOGS": str(logs)}
    async with program(command, tmp_path, environment, "there") as running:
        await running.logged(" is ready")
        yield running, account.jid


@pytest.fixture
def here(xmpp: Server, tmp_path: Path, there: tuple[Program, str]) -> Here:
    """Runs one there."""
    environment = account_environment(xmpp, xmpp.fresh_user("app"))

    def run(*arguments: str) -> AbstractAsyncContextManager[Program]:
        command = [sys.executable, str(COMMANDS), "--to", there[1], *arguments]
        return program(command, tmp_path, environment, "here")

    return run


async def test_commands_are_listed_and_run(here: Here) -> None:
    async with here() as run:
        assert await run.ended() == 0, run.log
        lines = run.out.splitlines()
        assert [line.split()[0] for line in lines] == ["disk", "follow", "search", "uptime"]
        assert lines[2].split() == ["search", "pattern", "most", "Search", "the", "logs."]
    async with here("search", "connection refused") as run:
        assert await run.ended() == 0, run.log
        assert sorted(run.out.splitlines()) == [
            "./mail.log:1:connection refused",
            "./web.log:2:connection refused; $(touch pwned)",
        ]
        assert run.log == ""
    async with here("search", "no such words") as run:
        assert await run.ended() == 1
        assert (run.out, run.log) == ("", "")


async def test_an_argument_stays_one_argument(here: Here, logs: Path) -> None:
    before = set(logs.iterdir())
    async with here("search", "$(touch pwned)") as run:
        await run.ended()
    async with here("search", "x; touch pwned #") as run:
        assert await run.ended() == 1
        assert (run.out, run.log) == ("", "")
    async with here("search", "--", "--include=*.log") as run:
        assert await run.ended() == 1
        assert "begins with a dash" in run.log
        assert run.log.startswith("Error: pattern: ")
    assert set(logs.iterdir()) == before


async def test_ctrl_c_here_ends_the_command_there(
    here: Here, logs: Path, there: tuple[Program, str]
) -> None:
    async with here("follow", "web.log") as run:
        await run.printed("connection refused")
        with (logs / "web.log").open("a") as log:
            log.write("somebody writes\n")
        await run.printed("somebody writes\n")
        run.send(signal.SIGINT)
        assert await run.ended() == 130
        assert run.log == ""
    await there[0].logged("follow: cancelled")


async def test_what_fails_there_is_told_here(here: Here) -> None:
    async with here("follow", "web.log", "many") as run:
        assert await run.ended() == 1
        assert "many" in run.out  # what tail says of it
        assert run.log == "CommandFailed: tail ended with exit code 1:\n"
    async with here("reboot") as run:
        assert await run.ended() == 1
        assert run.log == "Error: there is no task reboot here\n"
