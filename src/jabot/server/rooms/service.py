"""The service of rooms (XEP-0045): everything behind one domain, by the kind of stanza."""

from __future__ import annotations

from collections.abc import Iterator

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.config import ServerConfig
from jabot.server.element import Element, to_bytes
from jabot.server.namespaces import MUC, MUC_USER
from jabot.server.rooms import admin, messages
from jabot.server.rooms.affiliations import Affiliation
from jabot.server.rooms.directory import Directory
from jabot.server.rooms.presences import Why, own_content, unknown
from jabot.server.rooms.requests import RoomRequests
from jabot.server.rooms.room import Room
from jabot.server.rooms.store import RoomStore
from jabot.server.router import Router
from jabot.server.session import Sessions


class Rooms:
    """All rooms of one domain. Persistent ones are there after `load`."""

    def __init__(
        self,
        config: ServerConfig,
        domain: str,
        store: RoomStore,
        router: Router,
        sessions: Sessions,
    ) -> None:
        self._limit = config.max_room_stanza
        self._router = router
        self._sessions = sessions
        self._directory = Directory(config, store, sessions.deliver)
        self._requests = RoomRequests(config, self._directory, router.route)
        router.add(domain, self)

    def __iter__(self) -> Iterator[Room]:
        return iter(self._directory)

    def load(self) -> None:
        """Take up the rooms that were kept."""
        self._directory.load()

    def receive(self, stanza: Element, to: JID) -> None:
        sender = JID(stanza.attrs["from"])
        if stanza.name == "iq":
            self._requests.answer(stanza, to)
        elif not to.local:
            if stanza.name == "message":
                raise StanzaError("service-unavailable")
        elif stanza.name == "presence":
            try:
                self._presence(stanza, to, sender)
            except StanzaError as error:
                error.quoted = stanza.child(MUC, "x")  # clients know a refusal by it (section 7.2)
                raise
        elif stanza.attrs.get("type") != "error":
            self._message(stanza, to, sender)

    def _presence(self, stanza: Element, to: JID, sender: JID) -> None:
        if stanza.attrs.get("type") != "unavailable":
            self._check_size(stanza)
        elif self._is_too_large(stanza):
            # Who goes is gone, whatever the last words were: nobody would tell the room again.
            stanza = Element(stanza.ns, stanza.name, stanza.attrs)
        room = self._directory.get(to.bare)
        if room is None:
            if "type" in stanza.attrs:
                return  # of one who was in a room that is gone
            if not to.resource:
                raise StanzaError("jid-malformed", "a room is entered under a nickname")
            if stanza.child(MUC, "x") is None:
                gone = unknown(to.bare, to.resource, sender.full)
                self._sessions.deliver(sender.full, to_bytes(gone))
                return
            room = self._directory.create(to.bare, sender.bare)
        try:
            room.presence(stanza, sender, to.resource)
        finally:
            self._directory.settle(room)

    def _message(self, stanza: Element, to: JID, sender: JID) -> None:
        self._check_size(stanza)
        room = self._directory.find(to.bare)
        if to.resource:
            messages.to_one(room, stanza, sender, to.resource)
        elif stanza.attrs.get("type") == "groupchat":
            if messages.to_all(room, stanza, sender):
                self._directory.subject_set(room)
        else:
            self._invitation(room, stanza, sender)

    def _invitation(self, room: Room, stanza: Element, sender: JID) -> None:
        extension = stanza.child(MUC_USER, "x")
        wanted = extension.child(MUC_USER, "invite") if extension is not None else None
        answer = extension.child(MUC_USER, "decline") if extension is not None else None
        if wanted is not None:
            passed, member = messages.invite(room, stanza, sender, wanted)
            if member:
                admin.give_affiliation(room, member, Affiliation.MEMBER, Why())
                self._directory.affiliated(room, {member: Affiliation.MEMBER})
        elif answer is not None:
            passed = messages.decline(room, stanza, sender, answer)
        else:
            raise StanzaError("bad-request", "what is for all in a room is of type groupchat")
        self._router.route(passed)

    def _check_size(self, stanza: Element) -> None:
        if self._is_too_large(stanza):
            raise StanzaError("not-acceptable", f"a room takes no more than {self._limit} bytes")

    def _is_too_large(self, stanza: Element) -> bool:
        """What one says, a whole room hears: so it may be no more than a part of a stanza."""
        size = sum(
            len(each) if isinstance(each, str) else len(to_bytes(each))
            for each in own_content(stanza)
        )
        return size > self._limit
