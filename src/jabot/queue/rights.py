"""Who may do what at a queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from jabot.access import Access, Decision
from jabot.errors import NotAllowed
from jabot.jid import JID

_REMEMBERED: Final = 1000  # addresses; rules do not change, and programs ask for each batch and job


class Rights:
    """The rules of a queue: of callers as those of any node, and of workers.

    `own()` is the queue's full address. Its own account may do all; `work` names the others who may
    take its jobs.
    """

    def __init__(self, own: Callable[[], JID], access: Access, work: Access) -> None:
        self.own = own
        self.access = access
        self.work = work
        remember = lru_cache(_REMEMBERED)
        self._may_run = remember(lambda peer, task: self.may_run(JID(peer), task))
        self.may_call: Callable[[str], bool] = remember(
            lambda peer: self.access.knows(own(), JID(peer))
        )
        """Whether somebody has any right as a caller."""
        self.may_work: Callable[[str], bool] = remember(
            lambda account: self.work.knows(own(), JID(account))
        )
        """Whether somebody may take jobs of this queue."""

    def check(self, peer: str, task: str) -> None:
        """Raises `NotAllowed` when a caller may not have a task run."""
        decision = self._may_run(peer, task)
        if not decision.allowed:
            raise NotAllowed(f"you may not run {task}: {decision.reason}")

    def may_run(self, caller: JID, task: str) -> Decision:
        """Whether a caller may have a task run."""
        return self.access.may_run(self.own(), caller, task)

    def may_manage(self, caller: JID) -> Decision:
        """Whether a caller may see and handle the jobs of others."""
        return self.access.may_manage(self.own(), caller)

    def knows(self, peer: JID) -> bool:
        """Whether somebody has any right here at all."""
        return self.may_call(str(peer)) or self.may_work(peer.bare)

    def scope(self, who: JID) -> str | None:
        """The account whose jobs and schedules somebody sees and handles; None: those of all.

        Raises `NotAllowed` for who may do nothing here.
        """
        if self.may_manage(who):
            return None
        if not self.may_call(str(who)):
            raise NotAllowed(f"{who.bare} has no jobs here, and may not see those of others")
        return who.bare

    def check_manages(self, who: JID, what: str) -> None:
        """Raises `NotAllowed` for who does not manage the queue."""
        decision = self.may_manage(who)
        if not decision:
            raise NotAllowed(f"you may not {what}: {decision.reason}")
