"""Who is meant by the address of a broadcast, and who of them leaves meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from jabot.account import parse_jid
from jabot.calls.calls import Calls
from jabot.errors import (
    ConfigError,
    ConnectionFailed,
    JabotError,
    JobTimeout,
    NobodyThere,
    NotAllowed,
    StanzaError,
)
from jabot.jid import JID
from jabot.peers import Peer, Where, as_text
from jabot.protocol.options import RESERVED
from jabot.xmpp import Session
from jabot.xmpp.disco import information, read_identities
from jabot.xmpp.room import Occupant, Room, RoomListener
from jabot.xmpp.rooms import Rooms
from jabot.xmpp.roster import contacts

log = logging.getLogger(__name__)

EVERYBODY: Final = "*"
"""The address that stands for all contacts of the own account."""

_FIND: Final = 15.0  # seconds in which it is found out who is there
_AGAIN: Final = 0.1  # seconds before that begins anew when the connection went
_ABSENCE: Final = 0.5  # seconds after which who has left a room is not just coming back


@dataclass(frozen=True, slots=True)
class Member:
    """A node that a broadcast is for."""

    jid: str
    name: str
    refusal: JabotError | None = None
    """What it has said already, where it allows us nothing."""
    is_queue: bool = False


Left = Callable[[str], None]
"""Is told the full address of a member that has left the room."""


class Audience(RoomListener):
    """Finds the members of rooms, pools and contact lists. It listens to `rooms`."""

    def __init__(self, session: Session, rooms: Rooms, calls: Calls) -> None:
        self._session = session
        self._rooms = rooms
        self._calls = calls
        self._loop = asyncio.get_running_loop()
        self._conferences: dict[str, bool] = {}  # by domain
        self._visits: Counter[str] = Counter()  # rooms that are entered for broadcasts alone
        self._followed: dict[str, list[Left]] = {}  # by room
        self._news = asyncio.Event()
        rooms.listeners.append(self)

    async def find(
        self, address: str, task: str, where: Where, stack: ExitStack, left: Left
    ) -> list[Member]:
        """The nodes at an address that are to do a task, and have the labels or do not say what
        they have. A queue among others is to do only what it does itself: its workers are there.

        What has to be undone afterwards is put on `stack`; until then `left` is told who leaves.
        Raises `NobodyThere`, and `NotAllowed` for a room that does not let us in.
        """
        try:
            async with asyncio.timeout(_FIND):
                while True:
                    await self._calls.ready()
                    try:
                        return await self._find(address, task, where, stack, left)
                    except ConnectionFailed:
                        await asyncio.sleep(_AGAIN)  # it is made anew, or was closed for good
        except TimeoutError:
            raise JobTimeout(
                f"who is at {address} could not be found out within {_FIND:g} s; nothing ran"
            ) from None

    async def _find(
        self, address: str, task: str, where: Where, stack: ExitStack, left: Left
    ) -> list[Member]:
        if address == EVERYBODY:
            found = _without_queues(await self._contacts(), task, "among the contacts")
        elif await self._is_room(parse_jid(address)):
            here = await self._in_room(address, stack, left)
            found = _without_queues(here, task, f"in the room {address}")
            if where:  # a room does not tell them
                await self._get_to_know(found)
        else:
            found = await self._at(address)
        fitting = [member for member in found if self._fits(member, where)]
        if not fitting:
            count = f"{len(found)} nodes" if len(found) > 1 else "1 node"
            raise NobodyThere(f"{count} at {address}, and none of them has {as_text(where)}")
        return fitting

    # -- rooms --------------------------------------------------------------------------------

    async def _is_room(self, address: JID) -> bool:
        """By what its domain says that it is (XEP-0030), which is asked once."""
        if address.bare in self._rooms:
            is_room = True
        elif address.domain in self._conferences:
            is_room = self._conferences[address.domain]
        else:
            is_room = await self._ask_domain(address.domain)
        if is_room and (address.resource or not address.node):
            raise ConfigError(
                f"{address} is no room, but in the domain of rooms; give the address of the room, "
                "or of the node itself"
            )
        return is_room

    async def _ask_domain(self, domain: str) -> bool:
        try:
            answer = await self._session.requests.ask("get", JID(domain), information())
        except (StanzaError, TimeoutError) as problem:
            log.debug("%s does not say what it is: %s", domain, problem)
            return False
        categories = {category for category, _ in read_identities(answer)}
        self._conferences[domain] = "conference" in categories
        return self._conferences[domain]

    async def _in_room(self, address: str, stack: ExitStack, left: Left) -> list[Member]:
        if address not in self._rooms:
            await self._check_exists(address)
        self._visit(address, stack)
        await self._until_inside(address)
        self._follow(address, stack, left)
        found = {}
        for occupant in self._rooms.occupants(address):
            if occupant.is_node and occupant.jid is None:
                raise NotAllowed(
                    f"the room {address} hides who is in it; let its owner show the real addresses "
                    "to everybody"
                )
            if occupant.is_node:
                jid = str(occupant.jid)
                found[jid] = Member(jid, occupant.nick, is_queue=occupant.is_queue)
        if not found:
            raise NobodyThere(f"no node is in the room {address}")
        return list(found.values())

    async def _check_exists(self, address: str) -> None:
        """Who enters a room that is not there makes one."""
        try:
            await self._session.requests.ask("get", JID(address), information())
        except StanzaError as error:
            if error.condition == "item-not-found":
                raise NobodyThere(f"there is no room {address}") from None
            log.debug("%s does not say what it is: %s", address, error)

    def _visit(self, address: str, stack: ExitStack) -> None:
        """Be in a room until the end, unless the program is there anyway."""
        if address in self._rooms and address not in self._visits:
            return
        self._visits[address] += 1
        stack.callback(self._end_visit, address)
        self._rooms.enter(Room(address))

    def _end_visit(self, address: str) -> None:
        self._visits[address] -= 1
        if not self._visits[address]:
            del self._visits[address]
            self._rooms.leave(address)

    async def _until_inside(self, address: str) -> None:
        while not self._rooms.is_inside(address):
            if problem := self._rooms.problem(address):
                kind = NotAllowed if self._rooms.is_barred(address) else NobodyThere
                raise kind(f"not in the room {address}: {problem}")
            self._news.clear()
            await self._news.wait()

    def _follow(self, address: str, stack: ExitStack, left: Left) -> None:
        self._followed.setdefault(address, []).append(left)
        stack.callback(self._unfollow, address, left)

    def _unfollow(self, address: str, left: Left) -> None:
        self._followed[address].remove(left)
        if not self._followed[address]:
            del self._followed[address]

    def _look_again(self, room: str, jid: str) -> None:
        """Whoever answered our greeting is missed by that; the others only by the room."""
        back = any(str(each.jid) == jid for each in self._rooms.occupants(room))
        if back or jid in self._calls.peers or not self._rooms.is_inside(room):
            return
        for left in list(self._followed.get(room, ())):
            left(jid)

    # -- what rooms tell: see `RoomListener` --------------------------------------------------

    def entered(self, room: JID) -> None:
        self._news.set()

    def kept_out(self, room: JID, why: str) -> None:
        self._news.set()

    def went(self, room: JID, occupant: Occupant, why: str) -> None:
        if room.bare in self._followed and occupant.jid is not None:
            self._loop.call_later(_ABSENCE, self._look_again, room.bare, str(occupant.jid))

    # -- pools and contacts -------------------------------------------------------------------

    async def _at(self, address: str) -> list[Member]:
        """The nodes of an account, or the one of a full address."""
        peers, refusals = await self._calls.directory.survey(address)
        await self._calls.ready()
        if not peers and not refusals:
            raise self._calls.directory.nobody(address)
        return _members(peers, refusals)

    async def _contacts(self) -> list[Member]:
        listed = await contacts(self._session.requests)
        related = [each for each in listed if each.sees_you or each.you_see]
        addresses = dict.fromkeys(each.jid.bare for each in related if each.is_account)
        own = self._session.jid.bare
        if not addresses:
            raise NobodyThere(f"{own} has no contacts")
        survey = self._calls.directory.survey
        found = await asyncio.gather(*(survey(address) for address in addresses))
        await self._calls.ready()
        members = [member for here in found for member in _members(*here)]
        if not members:
            raise NobodyThere(f"no node of a contact of {own} answers: are they online?")
        return members

    # -- labels -------------------------------------------------------------------------------

    async def _get_to_know(self, members: Iterable[Member]) -> None:
        settled = self._calls.directory.settled
        await asyncio.gather(*(settled(member.jid, quiet=0.0) for member in members))
        await self._calls.ready()

    def _fits(self, member: Member, where: Where) -> bool:
        peer = self._calls.peers.get(member.jid)
        return peer is None or peer.fits(where)


def _members(peers: Iterable[Peer], refusals: dict[str, JabotError]) -> list[Member]:
    found = [Member(peer.jid, _resource(peer.jid), is_queue=peer.queue) for peer in peers]
    found += [Member(jid, _resource(jid), error) for jid, error in refusals.items()]
    return sorted(found, key=lambda member: member.jid)


def _without_queues(found: list[Member], task: str, place: str) -> list[Member]:
    if task.startswith(RESERVED):
        return found
    others = [member for member in found if not member.is_queue]
    if not others:
        raise NobodyThere(
            f"only queues are {place}, and they have others do {task}; give the job to one of "
            "them, by its own address"
        )
    return others


def _resource(jid: str) -> str:
    return jid.partition("/")[2]
