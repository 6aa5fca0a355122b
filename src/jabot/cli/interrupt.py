"""What Ctrl-C and SIGTERM do while a command waits for something."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from click.exceptions import Exit

from jabot.account import Account
from jabot.calls import Job
from jabot.cli.exit_codes import failure
from jabot.cli.progress import ProgressLine
from jabot.errors import JabotError
from jabot.mainloop import exit_now

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(task: str, account: Account) -> Iterator[tuple[ProgressLine, Interrupt]]:
    """For what a command does at a terminal: a line that says how it gets on, first of all that it
    signs in, and what its signals do."""
    with ProgressLine(task) as line, Interrupt(line) as interrupt:
        line.where(f"- signing in as {account.jid}")
        yield line, interrupt


class Interrupt:
    """Within, the first signal cancels the job (or the task that has none yet) and the command ends
    with the signal's exit code, the second one ends the process. To be entered in the task that is
    to be cancelled."""

    def __init__(self, line: ProgressLine) -> None:
        self.job: Job[Any] | None = None
        self.code: int | None = None
        """The exit code when there was a signal: 130 or 143."""
        self._line = line

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        if self.code is None:
            return
        if isinstance(error, asyncio.CancelledError):
            raise Exit(self.code) from None
        if isinstance(error, JabotError):
            raise failure(error, self.code) from error

    def _signalled(self, number: int) -> None:
        if self.code is not None:
            self._line.close()
            exit_now(128 + number)
        self.code = 128 + number
        if self.job is None:
            if self._task is not None:
                self._task.cancel()
            return
        self._line.say("Cancelling the job. Ctrl-C again leaves at once.")
        self.job.cancel(f"its submitter had {signal.Signals(number).name}")
