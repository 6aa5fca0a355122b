"""Lines in rooms: many nodes hear them, and one answer is said."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Final

from jabot.chat import texts
from jabot.chat.addressing import Address, read_address
from jabot.chat.collection import Collection
from jabot.chat.obeying import Obeying, Part
from jabot.chat.room_line import RoomLine
from jabot.chat.talk import Mouth
from jabot.jid import JID
from jabot.pace import Pace
from jabot.xmpp.room import Occupant, RoomListener
from jabot.xmpp.rooms import Rooms
from jabot.xmpp.shares import Share, share
from jabot.xmpp.stanzas import IncomingText, OutgoingText

log = logging.getLogger(__name__)

_SILENCE: Final = 10.0  # seconds in which each node says something, if it lives
_LIMIT: Final = 60.0  # seconds that jobs may take for their outcome to be in the answer
_MOST: Final = 1_000
"""Lines and private messages without an outcome, and lines without an answer, all together: who may
say the one may say the other. And shares that came before their line."""


class Assembly(RoomListener):
    """Obeys what is said in rooms, by the real address of who said it, as chat does.

    Each node that is addressed gives its part of the answer to the *speaker*, the first of them by
    nick, which says one text in the room. When it leaves before that, or does not speak in time,
    the next one takes over. What a node says, or what was said before we came, never runs anything.
    """

    def __init__(
        self, obeying: Obeying, rooms: Rooms, mouth: Mouth, labels: Mapping[str, str]
    ) -> None:
        self._obeying = obeying
        self._rooms = rooms
        self._mouth = mouth
        self._labels = labels
        self._lines: dict[tuple[str, str], RoomLine] = {}
        self._early: deque[tuple[float, Share]] = deque(maxlen=_MOST)
        self._strangers = Pace(burst=1, rate=1 / 60)
        self._loop = asyncio.get_running_loop()

    def received(self, text: IncomingText) -> None:
        """Somebody says something in a room, or in private through it."""
        occupant = self._rooms.occupant(text.sender)
        if text.type not in ("groupchat", "chat", "normal") or text.delayed or occupant is None:
            log.debug("not obeyed: a message of type %s from %s", text.type, text.sender)
        elif text.reply_to:
            self._was_answered(text.sender, occupant, text.reply_to)
        elif text.automatic or occupant.is_node or occupant.nick == self._own_nick(text.sender):
            log.debug("not obeyed: %s is a node", text.sender)
        elif occupant.jid is None:
            log.info("not obeyed: the room hides the address of %s", text.sender)
        elif text.type == "groupchat":
            self._said(text, occupant.jid)
        elif text.body.strip():
            self._said_aside(text.sender, occupant.jid, text.body.strip())

    def collected(self, share: Share) -> None:
        """Another node gives its part of an answer."""
        line = self._lines.get((share.room, share.line))
        if line is not None and line.collection is not None:
            self._add(line, line.collection, share)
        elif any(other.jid == share.sender for other in self._rooms.occupants(share.room)):
            # It has heard the line before us, or heard before us that we are to speak.
            self._early.append((self._loop.time(), share))

    def close(self) -> None:
        """Give up what is not answered yet."""
        for line in list(self._lines.values()):
            self._end(line)

    # -- what rooms tell -----------------------------------------------------------------------

    def out(self, room: JID, why: str) -> None:
        """We are not in a room any more: others answer there."""
        for line in self._lines_in(room):
            self._end(line)

    def went(self, room: JID, occupant: Occupant, why: str) -> None:
        """Somebody left: perhaps the speaker of a line."""
        for line in self._lines_in(room):
            if occupant.nick not in line.there:
                continue
            before = line.speaker
            line.there.remove(occupant.nick)
            if not line.there or occupant.nick == line.own:
                self._end(line)
            elif line.collection is not None:
                line.collection.left(occupant.nick)
                self._look(line, line.collection)
            elif line.speaker != before:
                self._turn_to_speaker(line)

    # -- what is said to this node alone ---------------------------------------------------------

    def _said_aside(self, sender: JID, person: JID, body: str) -> None:
        """Obey by the real address `person`, and answer once, at the address in the room."""
        if not self._obeying.knows(person):
            if self._strangers.take(person.bare, self._loop.time()):
                self._say(sender, texts.NOT_FOR_YOU)
        elif self._obeying.pending >= _MOST:
            self._say(sender, texts.BUSY)
        else:
            self._obeying.take_part(person, body, partial(self._give_aside, sender))

    def _give_aside(self, sender: JID, part: Part) -> None:
        collection = Collection([sender.resource])
        collection.add(sender.resource, *part)
        text = texts.AT_IT if collection.runs else collection.text()
        if text:
            self._say(sender, text)

    # -- a line --------------------------------------------------------------------------------

    def _said(self, text: IncomingText, person: JID) -> None:
        room, here = text.sender.bare, self._rooms.occupants(text.sender.bare)
        address = read_address(text.body, [other.nick for other in here])
        if address is None:
            return
        own = self._own_nick(text.sender)
        nodes = {other.nick: other.jid for other in here if other.is_node}
        heard_by = nodes if not address.nick else {n: nodes[n] for n in nodes if n == address.nick}
        if not heard_by:
            return
        is_known = self._obeying.knows(person)
        # Whoever is asked first refuses; the others have heard that, and say no more to a stranger.
        may_refuse = not is_known and self._strangers.take(person.bare, self._loop.time())
        line_id = text.stanza_id or f"{text.sender.resource}/{text.id}"
        if own not in heard_by or (room, line_id) in self._lines:
            return
        if len(self._lines) + self._obeying.pending >= _MOST:
            log.warning("too many lines without an answer: one of %s is dropped", person.bare)
            return
        line = RoomLine(
            room,
            line_id,
            person,
            address,
            own,
            heard_by,
            self._is_beside_others(address, own, here),
            is_known,
            may_refuse,
            there=sorted(heard_by),
        )
        self._lines[room, line_id] = line
        self._turn_to_speaker(line)
        self._obey(line)

    def _is_beside_others(self, address: Address, own: str, here: list[Occupant]) -> bool:
        if address.nick or address.label:
            return False  # who names a queue means it
        is_queue = {other.nick: other.is_queue for other in here if other.is_node}
        return is_queue.get(own, False) and not all(is_queue.values())

    def _obey(self, line: RoomLine) -> None:
        give = partial(self._give, line)
        if line.address.nick or line.address.fits(self._labels):
            self._obeying.take_part(
                line.person, line.address.line, give, beside_others=line.beside_others
            )
        else:
            give(("nothing", ""))

    def _give(self, line: RoomLine, part: Part) -> None:
        """Our own part is there, or we know that it takes longer."""
        line.mine = part
        status, text = part
        if not line.is_over:
            self._bring(line, part)
        elif text and status in ("answered", "failed"):  # the room was told that it still runs
            said = texts.cut(line.address.line, 40)
            self._say(line.person, f'To "{said}" in {line.room}: {text}')

    def _bring(self, line: RoomLine, part: Part) -> None:
        if line.collection is not None:
            line.collection.add(line.own, *part)
            self._look(line, line.collection)
        else:
            to = line.address_of(line.speaker, self._rooms)
            if to is not None:
                self._mouth.send(share(to, line.room, line.id, part[0], texts.cut(part[1])))

    # -- the speaker ---------------------------------------------------------------------------

    def _turn_to_speaker(self, line: RoomLine) -> None:
        """A speaker was found: it gets our part, or it is us."""
        if line.timer is not None:
            line.timer.cancel()
        if line.speaker == line.own:
            collection = line.collection = Collection(line.all)
            line.until = self._loop.time() + _LIMIT + _SILENCE / 2
            for nick in line.all.keys() - set(line.there):
                collection.add(nick, "silent" if nick == line.mute else "left")
            line.timer = self._loop.call_later(_SILENCE, self._grows_late, line, collection)
            for came, early in list(self._early):
                if (early.room, early.line) == (line.room, line.id):
                    self._early.remove((came, early))
                    self._add(line, collection, early)
        else:
            line.timer = self._loop.call_later(_LIMIT + _SILENCE, self._speaker_is_mute, line)
        while self._early and self._early[0][0] < self._loop.time() - _SILENCE:
            self._early.popleft()
        if line.mine is not None and not line.is_over:
            self._bring(line, line.mine)

    def _speaker_is_mute(self, line: RoomLine) -> None:
        """It hangs, or has nothing to say: the next one looks, and after that nobody does."""
        if line.mute:
            self._end(line)
            return
        line.mute = line.there.pop(0)
        self._turn_to_speaker(line)

    def _add(self, line: RoomLine, collection: Collection, share: Share) -> None:
        nick = line.nick_of(share.sender, self._rooms)
        if nick and nick != line.own:
            collection.add(nick, share.status, texts.cut(share.text))
            self._look(line, collection)
        else:
            log.info("%s has no part in the answer to %s", share.sender, line.id)

    def _grows_late(self, line: RoomLine, collection: Collection) -> None:
        """Who has said nothing yet is silent; jobs that are known to run get more time."""
        if collection.runs:
            line.timer = self._loop.call_later(_LIMIT - _SILENCE, self._speak, line, collection)
        else:
            self._speak(line, collection)

    def _look(self, line: RoomLine, collection: Collection) -> None:
        if collection.is_complete and not line.is_over:
            self._speak(line, collection)

    def _speak(self, line: RoomLine, collection: Collection) -> None:
        self._end(line)
        if self._loop.time() > line.until:
            log.warning("not answered in %s: this process stood still", line.room)
            return
        text = line.text(collection)
        if not text:
            return
        said = OutgoingText(
            JID(line.room), texts.cut(text), automatic=True, type="groupchat", reply_to=line.id
        )
        # Should it be lost, so is our connection, and the next node speaks.
        self._mouth.send(said.xml())

    def _was_answered(self, room: JID, speaker: Occupant, line_id: str) -> None:
        line = self._lines.get((room.bare, line_id))
        if line is None or speaker.nick not in line.all:
            return
        if line.address_of(speaker.nick, self._rooms) == speaker.jid:
            self._end(line)

    def _end(self, line: RoomLine) -> None:
        """Nothing more is said to it in the room."""
        line.is_over = True
        if line.timer is not None:
            line.timer.cancel()
        self._lines.pop((line.room, line.id), None)

    # -- within --------------------------------------------------------------------------------

    def _own_nick(self, room: JID) -> str:
        return self._rooms.nick(room.bare)

    def _lines_in(self, room: JID) -> list[RoomLine]:
        return [line for line in self._lines.values() if line.room == room.bare]

    def _say(self, to: JID, text: str) -> None:
        self._mouth.send_text(OutgoingText(to, texts.cut(text), automatic=True))
