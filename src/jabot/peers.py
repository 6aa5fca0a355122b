"""The nodes that a program may give jobs to: what they offer, how busy they are, which is taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, unquote

from jabot.errors import ConfigError
from jabot.protocol.options import NODE_TASKS

Where = Mapping[str, str | Collection[str]]
"""Labels that a node must have: the value, or one of several."""

_LOOK_AT: Final = 8  # nodes that are compared for one job
_MOST_NAMES: Final = 8192  # characters of task names in a presence; with more, none are told
_MOST_LABELS: Final = 32
_LABEL: Final = 64  # characters of a label's name, and of its value


@dataclass(frozen=True, slots=True)
class Peer:
    """What a node tells of itself. Its presence carries it (docs/protocol.md)."""

    jid: str
    tasks: frozenset[str] | None = None
    """The names that this program may run there; None when the node does not say."""
    running: int = 0
    """Jobs that run, of all callers."""
    waiting: int = 0
    """Jobs that wait for a slot."""
    slots: int = 1
    """How many jobs run at once."""
    version: str = ""
    """Changes when the description of any task does."""
    labels: Mapping[str, str] = field(default_factory=dict)
    queue: bool = False
    """Whether it is a node of a queue, which keeps jobs and has others do them."""
    lease: float = 15.0
    """Seconds that a queue lets a silent worker keep its jobs."""

    @property
    def load(self) -> float:
        """How busy it is: 1 when each slot is taken, more when jobs wait."""
        return (self.running + self.waiting) / max(1, self.slots)

    def offers(self, task: str) -> bool:
        """Whether it runs that task, as far as it says."""
        return self.tasks is None or task in self.tasks or task.startswith(NODE_TASKS)

    def fits(self, where: Where) -> bool:
        """Whether it has these labels."""
        for name, wanted in where.items():
            value = self.labels.get(name)
            if value is None or (
                value != wanted if isinstance(wanted, str) else value not in wanted
            ):
                return False
        return True

    def attributes(self) -> dict[str, str]:
        """As a presence carries it."""
        numbers = {"running": self.running, "waiting": self.waiting, "slots": self.slots}
        attributes = {name: str(number) for name, number in numbers.items()}
        if self.version:
            attributes["version"] = self.version
        if self.tasks is not None:
            names = " ".join(sorted(self.tasks))
            if len(names) <= _MOST_NAMES:
                attributes["tasks"] = names
        if self.queue:
            attributes |= {"queue": "1", "lease": f"{self.lease:g}"}
        if self.labels:
            pairs = self.labels.items()
            attributes["labels"] = " ".join(f"{quote(k)}={quote(v)}" for k, v in pairs)
        return attributes

    @classmethod
    def read(cls, jid: str, attributes: Mapping[str, str], before: Peer | None = None) -> Peer:
        """What a presence says; what it leaves out is as `before`. Nonsense counts as left out."""
        old = before or cls(jid)
        tasks, labels = attributes.get("tasks"), attributes.get("labels")
        return cls(
            jid,
            tasks=old.tasks if tasks is None else frozenset(tasks.split()),
            running=_number(attributes.get("running"), old.running),
            waiting=_number(attributes.get("waiting"), old.waiting),
            slots=_number(attributes.get("slots"), old.slots),
            version=attributes.get("version", old.version),
            labels=old.labels if labels is None else _labels(labels),
            queue=attributes.get("queue") == "1" or old.queue,
            lease=_seconds(attributes.get("lease"), old.lease),
        )


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a node. Raises `ConfigError` for what cannot be one."""
    if len(labels) > _MOST_LABELS:
        raise ConfigError(f"{len(labels)} labels; a node has at most {_MOST_LABELS}")
    for name, value in labels.items():
        for text in (name, value):
            if not isinstance(text, str) or not 1 <= len(text) <= _LABEL:
                raise ConfigError(
                    f"label {name!r}: {value!r}: names and values are texts of 1 to {_LABEL} "
                    "characters"
                )
    return dict(labels)


def as_text(where: Where) -> str:
    """Labels that a node must have, for a message."""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else ' or '.join(value)}"
        for name, value in where.items()
    )


