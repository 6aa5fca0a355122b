"""The side of a queue that workers see: an `End` of the link."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from jabot.errors import JabotError
from jabot.protocol import Leftover
from jabot.protocol.codec import Damaged, Incoming
from jabot.protocol.frames import (
    Cancelled,
    Failed,
    Frame,
    Heartbeat,
    Hello,
    Progress,
    Rejected,
    State,
    Succeeded,
)
from jabot.queue.attendance import Attendance
from jabot.queue.dispatch import Dispatch
from jabot.queue.outcomes import Outcomes
from jabot.queue.promise import Promise
from jabot.queue.rights import Rights
from jabot.xmpp.end import End

_ENDINGS = (Succeeded, Failed, Cancelled, Rejected)


class Floor(End):
    """Hands what the link tells of workers to whom it concerns."""

    def __init__(
        self, attendance: Attendance, dispatch: Dispatch, outcomes: Outcomes, rights: Rights
    ) -> None:
        self._attendance = attendance
        self._dispatch = dispatch
        self._outcomes = outcomes
        self._rights = rights

    # -- what the link tells: see `End` -------------------------------------------------------

    def talks_with(self, peer: str, account: str) -> bool:
        return self._rights.may_work(account)

    def received(
        self, peer: str, account: str, frames: Sequence[Incoming], now: float
    ) -> asyncio.Future[None] | None:
        promise = Promise()
        works = self._rights.may_work(account)
        self._attendance.heard(peer)
        for frame in frames:
            if not works and not isinstance(frame, Hello):  # who says hello is told why not
                continue
            if isinstance(frame, _ENDINGS):
                self._outcomes.ends(peer, frame, promise)
            elif isinstance(frame, Progress):
                self._outcomes.stepped(peer, frame)
            elif isinstance(frame, State):
                self._attendance.stands(peer, frame)
            elif isinstance(frame, Heartbeat):
                self._attendance.heartbeat(peer, frame, now)
            elif isinstance(frame, Hello):
                self._attendance.hello(peer, account, frame, promise)
            elif isinstance(frame, Damaged):
                self._outcomes.damaged(peer, frame, promise)
        return promise.future

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._dispatch.answered(peer, frames)

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._dispatch.never_arrived(peer, frames)
        self._attendance.gone(peer, now)

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        self._dispatch.never_arrived(peer, frames)
        self._attendance.refuses(peer, error)

    def wants(self, peer: str, frame: Frame) -> bool:
        return self._dispatch.wants(peer, frame)

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self._dispatch.never_arrived(peer, leftover.unsent)
        self._attendance.gone(peer, now)

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        self._attendance.offline()

    def online(self, now: float) -> None:
        self._attendance.online(now)
