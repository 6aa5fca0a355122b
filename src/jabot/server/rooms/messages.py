"""What is said in a room: to all, to one, and to those who are to come (XEP-0045 section 7)."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server.conditions import StanzaError, read_address
from jabot.server.element import Element
from jabot.server.namespaces import CLIENT, MUC_USER
from jabot.server.rooms.affiliations import Affiliation, Role
from jabot.server.rooms.occupants import Occupant
from jabot.server.rooms.presences import own_content
from jabot.server.rooms.room import Room


def to_all(room: Room, stanza: Element, sender: JID) -> bool:
    """A message of type groupchat (sections 7.4 and 8.1); whether it has set the subject."""
    occupant = _occupant(room, sender)
    if occupant.role is Role.VISITOR:
        raise StanzaError("forbidden", "you have no voice in this room")
    is_subject = _is_subject(stanza)
    if is_subject and not (room.configuration.subject_by_all or occupant.role is Role.MODERATOR):
        raise StanzaError("forbidden", "only a moderator sets the subject of this room")
    said = _from_occupant(room, stanza, occupant)
    room.say(said)
    if is_subject:
        room.set_subject(said)
    else:
        room.history.add(said, room.now())
    return is_subject


def to_one(room: Room, stanza: Element, sender: JID, nick: str) -> None:
    """A private message (section 7.5): to all sessions of the occupant."""
    occupant = _occupant(room, sender)
    if stanza.attrs.get("type") == "groupchat":
        raise StanzaError("bad-request", "what is for all goes to the room itself")
    receiver = room.occupants.called(nick)
    if receiver is None:
        raise StanzaError("item-not-found", f"nobody is called {nick} here")
    said = _from_occupant(room, stanza, occupant)
    said.children.append(Element(MUC_USER, "x"))
    room.say(said, list(receiver.sessions))


def invite(room: Room, stanza: Element, sender: JID, invitation: Element) -> tuple[Element, str]:
    """A mediated invitation (section 7.8.2); gives it as it is passed on, and the account that is
    to become a member by it, or nothing.
    """
    _occupant(room, sender)
    guest = _address(invitation)
    held = room.affiliation(sender.bare)
    if not room.configuration.invites and held < Affiliation.ADMIN:
        raise StanzaError("forbidden", "only an admin or owner invites to this room")
    if room.affiliation(guest.bare) is Affiliation.OUTCAST:
        raise StanzaError("forbidden", f"{guest.bare} is banned from this room")
    new_member = ""
    if room.configuration.members_only and room.affiliation(guest.bare) is Affiliation.NONE:
        new_member = guest.bare
    return _passed(room, stanza, "invite", invitation, sender.full, guest), new_member


def decline(room: Room, stanza: Element, sender: JID, answer: Element) -> Element:
    """The answer of who does not come, as it is passed on: only to somebody who is in the room."""
    host = _address(answer)
    if not room.occupants.of_account(host.bare):
        raise StanzaError("item-not-found", f"{host.bare} is not in this room")
    return _passed(room, stanza, "decline", answer, sender.bare, host)


def _passed(room: Room, stanza: Element, name: str, what: Element, sender: str, to: JID) -> Element:
    words = (each for each in what.elements("reason") if each.ns == MUC_USER)
    passed = Element(MUC_USER, name, {"from": sender}, words)
    attrs = {"from": room.jid, "to": to.full}
    if "id" in stanza.attrs:
        attrs["id"] = stanza.attrs["id"]
    return Element(CLIENT, "message", attrs, [Element(MUC_USER, "x", None, [passed])])


def _occupant(room: Room, sender: JID) -> Occupant:
    occupant = room.occupants.of_session(sender.full)
    if occupant is None:
        raise StanzaError("not-acceptable", "you are not in this room")
    return occupant


def _from_occupant(room: Room, stanza: Element, occupant: Occupant) -> Element:
    attrs = {key: value for key, value in stanza.attrs.items() if key not in ("from", "to")}
    attrs["from"] = f"{room.jid}/{occupant.nick}"
    return Element(CLIENT, "message", attrs, own_content(stanza))


def _is_subject(stanza: Element) -> bool:
    return stanza.child(CLIENT, "subject") is not None and not any(
        stanza.child(CLIENT, name) for name in ("body", "thread")
    )


def _address(invitation: Element) -> JID:
    address = read_address(invitation.attrs.get("to", ""))
    if not address.local:
        raise StanzaError("bad-request", "an invitation names an account")
    return address
