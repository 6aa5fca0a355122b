"""Who may do what in a room (XEP-0045 section 5): rules, and no state."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from jabot.server.conditions import StanzaError


class _Rank(IntEnum):
    """On the wire it has a word."""

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def read(cls, word: str) -> Self:
        """By its word. Raises StanzaError for another word."""
        try:
            return cls[word.upper()]
        except KeyError:
            what = cls.__name__.lower()
            raise StanzaError("bad-request", f"there is no {what} {word!r}") from None


class Affiliation(_Rank):
    """What an account is to a room, present or not; each may do what those before it may."""

    OUTCAST = -1
    NONE = 0
    MEMBER = 1
    ADMIN = 2
    OWNER = 3


class Role(_Rank):
    """What an occupant may do while it is there."""

    NONE = 0
    VISITOR = 1  # hears everything, says nothing to all
    PARTICIPANT = 2
    MODERATOR = 3


def first_role(held: Affiliation, *, moderated: bool) -> Role:
    """The role of who comes in (section 5.1.2)."""
    if held >= Affiliation.ADMIN:
        return Role.MODERATOR
    if held is Affiliation.NONE and moderated:
        return Role.VISITOR
    return Role.PARTICIPANT


def role_after(held: Role, before: Affiliation, now: Affiliation, *, moderated: bool) -> Role:
    """The role of an occupant whose affiliation changes (section 5.1.3).

    A moderator who is no longer an admin is one no more; other roles are only raised.
    """
    usual = first_role(now, moderated=moderated)
    if before >= Affiliation.ADMIN > now:
        return usual
    return max(held, usual)


def check_role_change(
    actor: tuple[Affiliation, Role], target: tuple[Affiliation, Role], wanted: Role
) -> None:
    """Raise StanzaError unless `actor` may give `target` the role (sections 8 and 9)."""
    affiliation_of, role_of = actor
    if role_of is not Role.MODERATOR:
        raise StanzaError("forbidden", "only a moderator changes roles")
    concerns_moderators = Role.MODERATOR in (wanted, target[1])
    if target[0] > affiliation_of:
        raise StanzaError("not-allowed", "the occupant stands above you")
    if wanted is not Role.NONE:
        if concerns_moderators and affiliation_of < Affiliation.ADMIN:
            raise StanzaError("forbidden", "only an admin makes moderators, or unmakes them")
        if target[0] >= Affiliation.ADMIN and wanted is not Role.MODERATOR:
            raise StanzaError("not-allowed", "an admin or owner is always a moderator")
    elif target[1] is Role.MODERATOR and affiliation_of < Affiliation.ADMIN:
        raise StanzaError("not-allowed", "only an admin kicks a moderator")


def check_affiliation_change(
    actor: Affiliation, held: Affiliation, wanted: Affiliation, *, own: bool, owners: int
) -> None:
    """Raise StanzaError unless `actor` may change `held` to `wanted` (sections 9 and 10).

    `own` when it is the actor's own affiliation; `owners` is how many the room has.
    """
    if actor < Affiliation.ADMIN:
        raise StanzaError("forbidden", "only an admin or owner changes affiliations")
    if own and wanted is Affiliation.OUTCAST:
        raise StanzaError("conflict", "nobody bans himself")
    if held is Affiliation.OWNER and wanted is not Affiliation.OWNER and owners == 1:
        if actor is Affiliation.OWNER:
            raise StanzaError("conflict", "a room keeps one owner")
        raise StanzaError("not-allowed", "the account stands above you")
    if actor is Affiliation.ADMIN:
        if wanted >= Affiliation.ADMIN:
            raise StanzaError("forbidden", "only an owner makes admins and owners")
        if held >= Affiliation.ADMIN and not own:
            raise StanzaError("not-allowed", "the account stands above you")
