"""What a queue does itself: jobs for its own tasks, past the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw

from jabot.errors import BadArguments, TaskFailed
from jabot.intake import Intake
from jabot.jid import JID
from jabot.protocol.codec import Incoming
from jabot.protocol.events import Key
from jabot.protocol.frames import Cancel, Describe, Query, Submit
from jabot.protocol.refusals import REFUSALS
from jabot.queue.catalogue import Catalogue
from jabot.queue.rights import Rights
from jabot.runner import Desk, Job
from jabot.xmpp import Link

_NO_OPTIONS: Final = b"null"
_ABOUT_JOBS: Final = (Cancel, Query)


class OwnTasks(Intake):
    """An intake that takes the jobs of the node's own tasks, and leaves all others alone.

    It describes the tasks of the workers as well.
    """

    def __init__(
        self, desk: Desk, link: Link, jobs_per_caller: int, catalogue: Catalogue, rights: Rights
    ) -> None:
        super().__init__(desk, link, jobs_per_caller)
        self._catalogue = catalogue
        self._rights = rights

    @property
    def version(self) -> str:
        return f"{super().version}-{self._catalogue.version}"

    def owns(self, account: str, frame: Incoming) -> bool:
        """Whether a frame is about such a job."""
        if isinstance(frame, Submit):
            return self._desk.find(frame.task) is not None
        if isinstance(frame, _ABOUT_JOBS):
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
        if isinstance(error, TaskFailed) and error.type in REFUSALS:
            now = self._loop.time()
            self.worker.failed(key, now, kind=error.type, message=error.message, code="refused")
        else:
            super()._failed(key, job, error)

    def _described(self, caller: JID) -> dict[str, Raw]:
        names = [name for name in self._catalogue.names if self._rights.may_run(caller, name)]
        return self._catalogue.descriptions(names) | super()._described(caller)


def refused(error: Any, code: str) -> TaskFailed:
    """How one of these tasks says no: its caller gets the error itself, of that code."""
    return TaskFailed(str(error), kind=code, message=str(error))
