"""Which node gets a job, and the jobs that none was found for yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jabot.alarm import Alarm
from jabot.calls.directory import Directory
from jabot.calls.options import Options
from jabot.errors import JabotError, NobodyThere
from jabot.peers import Peer, Peers, as_text
from jabot.protocol.events import JobNeedsWorker

_PATIENCE: Final = 60.0  # seconds that a job which had a worker waits for another one
_AGAIN: Final = 1.0  # seconds before a node that refused is asked again when there is no other


@dataclass(slots=True)
class _Waiting:
    """A job without a node."""

    id: str
    task: str
    options: Options
    lost: JobNeedsWorker | None = None  # it had a node, and needs another one
    until: float = float("inf")  # how long a node is looked for
    again: float = 0.0  # from then on, those who refused it may be asked again


class Placing:
    """Finds nodes for jobs: at once, or when one comes.

    `place(job_id, peer)` gives a job away, `give_up(job_id, error)` ends it.
    """

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        place: Callable[[str, str], None],
        give_up: Callable[[str, JabotError], None],
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._place = place
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, dict[str, _Waiting]] = {}
        self._alarm = Alarm(self._tick)

    def choose(self, task: str, options: Options) -> str | None:
        """The node for a new job, if there is one now."""
        self._directory.watch(options.to)
        peer = self._find(task, options)
        if peer is not None:
            return None if self._others_answer(peer, options) else peer.jid
        # A full address needs no answer to a greeting: the job itself will find out.
        # Unless it matters what is there.
        waits = options.movable or options.where or options.asks_queue
        return None if waits else options.to

    def wait(self, job_id: str, task: str, options: Options) -> None:
        """Look for a node for a new job that there was none for."""
        self._add(_Waiting(job_id, task, options))

    def move(self, event: JobNeedsWorker, options: Options) -> None:
        """Look for another node for a job that had one."""
        now = self._loop.time()
        self._directory.watch(options.to)
        self._add(
            _Waiting(
                event.id,
                event.task,
                options,
                event,
                float("inf") if event.kept else (event.since or now) + _PATIENCE,
                now + _AGAIN,
            )
        )

    def forget(self, job_id: str, address: str) -> None:
        """A job is over."""
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.pop(job_id, None)
            if not waiting:
                del self._waiting[address]

    def news(self, address: str) -> None:
        """Somebody came to an address, or surely nobody will: look again."""
        for waiting in list(self._waiting.get(address, {}).values()):
            if waiting.id in self._waiting.get(address, {}):  # not ended by one before it
                self._try(waiting)

    def waits_at(self, address: str) -> bool:
        """Whether jobs wait for somebody there."""
        return address in self._waiting

    def close(self) -> None:
        """Stop looking."""
        self._alarm.cancel()

    def _add(self, waiting: _Waiting) -> None:
        self._waiting.setdefault(waiting.options.to, {})[waiting.id] = waiting
        self._try(waiting)

    def _try(self, waiting: _Waiting) -> None:
        options, lost, now = waiting.options, waiting.lost, self._loop.time()
        if lost is None:
            peer = self._find(waiting.task, options)
        else:
            avoid = lost.avoid if now < waiting.again else ()
            peer = self._peers.choose(
                options.to, waiting.task, options.where, avoid, queue=bool(lost.queue)
            )
        if peer is not None:
            if self._others_answer(peer, options):
                self._alarm.set(self._directory.complete(options.to))
                return
            self.forget(waiting.id, options.to)
            self._place(waiting.id, peer.jid)
            return
        until = self._until(waiting)
        if until <= now:
            self.forget(waiting.id, options.to)
            self._give_up(waiting.id, lost.error if lost is not None else self._nobody(waiting))
            return
        complete = self._directory.complete(options.to)
        self._alarm.set(min(at for at in (until, waiting.again, complete) if at > now))

    def _find(self, task: str, options: Options) -> Peer | None:
        """A node that offers the task; when all have answered and none does, any of them: it knows
        why not."""
        peer = self._peers.choose(options.to, task, options.where)
        if peer is None and self._loop.time() >= self._directory.complete(options.to):
            return self._peers.choose(options.to, task, options.where, offering=False)
        return peer

    def _others_answer(self, peer: Peer, options: Options) -> bool:
        """Whether to wait a moment for other nodes: the first one that answers a greeting has no
        slot left, and is not to get all that waited for an answer."""
        return (
            options.movable
            and self._loop.time() < self._directory.complete(options.to)
            and not self._peers.is_free(peer.jid)
        )

    def _until(self, waiting: _Waiting) -> float:
        if waiting.lost is not None:
            return waiting.until
        address = waiting.options.to
        if waiting.options.wait and not self._directory.refused(address):
            return float("inf")  # its time limit ends it in any case
        return self._directory.settles(address)

    def _nobody(self, waiting: _Waiting) -> JabotError:
        options = waiting.options
        there = self._peers.at(options.to)
        if not there:
            return self._directory.nobody(options.to)
        labels = as_text(options.where)
        if len(there) == 1:
            return NobodyThere(f"the one node at {options.to} has not {labels}")
        return NobodyThere(f"{len(there)} nodes at {options.to}, and none of them has {labels}")

    def _tick(self) -> None:
        for address in list(self._waiting):
            self.news(address)
