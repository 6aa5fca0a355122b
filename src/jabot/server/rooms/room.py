"""One room: who comes, who goes, and how all are told (XEP-0045 section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.delay import Now, delay
from jabot.server.element import Element, Envelope, to_bytes
from jabot.server.namespaces import CLIENT, MUC
from jabot.server.rooms import presences
from jabot.server.rooms.affiliations import Affiliation, Role, first_role
from jabot.server.rooms.configuration import RoomConfiguration
from jabot.server.rooms.history import History, Wanted, wanted
from jabot.server.rooms.occupants import Occupant, Occupants
from jabot.server.rooms.presences import Notice, Why, own_content, unknown

Deliver = Callable[[str, bytes], object]
"""Hands a stanza to the session with that full JID, if it is there."""


@dataclass(slots=True, kw_only=True)
class RoomRecord:
    """What of a room outlives its occupants, if it is persistent."""

    jid: str
    creator: str  # bare JID
    configuration: RoomConfiguration
    affiliations: dict[str, Affiliation] = field(default_factory=dict)  # by bare JID; never NONE
    subject: Element | None = None  # the message that set it, as it is shown to who comes in


class Room:
    """One room. Everything that it sends goes through `deliver`.

    A new room is locked: until its owner has configured it, nobody else comes in (section 10.1).
    """

    def __init__(
        self, record: RoomRecord, deliver: Deliver, now: Now, limit: int, *, locked: bool = False
    ) -> None:
        self.jid = record.jid
        self.record = record
        self.occupants = Occupants()
        self.history = History(record.jid)
        self.locked = locked
        self.now = now
        self._deliver = deliver
        self._limit = limit  # sessions, whatever the configuration says

    @property
    def configuration(self) -> RoomConfiguration:
        return self.record.configuration

    def affiliation(self, account: str) -> Affiliation:
        return self.record.affiliations.get(account, Affiliation.NONE)

    # Coming, changing, going

    def presence(self, stanza: Element, sender: JID, nick: str) -> None:
        """Presence that a session sent to the room, or to `nick` in it."""
        kind = stanza.attrs.get("type")
        occupant = self.occupants.of_session(sender.full)
        if kind == "unavailable":
            if occupant is not None:
                self.remove(sender.full, own_content(stanza))
        elif kind is None:
            if not nick:
                raise StanzaError("jid-malformed", "a room is entered under a nickname")
            join = stanza.child(MUC, "x")
            if occupant is None and join is None:
                self._deliver(sender.full, to_bytes(unknown(self.jid, nick, sender.full)))
            elif occupant is None or (join is not None and nick == occupant.nick):
                asked = wanted(join, self.now()) if join is not None else Wanted()
                self._enter(stanza, sender, nick, asked)
            elif nick != occupant.nick:
                self._rename(stanza, sender, occupant, nick)
            else:
                self.occupants.put(occupant, sender.full, own_content(stanza))
                self.show(occupant)

    def _enter(self, stanza: Element, sender: JID, nick: str, asked: Wanted) -> None:
        """Let a session in; or tell one again that lost count (section 7.2.1)."""
        full, account = sender.full, sender.bare
        occupant = self.occupants.called(nick)
        if self.occupants.of_session(full) is None:
            self._check_entry(account, occupant)
        if occupant is None:
            moderated = self.configuration.moderated
            role = first_role(self.affiliation(account), moderated=moderated)
            occupant = Occupant(nick, account, role)
        self.occupants.put(occupant, full, own_content(stanza))
        for other in self.occupants:
            if other is not occupant:
                self._deliver(full, self._shown(other, self._sees(occupant)).to(full))
        codes: tuple[str, ...] = (presences.SELF,)
        if not self.configuration.anonymous:
            codes = (presences.NON_ANONYMOUS, *codes)
        if self.locked:
            codes = (*codes, presences.CREATED)
        self.show(occupant, codes)
        for envelope in self.history.select(asked):
            self._deliver(full, envelope.to(full))
        self._deliver(full, self._subject().to(full))

    def _check_entry(self, account: str, namesake: Occupant | None) -> None:
        held = self.affiliation(account)
        if held is Affiliation.OUTCAST:
            raise StanzaError("forbidden", "you are banned from this room")
        if self.locked and held is not Affiliation.OWNER:
            raise StanzaError("item-not-found", "the room is being made; try again")
        if self.configuration.members_only and held < Affiliation.MEMBER:
            raise StanzaError("registration-required", "only members may enter this room")
        if namesake is not None and namesake.account != account:
            raise StanzaError("conflict", f"{namesake.nick} is somebody else here")
        count = self.occupants.session_count
        most = self.configuration.max_occupants
        # Owners and admins come in where others do not, to look after it (section 7.2.9).
        if count >= self._limit or (count >= most and held < Affiliation.ADMIN):
            raise StanzaError("service-unavailable", "the room is full", kind="wait")

    def _rename(self, stanza: Element, sender: JID, occupant: Occupant, nick: str) -> None:
        """Another nickname (section 7.6). One session of several goes alone."""
        full = sender.full
        namesake = self.occupants.called(nick)
        if namesake is not None and namesake.account != occupant.account:
            raise StanzaError("conflict", f"{nick} is somebody else here")
        why = Why(codes=(presences.RENAMED,))
        now = self._notice(occupant, full, why)
        gone = replace(now, content=[], gone=True, new_nick=nick)
        alone = len(occupant.sessions) == 1
        if alone:
            self.tell(gone, occupant)
        else:
            self._send(full, gone.to_element(with_jid=True, codes=(presences.SELF,)))
        if alone and namesake is None:
            self.occupants.rename(occupant, nick)
        else:
            self.occupants.drop(full)
            if not alone:
                self.show(occupant)
            occupant = namesake or Occupant(nick, occupant.account, occupant.role)
        self.occupants.put(occupant, full, own_content(stanza))
        self.show(occupant)

    def remove(
        self, full: str, content: list[Element | str] | None = None, why: Why | None = None
    ) -> None:
        """Take a session out: it left, or was made to. It is told last, with all others."""
        occupant = self.occupants.of_session(full)
        if occupant is None:
            return
        last = self._notice(occupant, full, why or Why())
        gone = replace(last, role=Role.NONE, content=content or [], gone=True)
        self.occupants.drop(full)
        if not occupant.sessions:
            self.tell(gone, occupant)
        else:
            self.show(occupant)
        self._send(full, gone.to_element(with_jid=True, codes=(presences.SELF,)))

    def remove_occupant(self, occupant: Occupant, why: Why) -> None:
        for full in list(occupant.sessions):
            self.remove(full, why=why)

    # Telling

    def show(
        self, occupant: Occupant, codes: tuple[str, ...] = (presences.SELF,), why: Why | None = None
    ) -> None:
        """Tell all what the occupant is now; `codes` are for its own sessions."""
        occupant.shown.clear()
        self.tell(self._notice(occupant, occupant.current, why or Why()), occupant, codes)

    def tell(
        self, notice: Notice, occupant: Occupant, codes: tuple[str, ...] = (presences.SELF,)
    ) -> None:
        """Send the notice to all, each in the form that it may see; to the occupant itself last."""
        envelopes: dict[bool, Envelope] = {}
        for full, receiver in self.occupants.sessions():
            if receiver is occupant:
                continue
            sees = self._sees(receiver)
            if sees not in envelopes:
                envelopes[sees] = Envelope(notice.to_element(with_jid=sees))
            self._deliver(full, envelopes[sees].to(full))
        if occupant.sessions:
            own = Envelope(notice.to_element(with_jid=True, codes=codes))
            for full in occupant.sessions:
                self._deliver(full, own.to(full))

    def say(self, stanza: Element, receivers: Iterable[str] | None = None) -> Envelope:
        """Send a stanza to the sessions named, or to all; gives it as it was sent."""
        envelope = Envelope(stanza)
        if receivers is None:
            receivers = [full for full, _ in self.occupants.sessions()]
        for full in receivers:
            self._deliver(full, envelope.to(full))
        return envelope

    def set_subject(self, stanza: Element) -> None:
        """Keep a message that was sent to all as the one that sets the subject."""
        late = [*stanza.children, delay(self.jid, self.now())]
        self.record.subject = Element(stanza.ns, stanza.name, stanza.attrs, late)

    def _subject(self) -> Envelope:
        if self.record.subject is not None:
            return Envelope(self.record.subject)
        empty = Element(CLIENT, "subject")
        return Envelope(
            Element(CLIENT, "message", {"type": "groupchat", "from": self.jid}, [empty])
        )

    def _sees(self, receiver: Occupant) -> bool:
        """Whether it sees the real addresses of others."""
        return not self.configuration.anonymous or receiver.role is Role.MODERATOR

    def _notice(self, occupant: Occupant, full: str, why: Why) -> Notice:
        """What an occupant is now, by one of its sessions."""
        return Notice(
            room=self.jid,
            nick=occupant.nick,
            full=full,
            affiliation=self.affiliation(occupant.account),
            role=occupant.role,
            content=occupant.sessions[full],
            why=why,
        )

    def _shown(self, occupant: Occupant, with_jid: bool) -> Envelope:
        """An occupant's presence for who comes in: with many of them, made once for all."""
        envelope = occupant.shown.get(with_jid)
        if envelope is None:
            notice = self._notice(occupant, occupant.current, Why())
            envelope = occupant.shown[with_jid] = Envelope(notice.to_element(with_jid=with_jid))
        return envelope

    def _send(self, full: str, stanza: Element) -> None:
        stanza.attrs["to"] = full
        self._deliver(full, to_bytes(stanza))
