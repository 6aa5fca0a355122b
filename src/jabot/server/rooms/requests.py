"""What is asked of rooms by IQ: disco, lists, changes, configuration."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server import disco
from jabot.server.conditions import StanzaError
from jabot.server.config import ServerConfig
from jabot.server.element import Element
from jabot.server.forms import result_form
from jabot.server.iq import IqTable, Request
from jabot.server.namespaces import (
    CLIENT,
    DATA_FORMS,
    MUC,
    MUC_ADMIN,
    MUC_OWNER,
    MUC_SELF_PING,
    MUC_STABLE_ID,
    PING,
)
from jabot.server.rooms import admin, owner
from jabot.server.rooms.affiliations import Affiliation
from jabot.server.rooms.configuration import room_form
from jabot.server.rooms.directory import Directory
from jabot.server.rooms.room import Room
from jabot.server.router import Route

_LISTED = 1_000  # rooms in one answer


class RoomRequests:
    """Answers IQs to the service, to a room, and to an occupant."""

    def __init__(self, config: ServerConfig, directory: Directory, route: Route) -> None:
        self._config = config
        self._directory = directory
        self._form = room_form(config.max_occupants)
        self._service, self._rooms = IqTable(route), IqTable(route)
        disco.offer(self._service, self._service_info, self._service_items)
        disco.offer(self._rooms, self._room_info, self._room_items)
        for table in (self._service, self._rooms):
            table.features += [MUC, MUC_SELF_PING, MUC_STABLE_ID]
        self._rooms.add("get", MUC_ADMIN, "query", self._get_lists)
        self._rooms.add("set", MUC_ADMIN, "query", self._change)
        self._rooms.add("get", MUC_OWNER, "query", self._get_form)
        self._rooms.add("set", MUC_OWNER, "query", self._configure)
        self._occupants = IqTable(route)
        self._occupants.add("get", PING, "ping", disco.nothing)

    def answer(self, stanza: Element, to: JID) -> None:
        """Send the result. Raises StanzaError to refuse."""
        if not to.local:
            self._service.answer(stanza)
        elif not to.resource:
            self._rooms.answer(stanza)
        else:
            if stanza.attrs.get("type") not in ("result", "error"):
                self._check_occupant(stanza, to)
            self._occupants.answer(stanza)

    def _check_occupant(self, stanza: Element, to: JID) -> None:
        """Nothing but messages is passed on between occupants. A ping to oneself tells a client
        that it is in the room (XEP-0410).
        """
        occupants = self._directory.find(to.bare).occupants
        asker = occupants.of_session(JID(stanza.attrs["from"]).full)
        if asker is None:
            raise StanzaError("not-acceptable", "you are not in this room")
        asked = occupants.called(to.resource)
        if asked is None:
            raise StanzaError("item-not-found", f"nobody is called {to.resource} here")
        if asked is not asker:
            raise StanzaError("service-unavailable", "a room passes no requests on")

    # Disco (XEP-0045 section 6)

    def _service_info(self, request: Request) -> Element:
        disco.refuse_node(request)
        identity = {"category": "conference", "type": "text", "name": "Rooms"}
        return disco.describe([identity], self._service.features)

    def _service_items(self, request: Request) -> Element:
        disco.refuse_node(request)
        public = [each for each in self._directory if each.configuration.public]
        shown = (each for each in public[:_LISTED] if not each.locked)
        return disco.listing({"jid": each.jid, "name": _name(each)} for each in shown)

    def _room_info(self, request: Request) -> Element:
        room = self._addressed(request)
        disco.refuse_node(request)
        configuration = room.configuration
        identity = {"category": "conference", "type": "text", "name": _name(room)}
        subject = room.record.subject
        text = subject.text_of(CLIENT, "subject") if subject is not None else None
        changes = "1" if configuration.subject_by_all else "0"
        form = {
            "muc#roominfo_description": configuration.description,
            "muc#roominfo_subject": text or "",
            "muc#roominfo_occupants": str(len(room.occupants)),
            "muc#roomconfig_changesubject": changes,
        }
        reply = disco.describe([identity], [*self._rooms.features, *configuration.features()])
        reply.children.append(result_form(f"{MUC}#roominfo", form))
        return reply

    def _room_items(self, request: Request) -> Element:
        """Who is there is told to those who are there, or may be at any time."""
        room = self._addressed(request)
        disco.refuse_node(request)
        is_inside = room.occupants.of_session(request.sender.full) is not None
        may_know = is_inside or room.affiliation(request.sender.bare) >= Affiliation.MEMBER
        there = room.occupants if may_know else ()
        return disco.listing({"jid": f"{room.jid}/{each.nick}"} for each in there)

    # Lists, changes, configuration

    def _get_lists(self, request: Request) -> Element:
        return admin.lists(self._addressed(request), request.sender, request.payload)

    def _change(self, request: Request) -> None:
        room = self._addressed(request)
        limit = self._config.max_affiliations
        changed = admin.change(room, request.sender, request.payload, limit)
        self._directory.affiliated(room, changed)
        self._directory.settle(room)

    def _get_form(self, request: Request) -> Element:
        room = self._addressed(request)
        owner.check_owner(room, request.sender)
        form = self._form.offer(room.configuration)
        return Element(MUC_OWNER, "query", None, [form])

    def _configure(self, request: Request) -> None:
        room = self._addressed(request)
        owner.check_owner(room, request.sender)
        query = request.payload
        order, form = query.child(MUC_OWNER, "destroy"), query.child(DATA_FORMS, "x")
        was_persistent = room.configuration.persistent
        if order is not None:
            self._destroy(room, order)
        elif form is None:
            raise StanzaError("bad-request", "the query holds neither a form nor a destroy")
        elif form.attrs.get("type") == "cancel":
            if room.locked:  # nobody wants it any more (section 10.1.3)
                self._destroy(room, Element(MUC_OWNER, "destroy"))
        else:
            owner.configure(room, self._form, form)
            self._directory.configured(room, was_persistent=was_persistent)

    def _destroy(self, room: Room, order: Element) -> None:
        owner.destroy(room, order)
        self._directory.destroy(room)

    def _addressed(self, request: Request) -> Room:
        return self._directory.find(request.to.bare)


def _name(room: Room) -> str:
    return room.configuration.name or JID(room.jid).local
