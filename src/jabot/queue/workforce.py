"""Who works for the queue, at this node of it and at the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import msgspec

from jabot.errors import JabotError
from jabot.jid import JID
from jabot.queue.answers import RunLine, WorkerLine
from jabot.queue.crew import Crew, Worker

log = logging.getLogger(__name__)

_TOLD: Final = 100  # jobs of one worker that are told one by one
ANSWER: Final = 2.0  # seconds in which another node of the queue tells of its workers


class Workforce:
    """The workers of a queue, as they are told of.

    `ask(node)` asks another node of the queue for those that are with it.
    """

    def __init__(
        self,
        crew: Crew,
        own: Callable[[], JID],
        ask: Callable[[str], Awaitable[list[WorkerLine]]],
    ) -> None:
        self._crew = crew
        self._own = own
        self._ask = ask
        self._others: dict[str, None] = {}

    def saw(self, node: str, *, is_here: bool) -> None:
        """Another node of this queue is online, or is not any more."""
        if is_here:
            self._others[node] = None
        else:
            self._others.pop(node, None)

    def forget_others(self) -> None:
        """Our own connection went."""
        self._others.clear()

    def here(self) -> list[WorkerLine]:
        """Those that are with this node."""
        return [self._line(worker) for worker in self._crew]

    async def everywhere(self) -> tuple[list[WorkerLine], list[str]]:
        """Those of all nodes, and the nodes that did not tell in time."""
        others = list(self._others)
        found = await asyncio.gather(*(self._ask(node) for node in others), return_exceptions=True)
        lines, silent = self.here(), []
        for node, told in zip(others, found, strict=True):
            if isinstance(told, JabotError):
                log.info("%s does not tell of its workers: %s", node, told)
                silent.append(node)
            elif isinstance(told, BaseException):
                raise told
            else:
                lines += told
        return lines, silent

    def held(self, owner: str | None) -> Iterator[str]:
        """The ids of the jobs that workers of this node have."""
        for held in self._crew.all_held:
            if owner in (None, held.record.owner):
                yield held.id

    def _line(self, worker: Worker) -> WorkerLine:
        runs = list(worker.held.values())
        return WorkerLine(
            jid=worker.jid,
            node=str(self._own()),
            here=worker.here and not worker.silent,
            slots=worker.slots,
            tasks=sorted(worker.tasks),
            labels=dict(worker.labels),
            runs=[
                msgspec.convert(held.record, RunLine, from_attributes=True) for held in runs[:_TOLD]
            ],
            running=len(runs),
        )
