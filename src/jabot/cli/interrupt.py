"""What Ctrl-C and SIGTERM do while a command waits for a job."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Self

from jabot.calls import Job
from jabot.cli.progress import ProgressLine
from jabot.mainloop import exit_now

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Within, the first signal cancels the job (or the task that has none yet), the second one ends
    the process. To be entered in the task that is to be cancelled."""

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

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

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
