"""The workers that are away, and how long a caller's jobs wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jabot.protocol.caller_actions import Actions
from jabot.protocol.caller_states import Input

_RECONNECT: Final = 10.0  # seconds that a worker may be away after our own connection was lost
_BOUNCE: Final = 10.0  # seconds more, for what was sent to one that had gone to come back


@dataclass(slots=True)
class _Peer:
    """A worker that is away, or that may be for a while."""

    absent: bool = False
    since: float = 0.0  # when it went
    due: float = 0.0  # when its jobs are lost
    patience: float = 0.0  # until then its absence is no loss yet


class Absences:
    """Feeds the table when workers are back, or stay away. Without our own connection nobody's
    absence counts."""

    def __init__(self, actions: Actions, grace: float) -> None:
        self._actions = actions
        self._jobs = actions.jobs
        self._timers = actions.timers
        self._grace = grace
        self._peers: dict[str, _Peer] = {}

    def seen(self, peer: str, now: float) -> None:
        """It lives; if we had thought otherwise, there is something to make up for."""
        state = self._peers.get(peer)
        if state is None:
            return
        if state.absent:
            state.absent = False
            self._timers.cancel(("peer", peer))
            self._back(peer, now)
        if now >= state.patience:
            del self._peers[peer]

    def away(self, peer: str, now: float) -> None:
        """It went, or nobody has its address: its jobs have the grace to be heard of again."""
        state = self._peers.setdefault(peer, _Peer())
        if not self._jobs.count_at(peer):
            del self._peers[peer]
            self._timers.cancel(("peer", peer))
        elif not state.absent and self._actions.online:
            state.absent, state.since = True, now
            state.due = max(now + self._grace, state.patience)
            self._timers.set(("peer", peer), state.due)
        elif self._actions.online and state.due <= now:  # what was sent to it meanwhile is back
            self._timers.set(("peer", peer), now)

    def stay(self, peer: str, now: float) -> None:
        """Its jobs are lost. What was sent to it after it went surely never ran: that comes back,
        unless the server takes too long to say so."""
        state = self._peers.pop(peer)
        until = state.due + _BOUNCE
        for job in self._jobs.at(peer):
            if now >= until or not job.was_sent_in_vain(state.since):
                self._actions.feed(job, Input.LOST, now, peer)
        if now < until and self._jobs.count_at(peer):
            self._peers[peer] = state
            self._timers.set(("peer", peer), until)

    def connection_lost(self) -> None:
        """Our own connection went."""
        for peer in self._peers:
            self._timers.cancel(("peer", peer))

    def reconnected(self, now: float) -> None:
        """It is back; that of a worker may not be yet."""
        self._peers = {peer: _Peer(patience=now + _RECONNECT) for peer in self._jobs.peers}
        for peer in self._peers:
            self._back(peer, now)

    def _back(self, peer: str, now: float) -> None:
        for job in self._jobs.at(peer):
            self._actions.feed(job, Input.BACK, now, peer)
