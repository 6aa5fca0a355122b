"""Finding nodes: greeting the addresses that jobs go to, and keeping what comes back.

Nobody has to be in anybody's contact list. A greeting reaches who is online in that moment, so it
is said again: every half minute for those who come later, and soon when nobody is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jabot.alarm import Alarm
from jabot.errors import JabotError, NobodyThere, NotAllowed
from jabot.jid import JID
from jabot.peers import Peer, Peers
from jabot.xmpp import IncomingPresence, Session
from jabot.xmpp.stanzas import hello

log = logging.getLogger(__name__)

SETTLE: Final = 2.0  # seconds in which nodes answer a greeting; after it, nobody is there
_QUIET: Final = 0.3  # seconds without another answer, after which a list counts as complete
_TOGETHER: Final = 0.1  # seconds within which the nodes of a pool answer one after the other
_GREET_FIRST: Final = 0.5  # seconds before the second greeting when nobody answers; then twice that
_GREET_MOST: Final = 30.0
_STALE: Final = 1.0  # seconds after which "nobody is there" has to be asked anew
_FORGET: Final = 300.0  # seconds after which an address that nobody asks for is left alone


@dataclass(slots=True)
class _Place:
    """An address that jobs go to."""

    settles: float  # until then somebody may still answer the first greeting
    asked: float  # when somebody last wanted to know who is there
    greeted: float = 0.0
    next: float = 0.0  # when to greet again
    pause: float = _GREET_FIRST
    news_at: float = 0.0
    problem: JabotError | None = None  # why nobody will ever answer
    refusals: dict[str, JabotError] = field(default_factory=dict)  # by node, to the last greeting
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Directory:
    """Who is online at the addresses that were asked for.

    `on_news(address)` is called when a node comes, changes what it offers or goes, and when it has
    become clear that nobody answers. `is_busy(address)` tells whether jobs are still out there.
    """

    def __init__(
        self,
        session: Session,
        peers: Peers,
        on_news: Callable[[str], None],
        is_busy: Callable[[str], bool],
        greet_most: float = _GREET_MOST,
    ) -> None:
        self._session = session
        self._peers = peers
        self._on_news = on_news
        self._is_busy = is_busy
        self._greet_most = greet_most  # seconds between two greetings where nobody answers
        self._loop = asyncio.get_running_loop()
        self._places: dict[str, _Place] = {}
        self._alarm = Alarm(self._tick)
        self._is_online = True

    def watch(self, address: str) -> None:
        """See to it that who is at an address is known, and stays so."""
        now = self._loop.time()
        place = self._places.get(address)
        if place is None:
            place = self._places[address] = _Place(now + SETTLE, now)
            self._greet(address, place, now)
        elif now >= place.greeted + _STALE and not self._peers.anybody_at(address):
            self._ask_anew(address, place, now)
        place.asked = now

    def look(self, address: str) -> JabotError | None:
        """See to it that who is at an address stays known, for who asks again and again: where
        nobody is, a greeting has its time before the next one. Gives why nobody is there, when that
        is clear."""
        place, why = self._places.get(address), None
        if place is not None and not self._peers.anybody_at(address):
            if self.settles(address) > self._loop.time():
                place.asked = self._loop.time()
                return None
            why = self.nobody(address)
        self.watch(address)
        return why

    def settles(self, address: str) -> float:
        """The moment from which on it is known whether anybody is at a watched address; without a
        connection, that is never."""
        place = self._places[address]
        if place.problem is not None:  # of one node; another may answer in the same moment
            return min(place.settles, place.news_at + _TOGETHER)
        return place.settles if self._is_online else float("inf")

    def complete(self, address: str) -> float:
        """The moment from which on it is likely that all who are at a watched address are known."""
        place = self._places[address]
        return min(place.settles, max(place.settles - SETTLE, place.news_at) + _TOGETHER)

    def refused(self, address: str) -> bool:
        """Whether those who are at a watched address allow us nothing."""
        place = self._places[address]
        return isinstance(place.problem, NotAllowed) and not self._peers.at(address)

    def nobody(self, address: str) -> JabotError:
        """Why there is nobody at a watched address."""
        problem = self._places[address].problem
        return problem or nobody_at(address, self._session.jid.bare)

    async def settled(self, address: str, *, quiet: float = _QUIET) -> list[Peer]:
        """The nodes at an address, when they have had time to answer: until none has come for
        `quiet` seconds."""
        self.watch(address)
        place = self._places[address]
        while (now := self._loop.time()) < self.settles(address):
            until = self.settles(address)
            place.asked = now
            if self._peers.at(address):
                until = min(until, place.news_at + quiet)
                if until <= now:
                    break
            place.news.clear()
            try:
                async with asyncio.timeout_at(until if self._is_online else None):
                    await place.news.wait()
            except TimeoutError:
                continue
        return self._peers.at(address)

    async def survey(self, address: str) -> tuple[list[Peer], dict[str, JabotError]]:
        """The nodes at an address that answer a greeting of this moment, and those that allow us
        nothing, by their addresses."""
        now = self._loop.time()
        self.watch(address)
        place = self._places[address]
        if self._is_online and place.greeted < now:
            self._ask_anew(address, place, now)
        place.news_at = now
        peers = await self.settled(address, quiet=0.0 if "/" in address else _QUIET)
        return peers, dict(place.refusals)

    def online(self) -> None:
        """A new connection: nobody knows us any more, and we know nobody."""
        self._is_online = True
        now = self._loop.time()
        for address, place in self._places.items():
            self._ask_anew(address, place, now)
            place.news.set()

    def offline(self) -> None:
        """The connection is gone, and with it what was known."""
        self._is_online = False
        self._alarm.cancel()
        for address in self._places:
            for peer in self._peers.at(address):
                self._peers.gone(peer.jid)

    def received(self, stanza: IncomingPresence) -> None:
        """Anybody's presence. Only nodes that were asked for are kept."""
        jid = str(stanza.sender)
        if stanza.type == "error":
            self._failed(jid, stanza)
        elif stanza.type == "unavailable":
            self.lost(jid)
        elif stanza.type == "available" and stanza.node is not None:
            asked_for = self._asked_for(jid)
            for address in asked_for:
                self._places[address].refusals.pop(jid, None)
            if asked_for and self._peers.saw(Peer.read(jid, stanza.node, self._peers.get(jid))):
                self._tell(jid)

    def lost(self, jid: str) -> None:
        """A node is gone: its presence went, or nobody has its address any more."""
        if self._peers.gone(jid):
            self._greet_soon(jid)
            self._tell(jid)

    def close(self) -> None:
        """Stop greeting, and let those go who wait for an answer."""
        self._alarm.cancel()
        self._is_online = True
        for place in self._places.values():
            place.settles = 0.0
            place.news.set()

    def _tell(self, jid: str) -> None:
        for address in self._asked_for(jid):
            place = self._places[address]
            place.news_at, place.problem = self._loop.time(), None
            place.news.set()
            self._on_news(address)

    def _asked_for(self, jid: str) -> list[str]:
        """The watched addresses that a node belongs to."""
        return [a for a in dict.fromkeys((jid, jid.partition("/")[0])) if a in self._places]

    def _failed(self, jid: str, stanza: IncomingPresence) -> None:
        """A greeting came to nothing. What a node says itself counts for its account as well, where
        no other node of that answers."""
        own = self._session.jid.bare
        is_refusal = stanza.condition == "forbidden"
        is_said = is_refusal or stanza.condition == "resource-constraint"
        addresses = self._asked_for(jid)
        for address in addresses if is_said else addresses[:1]:
            place = self._places[address]
            if is_refusal and stanza.sender.resource:
                place.refusals[jid] = _not_allowed(jid, own)
                place.news_at = self._loop.time()
            if self._peers.at(address):
                continue
            if is_refusal:
                place.problem = _not_allowed(address, own)
            elif is_said:
                place.problem = NobodyThere(
                    f"{stanza.sender} shows itself to no more programs: too many of them have "
                    f"greeted it, of {own} or of all accounts together; ask again when some have "
                    "left"
                )
            else:
                place.problem = NobodyThere(_unreachable(address, stanza.condition))
            place.news_at = self._loop.time()
            place.news.set()
            self._on_news(address)

    def _greet_soon(self, jid: str) -> None:
        """Somebody left: perhaps to come again, and then it will not know us."""
        now = self._loop.time()
        for address in self._asked_for(jid):
            place = self._places[address]
            place.pause = _GREET_FIRST
            place.next = min(place.next, now + _GREET_FIRST)
            self._alarm.set(place.next)

    def _ask_anew(self, address: str, place: _Place, now: float) -> None:
        place.settles, place.problem, place.pause = now + SETTLE, None, _GREET_FIRST
        self._greet(address, place, now)

    def _greet(self, address: str, place: _Place, now: float) -> None:
        self._session.send(hello(JID(address)))
        place.refusals.clear()
        alone = not self._peers.at(address)
        place.pause = min(2 * place.pause, self._greet_most) if alone else _GREET_MOST
        place.greeted, place.next = now, now + place.pause
        self._alarm.set(place.next)
        if place.settles > now:
            self._alarm.set(place.settles)

    def _tick(self) -> None:
        now = self._loop.time()
        for address, place in list(self._places.items()):
            if place.asked + _FORGET <= now and not self._is_busy(address):
                self._forget(address)
                continue
            if place.next <= now:
                self._greet(address, place, now)
            if place.settles <= now and not self._peers.at(address):
                self._on_news(address)
            self._alarm.set(place.next)
            if place.settles > now:
                self._alarm.set(place.settles)

    def _forget(self, address: str) -> None:
        """Greet nobody there any more. No `unavailable` is sent: nodes that have jobs *for* us
        would take us for gone."""
        log.debug("nobody asks for %s any more", address)
        del self._places[address]
        for peer in self._peers.at(address):
            if not self._asked_for(peer.jid):
                self._peers.gone(peer.jid)


def _unreachable(jid: str, condition: str) -> str:
    """What an error for a greeting means, with the word for it in XMPP behind."""
    domain = JID(jid).domain
    if condition == "remote-server-not-found":
        reason = f"our server finds no server for {domain}"
        if "@" not in jid:
            reason += "; an account is written name@domain"
    else:
        reason = "that is what its server answers"
    return f"{jid} cannot be reached: {reason} ({condition})"


def nobody_at(address: str, own: str) -> NobodyThere:
    """What an account is told of an address where nobody answers."""
    if address == own:
        return NobodyThere(f"no node of {own} is online")
    return NobodyThere(f"nobody at {address} answers: is it online, and does it allow {own}?")


def _not_allowed(jid: str, own: str) -> NotAllowed:
    return NotAllowed(f"{jid} does not allow {own} anything; who runs it can, with allow=")
