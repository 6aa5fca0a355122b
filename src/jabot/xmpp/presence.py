"""How a node shows itself: free, busy, gone; to contacts, to its pool, and to who greets it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from jabot.errors import ConnectionFailed
from jabot.jid import JID
from jabot.peers import Peer
from jabot.pool import Pool
from jabot.xmpp.frames import LATER
from jabot.xmpp.session import Session
from jabot.xmpp.stanzas import IncomingPresence, presence, presence_refused
from jabot.xmpp.watchers import Watchers

log = logging.getLogger(__name__)

_PACE = 1.0  # seconds between two changes of presence
# What everybody sees goes to each other node of the pool, and the server looks for each of them
# among all: the load of 200 nodes, told each second, kept an ejabberd busy with nothing else. So
# from so many nodes on it is told more rarely, by the square of their number. Who chooses among
# nodes by their load is a watcher, and is told as ever.
_FEW = 10
_SLOWEST = 300.0
_SETTLE = 0.25  # seconds that the others' presence has to arrive before we count as one of the pool
SINCE = "since"  # the attribute of <node/> that tells the seniority in the pool


@dataclass(slots=True)
class _Onlookers:
    """Those who are shown the same at the same time."""

    sent: tuple[object, ...] = ()  # what was shown last
    at: float = float("-inf")
    paced: asyncio.TimerHandle | None = None  # for what is to be shown later

    def unpace(self) -> None:
        if self.paced is not None:
            self.paced.cancel()
            self.paced = None


class Welcome(Enum):
    """What who greets the node gets for an answer."""

    SHOW = auto()  # its presence, and each change of it from then on
    REFUSE = auto()  # a program: the error that it may not; a person: nothing
    SILENCE = auto()  # nothing, as if nobody were there


class Presence:
    """The presence of one node.

    Nothing is sent before `announce()`. It goes out in two steps: first without a place in the pool
    until the others are known, then with one, and `on_joined` is called. `welcome(jid)` is for who
    sends presence to this node directly: a program, or a person who does not keep it as a contact.
    They are shown it until they leave; a program that is one too many is told so.

    `offer(jid)` is what the node tells of itself to somebody; to None, who is everybody that sees
    its presence, it tells no names of tasks.
    """

    def __init__(
        self,
        session: Session,
        pool: Pool,
        welcome: Callable[[JID], Welcome],
        offer: Callable[[JID | None], Peer],
        on_joined: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._pool = pool
        self._welcome = welcome
        self._offer = offer
        self._on_joined = on_joined
        self._show: str | None = None
        self._status: str | None = None
        self._since: int | None = None
        self._announced = False
        self._joined = False  # from the moment when lines to the pool reach us
        self._echo = asyncio.Event()
        self._watchers = Watchers()
        self._everybody, self._watching = _Onlookers(), _Onlookers()

    async def announce(self) -> None:
        """Become visible, learn who else is in the pool, and join it."""
        self._echo.clear()
        self._announced = True
        self._send()
        try:
            # A server sends our presence back to us, and before that the one of the others.
            async with asyncio.timeout(5.0):
                await self._echo.wait()
            await self._session.ping(5.0)
        except TimeoutError:
            log.warning("the server is slow to show us our own presence; going on without it")
        except ConnectionFailed:
            return  # the next connection begins anew
        await asyncio.sleep(_SETTLE)
        self._since = self._pool.join(self._session.jid, time.time_ns() // 1_000_000)
        self._joined = True
        self._send()
        try:
            await self._session.ping(5.0)  # others who join in this moment learn of us, we of them
        except TimeoutError:
            log.warning("the server is slow; joining the pool without knowing who joins with us")
        except ConnectionFailed:
            return
        await asyncio.sleep(_SETTLE / 2)
        self._pool.take_part()
        self._on_joined()
        others = len(self._pool.others)
        remark = f"; others on this account: {others}" if others else ""
        log.info("%s is ready%s", self._session.jid, remark)

    def set(self, show: str | None, status: str | None) -> None:
        """Change what is shown: at once, but not twice within a second; the last one counts.

        In a large pool, everybody but the watchers sees it later (`_FEW`)."""
        self._show, self._status = show, status
        if self._announced:
            self._show_soon(self._everybody, self._pace)
            self._show_soon(self._watching, _PACE)

    def step_back(self) -> None:
        """Let the others of the pool answer what is said to all."""
        self._since = self._pool.step_back()
        if self._joined:
            self._send()

    def farewell(self, status: str) -> None:
        """Say away, and go. Everybody who saw us hears it, the watchers included."""
        if self._announced:
            self._show, self._status = "away", status
            self._send()
            self._session.send(presence(type="unavailable", status=status))
        self.lost()

    def lost(self) -> None:
        """The connection is gone; `announce()` must come again."""
        self._announced = self._joined = False
        self._since = None
        self._pool.leave()
        self._watchers.clear()
        self._unpace()

    def received(self, stanza: IncomingPresence) -> None:
        """Somebody's presence: our own, the pool's, or a greeting."""
        sender, own = stanza.sender, self._session.jid
        if stanza.hello:  # of a program, perhaps of our own pool, or of this very one
            self._greeted(stanza)
        elif sender == own:
            self._own(stanza)
        elif sender.bare == own.bare:
            node = stanza.node or {}
            since = node.get(SINCE, "")
            takes_part = stanza.type == "available" and since.isdecimal()
            is_queue = node.get("queue") == "1"
            self._pool.saw(sender, int(since) if takes_part else None, is_queue=is_queue)
        elif stanza.type == "available" and sender.resource:
            self._greeted(stanza)
        if stanza.type in ("unavailable", "error"):
            self._watchers.discard(sender)

    def _own(self, stanza: IncomingPresence) -> None:
        if stanza.type == "available":
            self._echo.set()
        elif stanza.type == "unavailable" and self._announced:
            # The late farewell of our previous connection has hidden the new one.
            log.info("the server took us for gone; announcing again")
            self._send()

    def _greeted(self, stanza: IncomingPresence) -> None:
        sender = stanza.sender
        if stanza.type != "available" or not self._announced:
            return
        welcome = self._welcome(sender)
        if welcome is not Welcome.SHOW:
            if welcome is Welcome.REFUSE and stanza.hello:
                self._session.send(presence_refused(sender, "forbidden"))
            return
        if sender in self._watchers and not stanza.hello:
            return
        if self._watchers.add(sender):
            self._send_to(sender)
        elif stanza.hello:
            self._session.send(presence_refused(sender, LATER))

    @property
    def _shown(self) -> tuple[object, ...]:
        return (self._show, self._status, self._offer(None))

    @property
    def _pace(self) -> float:
        """Seconds between two changes that everybody sees."""
        return min(_SLOWEST, _PACE * max(1.0, len(self._pool.others) / _FEW) ** 2)

    def _show_soon(self, onlookers: _Onlookers, pace: float) -> None:
        if onlookers.paced is not None or onlookers.sent == self._shown:
            return
        loop = asyncio.get_running_loop()
        wait = onlookers.at + pace - loop.time()
        if wait <= 0:
            self._show_now(onlookers)
        else:
            onlookers.paced = loop.call_later(wait, self._show_now, onlookers)

    def _show_now(self, onlookers: _Onlookers) -> None:
        onlookers.unpace()
        onlookers.at = asyncio.get_running_loop().time()
        onlookers.sent = self._shown
        for to in self._watchers if onlookers is self._watching else (None,):
            self._send_to(to)

    def _send(self) -> None:
        self._show_now(self._everybody)
        self._show_now(self._watching)

    def _unpace(self) -> None:
        self._everybody.unpace()
        self._watching.unpace()

    def _send_to(self, to: JID | None) -> None:
        node = self._offer(to).attributes()
        if self._since is not None:
            node[SINCE] = str(self._since)
        stanza = presence(
            to=to,
            show=self._show,
            status=self._status,
            # From the first one on: servers hand over what waited for the account (texts,
            # subscription requests) only then, and only to who may have it.
            priority=0,
            node=node,
        )
        stanza.append(self._session.disco.capabilities())
        self._session.send(stanza)
