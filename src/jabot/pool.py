"""The nodes of one account, and which of them answers what is said to all."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jabot.jid import JID

_BACK = 10**15  # ms, some 30,000 years: what a node that steps back adds to its time


@dataclass(frozen=True, order=True)
class Seniority:
    """When a node joined its pool; the address decides between two of the same instant. The nodes
    of a queue go before workers on the same account."""

    works: bool  # it is no node of a queue
    since: int  # milliseconds since 1970
    address: str


class Pool:
    """The nodes of one account, as one of them sees them.

    The server gives a line of chat that is sent to the account's bare address to every node of the
    pool, and it must run once: the *senior* node answers. A newcomer is always the junior, so its
    coming changes nothing for those who have jobs there; when the senior leaves, the next one
    takes over. A node that is stopping steps back behind all others, and goes on answering only
    where it is alone. A node counts once it has told its seniority.

    Where a queue and its workers share the account, it is the queue that people talk to: `is_queue`
    says whether this node is one of it.
    """

    def __init__(self, *, is_queue: bool = False) -> None:
        self._works = not is_queue
        self._others: dict[JID, Seniority] = {}
        self._mine: Seniority | None = None
        self._stepped_back = False
        self.joined = False
        """Whether `answers` means something yet."""

    def join(self, own: JID, now: int) -> int:
        """Take the last place, at `now` (ms) by this machine's clock; gives the time to announce.

        A clock that is behind the others' must not make a newcomer the senior.
        """
        latest = max((other.since % _BACK for other in self._others.values()), default=0)
        since = max(now, latest + 1)
        since_as_shown = since + _BACK if self._stepped_back else since
        self._mine = Seniority(self._works, since_as_shown, str(own))
        return self._mine.since

    def step_back(self) -> int | None:
        """This node is stopping: the others go first. Gives the time to announce, if it joined."""
        self._stepped_back = True
        if self._mine is not None and self._mine.since < _BACK:
            self._mine = replace(self._mine, since=self._mine.since + _BACK)
        return None if self._mine is None else self._mine.since

    def leave(self) -> None:
        """The connection is gone: this node answers nothing more that is said to the pool, and what
        was known of the others is out of date."""
        self._mine = None
        self.joined = False
        self._others.clear()

    def saw(self, other: JID, since: int | None, *, is_queue: bool = False) -> None:
        """Another node's presence; None when it does not take the pool's lines (any more)."""
        if since is None:
            self._others.pop(other, None)
        else:
            self._others[other] = Seniority(not is_queue, since, str(other))

    @property
    def has_place(self) -> bool:
        """Whether this node has told its seniority."""
        return self._mine is not None

    @property
    def took_over(self) -> bool:
        """Whether a worker answered before this node of a queue came."""
        mine = self._mine
        if mine is None or mine.works:
            return False
        return any(other.works and other.since < mine.since for other in self._others.values())

    @property
    def others(self) -> list[JID]:
        """The other nodes that take part, the most senior first."""
        return sorted(self._others, key=lambda jid: self._others[jid])

    def take_part(self) -> None:
        """This node has its place, and the others have had time to tell theirs."""
        self.joined = self._mine is not None

    @property
    def answers(self) -> bool:
        """Whether this node is the one that answers what is said to the pool."""
        mine = self._mine
        return mine is not None and all(mine < other for other in self._others.values())
