"""What a queue does itself: jobs for its own tasks, past the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from jabot.errors import BadArguments, TaskFailed
from jabot.intake import Intake
from jabot.protocol.codec import Incoming
from jabot.protocol.events import Key
from jabot.protocol.frames import REFUSAL_CODES, Cancel, Describe, Query, Submit
from jabot.runner import Job

_NO_OPTIONS: Final = b"null"


class OwnTasks(Intake):
    """An intake that takes the jobs of the node's own tasks, and leaves all others alone."""

    def owns(self, account: str, frame: Incoming) -> bool:
        """Whether a frame is about such a job."""
        if isinstance(frame, Submit):
            return self._desk.tasks.get(frame.task) is not None
        if isinstance(frame, Cancel | Query):
            return (account, frame.id) in self._jobs
        return isinstance(frame, Describe)

    def received(self, peer: str, account: str, frames: Sequence[Incoming], now: float) -> None:
        mine = [frame for frame in frames if self.owns(account, frame)]
        if mine:
            super().received(peer, account, mine, now)

    def _ask_desk(self, peer: str, submit: Submit) -> Job:
        if bytes(submit.options) != _NO_OPTIONS:
            raise BadArguments(
                f"{submit.task} is done at once, and once, by the queue itself: leave out retries, "
                "where, and what else is for the jobs that a queue keeps"
            )
        return super()._ask_desk(peer, submit)

    def _failed(self, key: Key, job: Job, error: BaseException) -> None:
        if isinstance(error, TaskFailed) and error.type in REFUSAL_CODES:
            now = self._loop.time()
            self._worker.failed(key, now, kind=error.type, message=error.message, code="refused")
        else:
            super()._failed(key, job, error)


def refused(error: Any, code: str) -> TaskFailed:
    """How one of these tasks says no: its caller gets the error itself, of that code."""
    return TaskFailed(str(error), kind=code, message=str(error))
