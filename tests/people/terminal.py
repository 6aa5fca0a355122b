"""What all chat programs share: a terminal, a private home, and a record of what they received."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import pexpect
import pytest

from servers import Account, Server

LIMIT = 20.0  # seconds, for anything that a person would wait for
_LOOK_EVERY = 0.02
_ROWS, _COLUMNS = 40, 150
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")


class Person(ABC):
    """Somebody with a chat program.

    with Profanity(xmpp, xmpp.fresh_user("ann")) as ann:
        ann.say(bot, "lift")
        ann.hear(bot, "Done lifting")

    Blocking: an async test calls it in a thread. The program's terminal is only read while one of
    these methods waits for something.
    """

    program: ClassVar[str]

    def __init__(self, server: Server, account: Account) -> None:
        self.server = server
        self.account = account
        # Not below pytest's folders: those are closed to the user that some programs run as.
        self.home = Path(tempfile.mkdtemp(prefix=f"jabot-{self.program}-"))
        self._shown: list[str] = []
        self._process: pexpect.spawn | None = None

    # --- what a program fills in ----------------------------------------------------------

    @abstractmethod
    def configure(self) -> list[str]:
        """Write the program's settings into `home`; returns its command line."""

    @abstractmethod
    def is_online(self) -> bool:
        """Whether it has signed in, as far as it says."""

    @abstractmethod
    def received(self, sender: str) -> list[str]:
        """The lines that it has received from this bare JID by now, oldest first."""

    @abstractmethod
    def enter(self, line: str) -> None:
        """Type a command or a text, and the enter key."""

    # --- what a test uses -----------------------------------------------------------------

    @property
    def screen(self) -> str:
        """All that came to the terminal, without colours and cursor moves."""
        return _ESCAPES.sub("", "".join(self._shown))

    def sign_in(self) -> None:
        if shutil.which(self.program) is None:
            # Not skipped: a suite that is green because half of it did not run is a trap.
            pytest.fail(
                f"{self.program} is not installed: apt-get install {self.program}", pytrace=False
            )
        for folder in ("config", "data", "cache"):
            (self.home / folder).mkdir()
        command, *arguments = self.configure()
        self._process = pexpect.spawn(
            command,
            arguments,
            env=self._environment(),
            cwd=str(self.home),
            dimensions=(_ROWS, _COLUMNS),
            encoding="utf-8",
            codec_errors="replace",
        )
        self.wait_until(self.is_online, "sign in")

    def say(self, to: str, text: str) -> None:
        """Send a line to a bare JID."""
        self.enter(self.say_command(to, text))

    @abstractmethod
    def say_command(self, to: str, text: str) -> str:
        """What a person types to send a line to an address."""

    def hear(self, sender: str, pattern: str, timeout: float = LIMIT) -> str:
        """Wait until a line from `sender` matches, also an earlier one; returns the last such."""
        found: list[str] = []

        def heard() -> bool:
            found[:] = [line for line in self.received(sender) if re.search(pattern, line)]
            return bool(found)

        self.wait_until(heard, f"receive {pattern!r} from {sender}", timeout)
        return found[-1]

    def sign_out(self) -> None:
        if self._process is not None and self._is_alive():
            self.enter("/quit")
            self.wait_until(lambda: not self._is_alive(), "end after /quit")

    def close(self) -> None:
        """End the program, whatever it is doing, and remove its home."""
        if self._process is not None:
            self._process.close(force=True)
            self._process = None
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.sign_in()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is None:
                self.sign_out()
        finally:
            self.close()

    # --- for the programs -----------------------------------------------------------------

    def press(self, keys: str) -> None:
        if self._process is None:
            raise RuntimeError(f"{self.program} is not running")
        self._process.send(keys)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = LIMIT) -> None:
        """Fail, with the end of what the person saw, when it does not come true in time."""
        deadline = time.monotonic() + timeout
        while True:
            alive = self._is_alive()
            self._look()
            if condition():
                return
            if not alive or time.monotonic() > deadline:
                why = "in time" if alive else "before it ended"
                raise AssertionError(
                    f"{self.program} did not {what} {why}; its terminal:\n{self.screen[-3000:]}"
                )
            time.sleep(_LOOK_EVERY)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.isalive()

    def _look(self) -> None:
        """Read the terminal: a program whose terminal is full stands still."""
        if self._process is not None:
            with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF, OSError):
                while True:
                    self._shown.append(self._process.read_nonblocking(65_536, timeout=0))

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            # No desktop: neither ours to notify nor anybody's to be found.
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        }
