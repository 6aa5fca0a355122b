"""The workers that are away, and how long a caller's jobs wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jabot.protocol.caller_actions import Actions
from jabot.protocol.caller_jobs import CallerJob
from jabot.protocol.caller_states import Input, Phase

_RECONNECT: Final = 10.0  # seconds that a worker may be away after our own connection was lost
_ASK_AGAIN: Final = 10.0  # seconds between two questions to one that does not show itself
_BOUNCE: Final = 10.0  # seconds more, for what was sent to one that had gone to come back


@dataclass(slots=True)
class _Peer:
    """A worker that is away, or whose presence we have not seen since it or we were away."""

    absent: bool = False
    shown: bool = False  # its presence came
    asked: CallerJob | None = None  # one that it was asked for, and has said nothing since
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

    def seen(self, peer: str, now: float, *, shown: bool = False) -> None:
        """It lives; if we had thought otherwise, there is something to make up for.

        Only with its presence (`shown`) will we be told when it goes. One that spoke while it left
        may be gone by now, and is asked again: the server gives that back.
        """
        state = self._peers.get(peer)
        if state is None:
            return
        was_absent, state.absent = state.absent, False
        state.shown, state.asked = state.shown or shown, None
        if was_absent:
            self._timers.set(("peer", peer), max(state.patience, now + _ASK_AGAIN))
            self._ask(peer, state, now, self._jobs.at(peer))
        if state.shown and now >= state.patience:
            self._forget(peer)

    def away(self, peer: str, now: float) -> None:
        """It went, or nobody has its address: its jobs have the grace to be heard of again."""
        state = self._peers.setdefault(peer, _Peer())
        if not self._jobs.count_at(peer):
            self._forget(peer)
        elif not state.absent and self._actions.online:
            state.absent, state.shown, state.since = True, False, now
            state.due = max(now + self._grace, state.patience)
            self._timers.set(("peer", peer), state.due)
        elif self._actions.online and state.due <= now:  # what was sent to it meanwhile is back
            self._timers.set(("peer", peer), now)

    def due(self, peer: str, now: float) -> None:
        """It stayed away, or has not shown itself, or was to be away no longer."""
        state = self._peers.pop(peer)
        if state.absent:
            self._stays_away(peer, state, now)
        elif not state.shown and (jobs := self._jobs.at(peer)):
            self._watch(peer, state, now + _ASK_AGAIN)
            if not any(job is state.asked for job in jobs):  # else the link asks again by itself
                self._ask(peer, state, now, [min(jobs, key=_effort)])

    def _stays_away(self, peer: str, state: _Peer, now: float) -> None:
        """Its jobs are lost. What was sent to it after it went surely never ran: that comes back,
        unless the server takes too long to say so."""
        until = state.due + _BOUNCE
        for job in self._jobs.at(peer):
            if now >= until or not job.was_sent_in_vain(state.since):
                self._actions.feed(job, Input.LOST, now, peer)
        if now < until and self._jobs.count_at(peer):
            self._watch(peer, state, until)

    def connection_lost(self) -> None:
        """Our own connection went."""
        for peer in self._peers:
            self._timers.cancel(("peer", peer))

    def reconnected(self, now: float) -> None:
        """It is back; that of a worker may not be yet."""
        for peer in list(self._peers):
            self._forget(peer)
        for peer in self._jobs.peers:
            state = _Peer(patience=now + _RECONNECT)
            self._watch(peer, state, state.patience)
            self._ask(peer, state, now, self._jobs.at(peer))

    def _ask(self, peer: str, state: _Peer, now: float, jobs: list[CallerJob]) -> None:
        for job in jobs:
            state.asked = job
            self._actions.feed(job, Input.BACK, now, peer)

    def _watch(self, peer: str, state: _Peer, until: float) -> None:
        self._peers[peer] = state
        self._timers.set(("peer", peer), until)

    def _forget(self, peer: str) -> None:
        del self._peers[peer]
        self._timers.cancel(("peer", peer))


def _effort(job: CallerJob) -> int:
    """What it takes to ask for a job: most where that is to send it again."""
    return job.phase is Phase.OFFERED
