"""The nodes as `jabot top` shows them: in rows, in an order, and in total."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A node, as it is shown. What is not known is None."""

    jid: str
    name: str
    queue: bool
    running: int
    slots: int
    waiting: int
    load: float
    rate: float | None
    """Jobs that ended in a second."""
    cpu: float | None
    """Share of one core."""
    memory: int | None
    uptime: float | None
    note: str
    """What is out of the ordinary."""
    fresh: bool
    """False: so it was before the connection was lost."""


class Sort(enum.Enum):
    """What rows are sorted by."""

    NODE = "node"
    LOAD = "load"
    RATE = "jobs/s"
    CPU = "cpu"
    MEMORY = "mem"

    def order(self, rows: Iterable[Row], *, reverse: bool) -> list[Row]:
        """Rows by this: numbers from the largest down, and what is not known last."""
        ordered = sorted(rows, key=lambda row: row.jid)
        if self is not Sort.NODE:
            ordered.sort(key=self._number, reverse=True)
        return ordered[::-1] if reverse else ordered

    def _number(self, row: Row) -> float:
        value = {
            Sort.LOAD: row.load,
            Sort.RATE: row.rate,
            Sort.CPU: row.cpu,
            Sort.MEMORY: row.memory,
        }[self]
        return -1.0 if value is None else float(value)


@dataclass(frozen=True)
class Totals:
    """The fleet in one line."""

    nodes: int
    running: int
    slots: int
    waiting: int
    rate: float | None
    whole: bool
    """Whether the rate is that of all nodes; else of those that are in view."""

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Totals:
        """Of a queue and its workers in one view, jobs are counted at the workers."""
        queues = {account_of(row.jid): row for row in rows if row.queue}
        workers = [row for row in rows if not row.queue]
        counted = workers or rows
        rated = workers or list(queues.values())
        rates = [row.rate for row in rated if row.rate is not None]
        return cls(
            nodes=len(rows),
            running=sum(row.running for row in counted),
            slots=sum(row.slots for row in counted),
            waiting=sum(row.waiting for row in [*workers, *queues.values()]),
            rate=sum(rates) if rates else None,
            whole=len(rates) == len(rated),
        )


def account_of(jid: str) -> str:
    return jid.partition("/")[0]
