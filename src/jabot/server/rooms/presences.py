"""How a room shows its occupants: presence with the extension of XEP-0045 section 7.2.2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from jabot.server.element import Element
from jabot.server.namespaces import CLIENT, MUC, MUC_USER
from jabot.server.rooms.affiliations import Affiliation, Role

# Status codes (XEP-0045 section 15.6).
NON_ANONYMOUS: Final = "100"
SELF: Final = "110"
CONFIGURED: Final = "104"
NOW_NON_ANONYMOUS: Final = "172"
NOW_SEMI_ANONYMOUS: Final = "173"
CREATED: Final = "201"
BANNED: Final = "301"
RENAMED: Final = "303"
KICKED: Final = "307"
NO_MEMBER_NOW: Final = "321"
MEMBERS_ONLY_NOW: Final = "322"
OUT_OF_STEP: Final = "333"  # it was not there at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What brought a change about: status codes, and who did it with what words."""

    codes: tuple[str, ...] = ()
    actor: str = ""  # a nickname
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is told of one session in a room."""

    room: str
    nick: str
    full: str
    affiliation: Affiliation
    role: Role
    content: list[Element | str] = field(default_factory=list)
    gone: bool = False
    new_nick: str = ""
    why: Why = field(default_factory=Why)

    def to_element(self, *, with_jid: bool, codes: tuple[str, ...] = ()) -> Element:
        """The presence, to be addressed; `codes` are for this receiver beside those for all."""
        item = {"affiliation": self.affiliation.word, "role": self.role.word}
        if with_jid:
            item["jid"] = self.full
        if self.new_nick:
            item["nick"] = self.new_nick
        about = []
        if self.why.actor:
            about.append(Element(MUC_USER, "actor", {"nick": self.why.actor}))
        if self.why.reason:
            about.append(Element(MUC_USER, "reason", None, [self.why.reason]))
        extension = Element(MUC_USER, "x", None, [Element(MUC_USER, "item", item, about)])
        extension.children += [status(code) for code in (*codes, *self.why.codes)]
        attrs = {"from": f"{self.room}/{self.nick}"}
        if self.gone:
            attrs["type"] = "unavailable"
        return Element(CLIENT, "presence", attrs, [*self.content, extension])


def unknown(room: str, nick: str, full: str) -> Element:
    """For a client that takes itself for an occupant, and is none (section 7.2.17)."""
    notice = Notice(
        room=room,
        nick=nick,
        full=full,
        affiliation=Affiliation.NONE,
        role=Role.NONE,
        gone=True,
        why=Why(codes=(SELF, KICKED, OUT_OF_STEP), reason="You are not in the room."),
    )
    element = notice.to_element(with_jid=False)
    element.attrs["to"] = full
    return element


def status(code: str) -> Element:
    return Element(MUC_USER, "status", {"code": code})


def own_content(stanza: Element) -> list[Element | str]:
    """What a client's stanza may say in the room; what only a room says is left out."""
    return [
        each for each in stanza.children if isinstance(each, str) or each.ns not in (MUC, MUC_USER)
    ]