class Peers:
    """The nodes that are online, by full address.

    `in_flight(jid)` is how many jobs a node has of us: what it tells of its load is up to a second
    old, and many jobs are given away within that.
    """

    def __init__(self, in_flight: Callable[[str], int]) -> None:
        self._in_flight = in_flight
        self._peers: dict[str, Peer] = {}
        self._others: dict[str, int] = {}  # the jobs of other callers there, when it told its load
        self._accounts: dict[str, dict[str, None]] = {}
        self._choices: dict[object, _Choice] = {}

    def __contains__(self, jid: str) -> bool:
        return jid in self._peers

    def get(self, jid: str) -> Peer | None:
        """The node of that full address, if it is online."""
        return self._peers.get(jid)

    def at(self, address: str) -> list[Peer]:
        """The nodes at a bare address, or the one of a full address."""
        if "/" in address:
            return [self._peers[address]] if address in self._peers else []
        return [self._peers[jid] for jid in self._accounts.get(address, ())]

    def anybody_at(self, address: str) -> bool:
        """Whether `at()` has somebody."""
        return address in self._accounts or address in self._peers

    def saw(self, peer: Peer) -> bool:
        """A node shows itself; True when it is new, or offers something else than before."""
        before = self._peers.get(peer.jid)
        self._peers[peer.jid] = peer
        mine = self._in_flight(peer.jid)
        self._others[peer.jid] = max(0, peer.running + peer.waiting - mine)
        if before is not None and replace(before, running=0, waiting=0) == replace(
            peer, running=0, waiting=0
        ):
            return False
        self._accounts.setdefault(_account(peer.jid), {})[peer.jid] = None
        self._choices.clear()
        return True

    def gone(self, jid: str) -> bool:
        """A node is gone; False when it was not known."""
        if self._peers.pop(jid, None) is None:
            return False
        del self._others[jid]
        account = self._accounts[_account(jid)]
        del account[jid]
        if not account:
            del self._accounts[_account(jid)]
        self._choices.clear()
        return True

    def choose(
        self,
        address: str,
        task: str,
        where: Where,
        avoid: Collection[str] = (),
        *,
        offering: bool = True,
        queue: bool = False,
    ) -> Peer | None:
        """The least loaded node at an address that has the labels and, with `offering`, may have
        the task; of a queue, where there is one, and with `queue` of nothing else."""
        key = (address, task if offering else None, _frozen(where) if where else None, queue)
        choice = self._choices.get(key)
        if choice is None:
            there = self.at(address)
            # A queue has no labels of its own: it looks for a worker that has them. Its workers may
            # have its account; what is for the queue is not to go past it.
            fitting = [peer for peer in there if peer.queue]
            if not fitting and not queue:
                fitting = [peer for peer in there if peer.fits(where)]
            choice = self._choices[key] = _Choice(
                [peer.jid for peer in fitting if not offering or peer.offers(task)]
            )
        jid = choice.least(self._load, avoid)
        return None if jid is None else self._peers[jid]

    def is_free(self, jid: str) -> bool:
        """Whether a node that is online has a slot for another job; a queue always takes one."""
        return self._peers[jid].queue or self._load(jid) < 1

    def _load(self, jid: str) -> float:
        return (self._others[jid] + self._in_flight(jid)) / max(1, self._peers[jid].slots)


class _Choice:
    """The nodes that will do for one kind of job.

    Each time the next few are compared, and not all: with hundreds of nodes that would cost more
    than the job, and the work is spread as evenly.
    """

    def __init__(self, jids: list[str]) -> None:
        self._jids = jids
        self._next = 0

    def least(self, load: Callable[[str], float], avoid: Collection[str]) -> str | None:
        jids = self._jids
        if avoid:
            jids = [jid for jid in jids if jid not in avoid]
        if len(jids) == 1:
            return jids[0]
        if len(jids) > _LOOK_AT:
            self._next = (self._next + _LOOK_AT) % len(jids)
            begin = self._next
            end = begin + _LOOK_AT
            jids = jids[begin:end] + jids[: max(0, end - len(jids))]
        elif len(jids) > 1:
            self._next = (self._next + 1) % len(jids)  # equals take turns
            jids = jids[self._next :] + jids[: self._next]
        return min(jids, key=load, default=None)


def _account(jid: str) -> str:
    return jid.partition("/")[0]


def _frozen(where: Where) -> object:
    return frozenset(
        (name, value if isinstance(value, str) else frozenset(value))
        for name, value in where.items()
    )


def _number(text: str | None, otherwise: int) -> int:
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 9:
        return otherwise
    return int(text)


def _seconds(text: str | None, otherwise: float) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        return otherwise
    return seconds if 0 < seconds < float("inf") else otherwise


def _labels(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split()[:_MOST_LABELS])
    return {unquote(name): unquote(value) for name, _, value in pairs}
