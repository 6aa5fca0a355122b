"""What was said in a room lately, for those who come in (XEP-0045 sections 7.2.13 and 7.2.14)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from jabot.server.conditions import StanzaError, read_number
from jabot.server.delay import delay, read_stamp
from jabot.server.element import Element, Envelope
from jabot.server.namespaces import CLIENT, HINTS, MUC

KEPT = 20  # messages of a room
KEPT_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much of the history somebody asks for; None does not limit it."""

    stanzas: int | None = None
    characters: int | None = None
    since: datetime | None = None


class History:
    """The last messages of one room: at most KEPT, of at most KEPT_BYTES together."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._kept: deque[tuple[datetime, Envelope]] = deque()
        self._bytes = 0

    def add(self, stanza: Element, when: datetime) -> None:
        """Keep a message, as the room sent it, if it is of a kind to be read later."""
        if not is_worth_keeping(stanza):
            return
        late = Element(
            stanza.ns, stanza.name, stanza.attrs, [*stanza.children, delay(self._room, when)]
        )
        envelope = Envelope(late)
        self._kept.append((when, envelope))
        self._bytes += len(envelope)
        while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
            _, oldest = self._kept.popleft()
            self._bytes -= len(oldest)

    def select(self, wanted: Wanted) -> list[Envelope]:
        """The newest messages that fit what is wanted, oldest first."""
        chosen: list[Envelope] = []
        characters = 0
        for when, envelope in reversed(self._kept):
            characters += len(envelope)
            if (
                (wanted.stanzas is not None and len(chosen) >= wanted.stanzas)
                or (wanted.characters is not None and characters > wanted.characters)
                or (wanted.since is not None and when < wanted.since)
            ):
                break
            chosen.append(envelope)
        chosen.reverse()
        return chosen


def is_worth_keeping(stanza: Element) -> bool:
    """Texts are; what programs say to programs is not, nor what asks not to be (XEP-0334)."""
    if any(stanza.child(HINTS, hint) for hint in ("no-store", "no-permanent-store")):
        return False
    return stanza.child(CLIENT, "body") is not None


def wanted(join: Element, now: datetime) -> Wanted:
    """What the `<x/>` of a presence asks for. Raises StanzaError when it can't be read."""
    history = join.child(MUC, "history")
    if history is None:
        return Wanted()
    attrs = history.attrs
    since = None
    if "since" in attrs:
        since = read_stamp(attrs["since"])
        if since is None:
            raise StanzaError("bad-request", f"{attrs['since']!r} is no time")
    if "seconds" in attrs:
        latest = now - timedelta(seconds=read_number(attrs["seconds"]))
        since = latest if since is None else max(since, latest)
    stanzas, characters = (
        read_number(attrs[name]) if name in attrs else None for name in ("maxstanzas", "maxchars")
    )
    return Wanted(stanzas, characters, since)
