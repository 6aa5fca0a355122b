"""What is done to occupants by IQ: kick, ban, give and take (XEP-0045 sections 8 to 10)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jabot.jid import JID
from jabot.server.conditions import StanzaError, read_address
from jabot.server.element import Element
from jabot.server.namespaces import MUC_ADMIN
from jabot.server.rooms import presences
from jabot.server.rooms.affiliations import (
    Affiliation,
    Role,
    check_affiliation_change,
    check_role_change,
    role_after,
)
from jabot.server.rooms.occupants import Occupant
from jabot.server.rooms.presences import Why
from jabot.server.rooms.room import Room


@dataclass(frozen=True, slots=True)
class RoleChange:
    occupant: Occupant
    wanted: Role
    why: Why


@dataclass(frozen=True, slots=True)
class AffiliationChange:
    account: str  # bare JID
    wanted: Affiliation
    why: Why


def lists(room: Room, sender: JID, query: Element) -> Element:
    """Who has a role or an affiliation."""
    [item] = _items(query, exactly_one=True)
    if "affiliation" in item.attrs:
        return _with_affiliation(room, sender, Affiliation.read(item.attrs["affiliation"]))
    if "role" in item.attrs:
        return _with_role(room, sender, Role.read(item.attrs["role"]))
    raise StanzaError("bad-request", "ask for an affiliation or a role")


def change(room: Room, sender: JID, query: Element, limit: int) -> dict[str, Affiliation]:
    """Do all that is asked for, or, when one part may not be, nothing; gives the affiliations that
    were changed. A room keeps at most `limit` of them.
    """
    changes = [_read(room, sender, item) for item in _items(query)]
    for each in changes:
        _check(room, sender, each)
    affected = {c.account: c.wanted for c in changes if isinstance(c, AffiliationChange)}
    after = {**room.record.affiliations, **affected}
    after = {account: held for account, held in after.items() if held is not Affiliation.NONE}
    if Affiliation.OWNER not in after.values():
        raise StanzaError("conflict", "a room keeps one owner")
    if len(after) > max(limit, len(room.record.affiliations)):
        raise StanzaError("resource-constraint", f"a room keeps {limit} affiliations")
    for each in changes:
        if isinstance(each, RoleChange):
            _give_role(room, each)
        else:
            give_affiliation(room, each.account, each.wanted, each.why)
    return affected


def give_affiliation(room: Room, account: str, wanted: Affiliation, why: Why) -> None:
    """Change what an account is to the room, and put out who may not be there any more."""
    before = room.affiliation(account)
    if wanted is Affiliation.NONE:
        room.record.affiliations.pop(account, None)
    else:
        room.record.affiliations[account] = wanted
    moderated = room.configuration.moderated
    for occupant in room.occupants.of_account(account):
        if wanted is Affiliation.OUTCAST:
            room.remove_occupant(occupant, replace(why, codes=(presences.BANNED,)))
        elif wanted is Affiliation.NONE and room.configuration.members_only:
            room.remove_occupant(occupant, replace(why, codes=(presences.NO_MEMBER_NOW,)))
        elif wanted is not before:
            occupant.role = role_after(occupant.role, before, wanted, moderated=moderated)
            room.show(occupant, why=why)


def _give_role(room: Room, change: RoleChange) -> None:
    occupant = change.occupant
    if change.wanted is Role.NONE:
        room.remove_occupant(occupant, replace(change.why, codes=(presences.KICKED,)))
    elif occupant.role is not change.wanted:
        occupant.role = change.wanted
        room.show(occupant, why=change.why)


def _with_affiliation(room: Room, sender: JID, wanted: Affiliation) -> Element:
    held = room.affiliation(sender.bare)
    open_to_members = wanted is Affiliation.MEMBER and not room.configuration.anonymous
    if held < (Affiliation.MEMBER if open_to_members else Affiliation.ADMIN):
        raise StanzaError("forbidden", "this list is for admins and owners")
    items = (
        Element(MUC_ADMIN, "item", {"affiliation": wanted.word, "jid": account})
        for account, each in sorted(room.record.affiliations.items())
        if each is wanted
    )
    return Element(MUC_ADMIN, "query", None, items)


def _with_role(room: Room, sender: JID, wanted: Role) -> Element:
    asker = room.occupants.of_session(sender.full)
    if asker is None or asker.role is not Role.MODERATOR:
        raise StanzaError("forbidden", "this list is for moderators")
    items = []
    for occupant in room.occupants:
        if occupant.role is wanted:
            attrs = {
                "affiliation": room.affiliation(occupant.account).word,
                "jid": occupant.current,
                "nick": occupant.nick,
                "role": wanted.word,
            }
            items.append(Element(MUC_ADMIN, "item", attrs))
    return Element(MUC_ADMIN, "query", None, items)


def _items(query: Element, *, exactly_one: bool = False) -> list[Element]:
    items = [each for each in query.elements("item") if each.ns == MUC_ADMIN]
    if not items or (exactly_one and len(items) != 1):
        raise StanzaError("bad-request", "the query holds no item, or too many")
    return items


def _read(room: Room, sender: JID, item: Element) -> RoleChange | AffiliationChange:
    actor = room.occupants.of_session(sender.full)
    why = Why(
        actor=actor.nick if actor is not None else "",
        reason=item.text_of(MUC_ADMIN, "reason") or "",
    )
    attrs = item.attrs
    if ("role" in attrs) == ("affiliation" in attrs):
        raise StanzaError("bad-request", "an item changes a role or an affiliation")
    if "role" in attrs:
        occupant = room.occupants.called(attrs.get("nick", ""))
        if occupant is None:
            raise StanzaError("item-not-found", f"nobody is called {attrs.get('nick')!r} here")
        return RoleChange(occupant, Role.read(attrs["role"]), why)
    return AffiliationChange(_account(room, attrs), Affiliation.read(attrs["affiliation"]), why)


def _account(room: Room, attrs: dict[str, str]) -> str:
    """By its address; by its nickname for clients that know no address."""
    if "jid" not in attrs:
        occupant = room.occupants.called(attrs.get("nick", ""))
        if occupant is None:
            raise StanzaError("bad-request", "an affiliation belongs to an address")
        return occupant.account
    account: str = read_address(attrs["jid"]).bare
    if "@" not in account:
        raise StanzaError("not-acceptable", "only accounts have an affiliation here")
    return account


def _check(room: Room, sender: JID, change: RoleChange | AffiliationChange) -> None:
    held = room.affiliation(sender.bare)
    if isinstance(change, AffiliationChange):
        check_affiliation_change(
            held,
            room.affiliation(change.account),
            change.wanted,
            own=change.account == sender.bare,
            owners=list(room.record.affiliations.values()).count(Affiliation.OWNER),
        )
        return
    actor = room.occupants.of_session(sender.full)
    if actor is None:
        raise StanzaError("forbidden", "only a moderator changes roles")
    target = change.occupant
    check_role_change(
        (held, actor.role), (room.affiliation(target.account), target.role), change.wanted
    )
