"""Outcomes that somebody is still to be told, who takes too little at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from jabot.protocol.frames import Hello
from jabot.queue.store.records import Record
from jabot.xmpp import Link

MOST: Final = 10_000  # jobs that are remembered for one peer
_AT_ONCE: Final = 16  # outcomes that are read for one peer at a time: each may have 16 MiB


@dataclass(slots=True)
class _Debt:
    ids: deque[str] = field(default_factory=deque)
    reading: int = 0
    behind: bool = False  # there were more than are remembered


class Debts:
    """The ids that peers know jobs by; the outcomes stay in the store until they can go out.

    Who is behind by more than `MOST` jobs is told to ask for all that it waits for, when it has
    taken those. `look(job_id, told)` reads a job, `tell(peer, record, as_id)` sends its outcome.
    """

    def __init__(
        self,
        link: Link,
        look: Callable[[str, Callable[[Record | None], None]], None],
        tell: Callable[[str, Record, str], None],
    ) -> None:
        self._link = link
        self._look = look
        self._tell = tell
        self._debts: dict[str, _Debt] = {}

    def __contains__(self, peer: str) -> bool:
        return peer in self._debts

    def owe(self, peer: str, as_id: str) -> None:
        """Tell a peer of a job as soon as it takes more."""
        debt = self._debts.setdefault(peer, _Debt())
        if len(debt.ids) < MOST:
            debt.ids.append(as_id)
        else:
            debt.behind = True

    def forget(self, peer: str) -> None:
        """It is gone, and will ask."""
        self._debts.pop(peer, None)

    def pay(self, peer: str) -> None:
        """It takes more, perhaps."""
        debt = self._debts.get(peer)
        if debt is None or debt.reading or self._link.is_full(peer):
            return
        if not debt.ids:
            del self._debts[peer]
            if debt.behind:
                self._link.push(peer, Hello([]))
            return
        ids = [debt.ids.popleft() for _ in range(min(_AT_ONCE, len(debt.ids)))]
        debt.reading = len(ids)
        for as_id in ids:
            self._look(as_id, partial(self._read, peer, debt, as_id))

    def _read(self, peer: str, debt: _Debt, as_id: str, record: Record | None) -> None:
        if self._debts.get(peer) is not debt:
            return  # it has gone meanwhile
        debt.reading -= 1
        if record is not None and record.state.ended:
            self._tell(peer, record, as_id)
        if not debt.reading:
            self.pay(peer)
