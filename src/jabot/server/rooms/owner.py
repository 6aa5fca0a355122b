"""What the owner does by IQ: configure the room, destroy it (XEP-0045 section 10)."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server.conditions import StanzaError, read_address
from jabot.server.element import Element
from jabot.server.forms import Form, submitted
from jabot.server.namespaces import CLIENT, MUC_OWNER, MUC_USER
from jabot.server.rooms import presences
from jabot.server.rooms.affiliations import Affiliation
from jabot.server.rooms.configuration import FORM_TYPE, RoomConfiguration
from jabot.server.rooms.presences import Why, status
from jabot.server.rooms.room import Room


def check_owner(room: Room, sender: JID) -> None:
    if room.affiliation(sender.bare) is not Affiliation.OWNER:
        raise StanzaError("forbidden", "only an owner of the room may do that")


def configure(room: Room, form: Form[RoomConfiguration], given: Element) -> None:
    """Apply a submitted form. An empty one accepts what holds (section 10.1.2)."""
    if given.attrs.get("type") != "submit":
        raise StanzaError("bad-request", "a form is submitted or cancelled")
    before = room.configuration
    after = form.changed(before, submitted(given, FORM_TYPE))
    room.record.configuration = after
    room.locked = False
    if after == before:
        return
    if after.members_only and not before.members_only:
        for occupant in room.occupants:
            if room.affiliation(occupant.account) is Affiliation.NONE:
                room.remove_occupant(occupant, Why(codes=(presences.MEMBERS_ONLY_NOW,)))
    _announce(room, before, after)


def _announce(room: Room, before: RoomConfiguration, after: RoomConfiguration) -> None:
    """Section 10.2.1."""
    code = presences.CONFIGURED
    if before.anonymous != after.anonymous:
        code = presences.NOW_SEMI_ANONYMOUS if after.anonymous else presences.NOW_NON_ANONYMOUS
    attrs = {"type": "groupchat", "from": room.jid}
    extension = Element(MUC_USER, "x", None, [status(code)])
    room.say(Element(CLIENT, "message", attrs, [extension]))


def destroy(room: Room, order: Element) -> None:
    """Put everybody out, with a word about where to go."""
    attrs = {}
    if "jid" in order.attrs:
        attrs["jid"] = read_address(order.attrs["jid"]).bare
    reason = order.text_of(MUC_OWNER, "reason")
    words = [] if reason is None else [Element(MUC_USER, "reason", None, [reason])]
    end = Element(MUC_USER, "destroy", attrs, words)
    item = Element(MUC_USER, "item", {"affiliation": "none", "role": "none"})
    extension = Element(MUC_USER, "x", None, [item, end])
    for full, occupant in room.occupants.sessions():
        room.occupants.drop(full)
        attrs = {"from": f"{room.jid}/{occupant.nick}", "type": "unavailable"}
        room.say(Element(CLIENT, "presence", attrs, [extension]), [full])
