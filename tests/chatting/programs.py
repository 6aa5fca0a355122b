"""Programs of users, and the jabot command, as processes of their own."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import psutil

from servers import Account, Server, runs

from .waiting import LIMIT

_LOOK_EVERY = 0.02


class Program:
    """A running process. What it prints and logs goes into files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, log: Path) -> None:
        self._process = process
        self._out = out
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def out(self) -> str:
        """What it printed."""
        return self._out.read_text(errors="replace")

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def logged(self, pattern: str, limit: float = LIMIT) -> str:
        """Wait until the log (as a whole) holds a match; gives the first group, or all of it."""
        return await self._found(pattern, lambda: self.log, f"log {pattern!r}", limit)

    async def printed(self, pattern: str, limit: float = LIMIT) -> str:
        """The same for what it printed."""
        return await self._found(pattern, lambda: self.out, f"print {pattern!r}", limit)

    async def ended(self, limit: float = LIMIT) -> int:
        """Wait until it has ended; gives the exit code, negative for a signal."""
        await self._until(lambda: self._process.poll() is not None, "end", limit, alive=False)
        assert self._process.returncode is not None
        return self._process.returncode

    async def _found(self, pattern: str, text: Callable[[], str], what: str, limit: float) -> str:
        found: list[re.Match[str]] = []

        def look() -> bool:
            found[:] = [match] if (match := re.search(pattern, text())) else []
            return bool(found)

        await self._until(look, what, limit)
        return found[0][1 if found[0].re.groups else 0]

    async def _until(
        self, condition: Callable[[], bool], what: str, limit: float, alive: bool = True
    ) -> None:
        deadline = asyncio.get_running_loop().time() + limit
        while not condition():
            gone = alive and self._process.poll() is not None and not condition()
            if gone or asyncio.get_running_loop().time() > deadline:
                code = f" (exit code {self._process.returncode})" if gone else ""
                raise AssertionError(f"the program did not {what}{code}:\n{self.log}\n{self.out}")
            await asyncio.sleep(_LOOK_EVERY)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


async def all_ended(processes: Iterable[psutil.Process], limit: float = LIMIT) -> bool:
    """Whether all of them have ended, or do so within the time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while any(runs(process) for process in processes):
                await asyncio.sleep(_LOOK_EVERY)
            return True
    return False


def clean_environment(folder: Path) -> dict[str, str]:
    """This process' variables, without what is configured for jabot on this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JABOT_")}
    return kept | {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "data"),
        "PYTHONUNBUFFERED": "1",
    }


def account_environment(server: Server, account: Account) -> dict[str, str]:
    """The variables that tell jabot an account."""
    variables = {
        "JABOT_JID": account.jid,
        "JABOT_PASSWORD": account.password,
        "JABOT_SERVER": server.address,
    }
    if server.ca_file is not None:
        variables["JABOT_CA_FILE"] = str(server.ca_file)
    return variables


@asynccontextmanager
async def program(
    command: list[str], folder: Path, environment: Mapping[str, str], name: str = "program"
) -> AsyncIterator[Program]:
    """Run a command; it is killed at the end if it has not ended by itself."""
    out, log = folder / f"{name}.out", folder / f"{name}.log"
    with out.open("wb") as out_file, log.open("wb") as log_file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(folder) | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=log_file,
            start_new_session=True,
        )
    running = Program(process, out, log)
    try:
        yield running
    finally:
        running.kill()


@asynccontextmanager
async def node_program(
    source: str,
    folder: Path,
    server: Server,
    account: Account,
    options: tuple[str, ...] = (),
    name: str = "bot",
) -> AsyncIterator[Program]:
    """`jabot run` on this source text; inside, its node is ready."""
    file = folder / f"{name}.py"
    file.write_text(dedent(source))
    command = [sys.executable, "-m", "jabot", *options, "run", str(file), "--account", account.jid]
    async with program(command, folder, account_environment(server, account), name) as running:
        await running.logged(r" is ready")
        yield running
