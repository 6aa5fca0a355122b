"""What the owner of a room can set (XEP-0045 sections 10.1 and 10.2)."""

from __future__ import annotations

from dataclasses import dataclass

from jabot.server.forms import Form, boolean, choice, number, text
from jabot.server.namespaces import MUC

FORM_TYPE = f"{MUC}#roomconfig"

MODERATORS, ANYONE = "moderators", "anyone"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfiguration:
    """The settings of one room."""

    name: str = ""
    description: str = ""
    persistent: bool = False  # stays when nobody is there, and over restarts
    public: bool = True  # listed by the service
    members_only: bool = False
    moderated: bool = False  # who is nothing to the room has no voice
    whois: str = MODERATORS  # who sees the real addresses
    subject_by_all: bool = True  # else by moderators
    invites: bool = False  # by all occupants; else by admins and owners
    max_occupants: int

    @property
    def anonymous(self) -> bool:
        """Semi-anonymous, that is: moderators see who is who."""
        return self.whois == MODERATORS

    def features(self) -> list[str]:
        """How disco tells of it (XEP-0045 section 15.3)."""
        return [
            "muc_persistent" if self.persistent else "muc_temporary",
            "muc_public" if self.public else "muc_hidden",
            "muc_membersonly" if self.members_only else "muc_open",
            "muc_moderated" if self.moderated else "muc_unmoderated",
            "muc_semianonymous" if self.anonymous else "muc_nonanonymous",
            "muc_unsecured",
        ]


def room_form(limit: int) -> Form[RoomConfiguration]:
    """The form of a service whose rooms hold at most `limit` occupants."""
    return Form(
        FORM_TYPE,
        "Configuration of the room",
        (
            text("muc#roomconfig_roomname", "name", "Name", 1_023),
            text("muc#roomconfig_roomdesc", "description", "What the room is for", 1_023),
            boolean("muc#roomconfig_persistentroom", "persistent", "Stays when nobody is in it"),
            boolean("muc#roomconfig_publicroom", "public", "Listed by the service"),
            boolean("muc#roomconfig_membersonly", "members_only", "Only members may enter"),
            boolean("muc#roomconfig_moderatedroom", "moderated", "Only members have voice"),
            choice("muc#roomconfig_whois", "whois", "Who sees addresses", (MODERATORS, ANYONE)),
            boolean("muc#roomconfig_changesubject", "subject_by_all", "All may set the subject"),
            boolean("muc#roomconfig_allowinvites", "invites", "All may invite"),
            number("muc#roomconfig_maxusers", "max_occupants", "Most occupants", limit, 1),
        ),
    )
