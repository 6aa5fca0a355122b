"""A session's stay in one room: in, out, and what keeps it from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from jabot.alarm import Alarm
from jabot.errors import ConnectionFailed, StanzaError
from jabot.jid import JID
from jabot.xmpp import room_stanzas as stanzas
from jabot.xmpp.backoff import Backoff
from jabot.xmpp.disco import information
from jabot.xmpp.room import Occupant, Room, RoomListener
from jabot.xmpp.room_stanzas import RoomNews
from jabot.xmpp.session import Session
from jabot.xmpp.stanzas import IncomingPresence

log = logging.getLogger(__name__)

_ANSWER: Final = 15.0  # seconds that a room may take to let us in
_BACKOFF: Final = Backoff(first=1.0, most=60.0)
# Where somebody has to do something first, asking often is of no use.
_SLOWLY: Final = Backoff(first=60.0, most=600.0)
_STEADY: Final = 60.0  # seconds in a room after which it is entered again soon
_NICKS: Final = 100  # that are tried before the room counts as full of them
_TOO_LONG: Final = 4  # looks at a room that hides addresses, after which it is not being set up

_FULL: Final = "it is full, or {domain} takes no more rooms"

_Refusal = tuple[str, Backoff]
# What the conditions of an error mean (section 7.2), and how soon to try again.
_REFUSALS: Final[dict[str, _Refusal]] = {
    "registration-required": ("it is for members only; let an owner make {own} one", _SLOWLY),
    "forbidden": ("{own} is banned from it", _SLOWLY),
    "not-allowed": ("{own} may not create it; let somebody create it who may", _SLOWLY),
    "not-authorized": ("it wants a password, and rooms with one are not supported", _SLOWLY),
    # XEP-0045 has the first one for a room that is full; ejabberd says the second one.
    "service-unavailable": (_FULL, _BACKOFF),
    "resource-constraint": (_FULL, _BACKOFF),
    "item-not-found": ("its owner is still setting it up", _BACKOFF),
    "remote-server-not-found": ("there is no service at {domain}: has the server rooms?", _SLOWLY),
    "remote-server-timeout": ("{domain} does not answer", _BACKOFF),
}
_BARRED: Final = frozenset({"registration-required", "forbidden", "not-allowed", "not-authorized"})


class Stay:
    """One room, and we in it or on our way."""

    def __init__(
        self,
        room: Room,
        session: Session,
        listeners: Sequence[RoomListener],
        mark: Mapping[str, str] | None,
    ) -> None:
        self.room = room
        self.jid = JID(room.address)
        self.state: Literal["out", "entering", "inside"] = "out"
        self.there: dict[str, Occupant] = {}
        self.problem = ""
        self.is_barred = False  # somebody has to let us in first
        self._session = session
        self._listeners = listeners
        self._mark = mark
        self._wish = room.nick or _default_nick(session.jid)
        self.nick = self._wish
        self._unfinished = False  # we have made the room, and not set it up
        self._tries = 1  # of nicks
        self._failures = 0
        self._looks = 0  # since we came in
        self._entered = 0.0  # when we came in
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._rings)
        self._asking: asyncio.Task[None] | None = None

    # -- in and out ---------------------------------------------------------------------------

    def enter(self) -> None:
        """Ask to be let in."""
        self.state = "entering"
        self.there.clear()
        self._session.send(stanzas.enter(self.jid, self.nick, self._mark))
        self._ring_in(_ANSWER)

    def leave(self, status: str | None = None) -> None:
        """Go, for good, with a last word or without."""
        if self.state != "out":
            self._session.send(stanzas.leave(self.jid, self.nick, status))
        self.lost("left")

    def lost(self, why: str) -> None:
        """We are not in it any more."""
        self.close()
        was_inside, self.state = self.state == "inside", "out"
        self.there.clear()
        self.nick, self._tries = self._wish, 1
        if was_inside:
            for listener in self._listeners:
                listener.out(self.jid, why)

    def close(self) -> None:
        """Stop what is still to come."""
        self._alarm.cancel()
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    # -- what the room says -------------------------------------------------------------------

    def received(self, stanza: IncomingPresence) -> None:
        """A presence from the room or from one of its occupants."""
        if stanza.type == "error":
            self._refused(stanza.condition)
        elif stanza.room is None or not stanza.sender.resource:
            log.debug("%s says what no room does", stanza.sender)
        elif stanza.type == "available":
            self._is_there(stanza, stanzas.read_news(stanza.room))
        elif stanza.type == "unavailable":
            self._is_gone(stanza.sender.resource, stanzas.read_news(stanza.room))

    def _is_there(self, stanza: IncomingPresence, news: RoomNews) -> None:
        nick = stanza.sender.resource
        if nick == self.nick and news.jid not in (None, self._session.jid):
            self._is_shared(nick)
            return
        mark = stanza.node
        is_queue = mark is not None and mark.get("queue") == "1"
        occupant = Occupant(nick, news.jid, mark is not None, is_queue)
        is_new = self.there.get(nick) != occupant
        self.there[nick] = occupant
        if occupant.jid is None and self.state == "inside":
            self._look_later()
        if stanzas.SELF in news.codes and self.state != "inside":  # perhaps later than we waited
            self.nick = nick  # the room may have chosen another
            self._is_let_in(news)
        elif is_new and self.state == "inside":
            for listener in self._listeners:
                listener.came(self.jid, occupant)

    def _is_let_in(self, news: RoomNews) -> None:
        self._unfinished = self._unfinished or stanzas.NEW_ROOM in news.codes
        if self._is_asking:
            return
        self._alarm.cancel()
        if self._unfinished and news.affiliation == "owner":
            self._asking = asyncio.ensure_future(self._set_up())
        else:
            self._is_inside()

    def _is_gone(self, nick: str, news: RoomNews) -> None:
        if stanzas.RENAMED in news.codes and news.nick:
            self._is_renamed(nick, news.nick)
            return
        if nick == self.nick and self.state != "inside":
            return  # we had left before we asked to be let in
        if nick == self.nick:
            if stanzas.SELF in news.codes or news.jid in (None, self._session.jid):
                self._put_out(news)  # not only another program of our account that had our name
            return
        occupant = self.there.pop(nick, None)
        if occupant is not None and self.state == "inside":
            for listener in self._listeners:
                listener.went(self.jid, occupant, _why(news))

    def _is_renamed(self, nick: str, new: str) -> None:
        occupant = self.there.pop(nick, None)
        if nick == self.nick:
            self.nick = new
        if occupant is not None and self.state == "inside":
            for listener in self._listeners:
                listener.went(self.jid, occupant, f"is {new} now")

    def _is_shared(self, nick: str) -> None:
        """Another program of our account came in under our name: for servers, one occupant then.
        It cannot see that, and we can: we take a name that nobody else has."""
        self._session.send(stanzas.leave(self.jid, nick))
        self.lost("another program of the account has its name")
        self.nick = f"{self._wish}-{_token(self._session.jid)}"
        self.enter()

    def _is_inside(self) -> None:
        self.state, self.problem, self.is_barred = "inside", "", False
        self._entered = self._loop.time()
        self._looks = 0
        if any(occupant.jid is None for occupant in self.there.values()):
            self._look_later()
        log.info("in the room %s as %s, others in it: %d", self.jid, self.nick, len(self.there) - 1)
        for listener in self._listeners:
            listener.entered(self.jid)

    def _look_later(self) -> None:
        """Who enters while a room is being set up may see no addresses, and some servers (ejabberd)
        do not tell them later: see whether it has been."""
        if not self._alarm.is_set and not self._is_asking:
            self._looks += 1
            self._ring_in(_BACKOFF.delay(self._looks))

    async def _look(self) -> None:
        """A room tells who enters once more all that it tells who enters (section 7.2.1)."""
        try:
            answer = await self._session.requests.ask("get", self.jid, information())
            shows_addresses = stanzas.shows_addresses(answer)
        except (StanzaError, TimeoutError, ConnectionFailed) as problem:
            log.debug("%s does not say what it is: %s", self.jid, problem)
            shows_addresses = False
        self._asking = None
        if shows_addresses:
            self._session.send(stanzas.enter(self.jid, self.nick, self._mark))
            return
        if self._looks == _TOO_LONG:
            remedy = "let its owner show the real addresses to everybody"
            log.warning("the room %s hides who is in it; %s", self.jid, remedy)
        self._look_later()

    @property
    def _is_asking(self) -> bool:
        return self._asking is not None and not self._asking.done()

    # -- what can go wrong --------------------------------------------------------------------

    def _refused(self, condition: str) -> None:
        if self.state != "entering":
            return
        if condition == "conflict" and self._tries < _NICKS:
            self._tries += 1
            self.nick = f"{self._wish}-{self._tries}"
            self.enter()
            return
        text, backoff = _REFUSALS.get(condition, (condition.replace("-", " "), _BACKOFF))
        own = self._session.jid
        self.is_barred = condition in _BARRED
        self._fail(text.format(own=own.bare, domain=self.jid.domain), backoff)

    def _put_out(self, news: RoomNews) -> None:
        why = _why(news)
        if self._loop.time() - self._entered >= _STEADY:
            self._failures = 0
        self.lost(why)
        self.is_barred = bool(news.codes & {stanzas.BANNED, *stanzas.NOT_AFFILIATED})
        self._fail(why, _SLOWLY if stanzas.BANNED in news.codes else _BACKOFF)

    def _fail(self, problem: str, backoff: Backoff) -> None:
        self.state = "out"
        self._failures += 1
        if problem != self.problem:
            log.warning("not in the room %s: %s; I keep trying", self.jid, problem)
        self.problem = problem
        for listener in self._listeners:
            listener.kept_out(self.jid, problem)
        self._ring_in(backoff.delay(self._failures))

    def _rings(self) -> None:
        if self.state == "entering":
            self._fail("it does not answer", _BACKOFF)
        elif self.state == "inside":
            self._asking = asyncio.ensure_future(self._look())
        elif self._session.is_online:
            self.enter()

    def _ring_in(self, seconds: float) -> None:
        self._alarm.cancel()
        self._alarm.set(self._loop.time() + seconds)

    # -- a new room ---------------------------------------------------------------------------

    async def _set_up(self) -> None:
        """Nobody else is let in before that. Only fields that the room has are filled in."""
        wanted = {
            "muc#roomconfig_whois": "anyone",
            "muc#roomconfig_persistentroom": "1",
            "muc#roomconfig_membersonly": "1" if self.room.members else "0",
        }
        ask = self._session.requests.ask
        try:
            offered = stanzas.offered_fields(
                await ask("get", self.jid, stanzas.configuration_wanted())
            )
            fields = {name: value for name, value in wanted.items() if name in offered}
            fields |= stanzas.most_occupants(offered)
            await ask("set", self.jid, stanzas.configuration(fields))
            if self.room.members:
                await ask("set", self.jid, stanzas.admit(self.room.members))
        except (StanzaError, TimeoutError) as error:
            self._fail(f"it cannot be set up: {error or 'no answer'}", _BACKOFF)
        except ConnectionFailed:
            log.debug("%s: the connection went while it was set up", self.jid)
        else:
            self._unfinished = False
            log.info("created the room %s", self.jid)
            self._is_inside()


def _why(news: RoomNews) -> str:
    """Why somebody is not in a room any more."""
    reason = f" ({news.reason})" if news.reason else ""
    if news.destroyed:
        return f"the room was destroyed{reason}"
    if stanzas.BANNED in news.codes:
        return f"banned{reason}"
    if stanzas.KICKED in news.codes:
        return f"kicked{reason}"
    if news.codes & stanzas.NOT_AFFILIATED:
        return f"the room is for members only{reason}"
    if stanzas.SHUT_DOWN in news.codes:
        return f"the room's server shuts down{reason}"
    return f"left{reason}"


def _default_nick(own: JID) -> str:
    """`bot-c36d`: the account's name, and what tells its programs apart."""
    return f"{own.node}-{_token(own)}"


def _token(own: JID) -> str:
    return own.resource.rpartition("-")[2]
