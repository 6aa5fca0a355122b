"""What a queue does itself: jobs for its own tasks, past the store."""

from __future__ import annotations

from collections.abc import Sequence

from jabot.intake import Intake
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Cancel, Describe, Query, Submit


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
