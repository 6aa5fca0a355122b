"""`jabot run PROGRAM`, as somebody at a terminal would have it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from servers import Account, Server

START_LIMIT = 20.0  # seconds
STOP_LIMIT = 15.0
_LOOK_EVERY = 0.02
_READY = r"jabot\.xmpp\.presence: .*\bready\b"


class Bot:
    """A program of the user's in its own process; inside the `with`, it takes what people say.

    `options` are what else stands on its command line. Without a program it is `jabot queue`.
    """

    def __init__(
        self,
        program: Path | None,
        server: Server,
        account: Account,
        folder: Path,
        *options: str,
        **environment: str,
    ) -> None:
        self.jid = account.jid
        self._log = folder / f"{account.jid}.log"
        self._command = [
            sys.executable,
            "-m",
            "jabot",
            *(["queue"] if program is None else ["run", str(program)]),
            *options,
            "--account",
            account.jid,
        ]
        self._folder = folder
        self._environment = {
            "JABOT_JID": account.jid,
            "JABOT_PASSWORD": account.password,
            "JABOT_SERVER": server.address,
            # Nothing that is configured on this machine may leak in.
            "XDG_CONFIG_HOME": str(folder),
        } | environment
        self._process: subprocess.Popen[bytes] | None = None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, or start again; returns when it takes what people say."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            # Online is not enough: until it takes part in its pool, what people say to it waits.
            self.await_log(_READY)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._end()
        if error is not None:
            error.add_note(f"what the bot logged:\n{self.log()}")

    @property
    def full(self) -> str:
        """Its full address, as its log says it."""
        found = re.search(r"online as (\S+)", self.log())
        assert found is not None
        return found[1]

    def await_log(self, pattern: str) -> None:
        """Wait until its log holds a match."""
        deadline = time.monotonic() + START_LIMIT
        while not re.search(pattern, self.log()):
            if not self.is_running or time.monotonic() > deadline:
                raise AssertionError(f"the bot did not log {pattern!r}:\n{self.log()}")
            time.sleep(_LOOK_EVERY)

    def await_end(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(STOP_LIMIT)

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
