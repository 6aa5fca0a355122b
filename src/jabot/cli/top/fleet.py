"""What `jabot top` knows of the nodes: presences and answers in, rows and events out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from jabot.cli.screen import counted
from jabot.cli.top.rows import Row, Sort, Totals, account_of
from jabot.durations import brief
from jabot.peers import Peer
from jabot.queue.answers import Standing
from jabot.status import NodeStatus

_WINDOW: Final = 10.0  # seconds over which a rate is taken
_SPAN: Final = 0.9  # seconds between two counts, at least, that make a rate
_OLD: Final = 15.0  # seconds after which what changes all the time is not shown any more
_SILENT: Final = 5.0  # seconds without an answer after which that is said
_RETURN: Final = 4.0  # seconds that nodes have to show themselves on a new connection
_MOST_EVENTS: Final = 500
_LONGEST_EVENT: Final = 500  # characters


@dataclass(frozen=True)
class Event:
    """Something that happened in the fleet."""

    at: float
    """Seconds since 1970."""
    kind: str
    """`good`, `bad` or `plain`."""
    text: str


@dataclass
class _Known:
    """All that is known of one node."""

    peer: Peer
    here: bool = True
    status: NodeStatus | None = None
    told: float = 0.0  # when its status came
    asked: float | None = None  # since when it has not answered
    counts: deque[tuple[float, int, float]] = field(default_factory=deque)
    stopping: bool = False


class Fleet:
    """The nodes at the addresses that are watched. `clock` gives seconds that only go forward,
    `wall` seconds since 1970."""

    def __init__(
        self, addresses: Sequence[str], clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self.lost_at: float | None = None
        """When the connection was lost, in seconds since 1970; None while there is one."""
        self.ended: str | None = None
        """Why there will be no connection any more."""
        self._clock, self._wall = clock, wall
        self._accounts = {account_of(each) for each in addresses}
        self._known: dict[str, _Known] = {}
        self._queues: dict[str, tuple[Standing, float]] = {}  # by account, and when it was told
        self._farewells: dict[str, str] = {}
        self._quiet_until = clock() + _RETURN  # who is found until then was there before

    # -- what is told ---------------------------------------------------------------------------

    def seen(self, peers: Iterable[Peer]) -> None:
        """Who is online now."""
        there = {peer.jid: peer for peer in peers}
        now = self._clock()
        for jid, peer in there.items():
            known = self._known.get(jid)
            if known is None:
                self._known[jid] = _Known(peer)
                if now >= self._quiet_until:
                    self._note("good", f"{self.name(jid)} has come")
            else:
                known.peer, known.here = peer, True
        for jid in [jid for jid in self._known if jid not in there]:
            self._missed(jid, now)
        self._farewells.clear()

    def said_farewell(self, jid: str, text: str) -> None:
        """Its last presence says why it goes; comes before it is missing from `seen`."""
        self._farewells[jid] = text

    def asked(self, jid: str) -> None:
        """It is asked how it is."""
        if (known := self._known.get(jid)) is not None and known.asked is None:
            known.asked = self._clock()

    def answered(self, jid: str, status: NodeStatus | None) -> None:
        """It has told how it is; None when it would not."""
        known = self._known.get(jid)
        if known is None:
            return
        known.asked = None
        if status is None:
            return
        before, known.status, known.told = known.status, status, self._clock()
        done = (status.succeeded or 0) + (status.failed or 0)
        known.counts.append((known.told, done, status.cpu))
        while known.told - known.counts[0][0] > _WINDOW and len(known.counts) > 2:
            known.counts.popleft()
        if before is not None:
            self._failures(self.name(jid), before, status)
        if status.stopping and not known.stopping:
            self._note("plain", f"{self.name(jid)} is stopping, and takes no more jobs")
        known.stopping = status.stopping

    def stood(self, account: str, standing: Standing) -> None:
        """A queue has told how its jobs stand."""
        before = self._queues.get(account)
        self._queues[account] = (standing, self._clock())
        if before is None:
            return
        for name, line in standing.tasks.items():
            old = before[0].tasks.get(name)
            more = line.states.get("failed", 0) - (old.states.get("failed", 0) if old else 0)
            if more > 0:
                queue = self._queue_name(account)
                self._note("bad", f"{queue}: {counted(more, 'job')} of {name} failed")

    def lost(self, why: str | None = None) -> None:
        """The connection is gone: all is as it was. It comes back, unless it is said why not."""
        if self.lost_at is None:
            self.lost_at = self._wall()
            self._note("bad", "the connection to the server is lost")
        if why is not None and self.ended is None:
            self.ended = why
            self._note("bad", f"there will be no connection any more: {why}")
        for known in self._known.values():
            known.here, known.asked = False, None

    def back(self) -> None:
        """There is a connection again."""
        if self.lost_at is not None:
            away = self._wall() - self.lost_at
            self.lost_at = None
            self._quiet_until = self._clock() + _RETURN
            self._note("good", f"the connection is back, after {brief(away)}")

    # -- what is shown --------------------------------------------------------------------------

    def rows(self, words: str = "", sort: Sort = Sort.NODE, *, reverse: bool = False) -> list[Row]:
        """The nodes that fit all words: a part of their address, of a label (`gpu=a100`) or of the
        name of a task that this account may run there."""
        wanted = words.casefold().split()
        rows = [self._row(known) for known in self._known.values() if _fits(known.peer, wanted)]
        return sort.order(rows, reverse=reverse)

    def row(self, jid: str) -> Row | None:
        """One node; None when it is gone."""
        known = self._known.get(jid)
        return None if known is None else self._row(known)

    def peer(self, jid: str) -> Peer | None:
        """What a node says in its presence."""
        known = self._known.get(jid)
        return None if known is None else known.peer

    def status(self, jid: str) -> NodeStatus | None:
        """What a node has told when it was asked last."""
        known = self._known.get(jid)
        return None if known is None else known.status

    def totals(self) -> Totals:
        return Totals.of([self._row(known) for known in self._known.values()])

    def name(self, jid: str) -> str:
        """A node's address as far as it is needed to tell it from the others."""
        account, _, resource = jid.partition("/")
        if len(self._accounts) == 1:
            return resource or account
        domains = {each.partition("@")[2] for each in self._accounts}
        return f"{account.partition('@')[0]}/{resource}" if len(domains) == 1 else jid

    # -- within ---------------------------------------------------------------------------------

    def _queue_name(self, account: str) -> str:
        return account if len(self._accounts) == 1 else self.name(account).rstrip("/")

    def _missed(self, jid: str, now: float) -> None:
        """It is not among those who are there."""
        known = self._known[jid]
        if self.lost_at is not None or (not known.here and now < self._quiet_until):
            return
        del self._known[jid]
        running = 0 if known.peer.queue else known.peer.running
        jobs = f", with {counted(running, 'job')} that ran" if running else ""
        if not known.here:
            text = f"has not come back{jobs}"
        elif farewell := self._farewells.get(jid):
            text = f"has left: {farewell}{jobs}"
        else:
            text = f"is gone without a farewell{jobs}"
        self._note(
            "bad" if jobs or jid not in self._farewells else "plain", f"{self.name(jid)} {text}"
        )

    def _failures(self, name: str, before: NodeStatus, status: NodeStatus) -> None:
        more = (status.failed or 0) - (before.failed or 0)
        error = status.last_error
        if error is not None and error != before.last_error:
            others = f" (and {more - 1} more)" if more > 1 else ""
            self._note("bad", f"{name}: {error.task} failed: {error.message}{others}")
        elif more > 0:
            self._note("bad", f"{name}: {counted(more, 'job')} failed")

    def _row(self, known: _Known) -> Row:
        peer, status, now = known.peer, known.status, self._clock()
        current = known.here and now - known.told < _OLD
        rate, waiting = (_rate(known) if current else None), peer.waiting
        if peer.queue:
            standing, at = self._queues.get(account_of(peer.jid), (None, 0.0))
            rate = _queue_rate(standing) if known.here and now - at < _OLD else None
            waiting = _depth(standing)
        return Row(
            jid=peer.jid,
            name=self.name(peer.jid),
            queue=peer.queue,
            running=peer.running,
            slots=peer.slots,
            waiting=waiting,
            load=(peer.running + (0 if peer.queue else waiting)) / max(1, peer.slots),
            rate=rate,
            cpu=_cpu(known) if current else None,
            memory=None if status is None else status.memory,
            uptime=None if status is None else status.uptime + now - known.told,
            note=self._note_of(known, now),
            fresh=known.here,
        )

    def _note_of(self, known: _Known, now: float) -> str:
        if not known.here:
            return "" if self.lost_at is not None else "not back yet"
        if known.asked is not None and now - known.asked >= _SILENT:
            return f"silent for {brief(now - known.asked)}"
        return "stopping" if known.stopping else ""

    def _note(self, kind: str, text: str) -> None:
        if len(text) > _LONGEST_EVENT:  # others wrote most of it
            text = f"{text[: _LONGEST_EVENT - 1]}…"
        self.events.append(Event(self._wall(), kind, text))


def _fits(peer: Peer, wanted: Sequence[str]) -> bool:
    labels = [f"{name}={value}" for name, value in peer.labels.items()]
    texts = [text.casefold() for text in (peer.jid, *labels, *(peer.tasks or ()))]
    return all(any(word in text for text in texts) for word in wanted)


def _rate(known: _Known) -> float | None:
    if not known.counts:
        return None
    (first, before, _), (last, after, _) = known.counts[0], known.counts[-1]
    return (after - before) / (last - first) if last - first >= _SPAN else None


def _cpu(known: _Known) -> float | None:
    if len(known.counts) < 2:
        return None
    (first, _, before), (last, _, after) = known.counts[-2], known.counts[-1]
    return max(0.0, after - before) / (last - first) if last - first >= _SPAN else None


def _queue_rate(standing: Standing | None) -> float | None:
    if standing is None:
        return None
    return sum(line.ended_last_minute for line in standing.tasks.values()) / 60


def _depth(standing: Standing | None) -> int:
    if standing is None:
        return 0
    return sum(line.states.get("available", 0) for line in standing.tasks.values())
