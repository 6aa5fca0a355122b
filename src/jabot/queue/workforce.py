"""Who works for the queue, at this node of it and at the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from jabot.jid import JID
from jabot.queue.answers import RunLine, WorkerLine
from jabot.queue.crew import Crew, Held, Worker

_TOLD: Final = 100  # jobs of one worker that are told one by one


class Workforce:
    """The workers of a queue, as they are told of."""

    def __init__(self, crew: Crew, own: Callable[[], JID]) -> None:
        self._crew = crew
        self._own = own

    def here(self) -> list[WorkerLine]:
        """Those that are with this node."""
        return [self._line(worker) for worker in self._crew]

    async def everywhere(self) -> tuple[list[WorkerLine], list[str]]:
        """Those of all nodes, and the nodes that did not tell in time."""
        return self.here(), []

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
            runs=[_run(held) for held in runs[:_TOLD]],
            running=len(runs),
        )


def _run(held: Held) -> RunLine:
    record = held.record
    return RunLine(
        id=record.id,
        task=record.task,
        owner=record.owner,
        attempt=record.attempt,
        started=record.started,
    )
