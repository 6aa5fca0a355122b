"""One topic that is followed: what was seen of it, and what is told of it."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from jabot.jid import JID, InvalidJID
from jabot.topics.event import Event
from jabot.topics.follower import Follower
from jabot.topics.publishing import MOST_KEPT
from jabot.xmpp.topic_stanzas import Item

log = logging.getLogger(__name__)

_SEEN: Final = 2 * MOST_KEPT  # ids that are remembered of a topic


@dataclass(slots=True, eq=False)
class Stream:
    """One topic that is followed."""

    topic: str
    of: str | None
    service: str = ""  # whose notifications are of this topic
    is_caught_up: bool = False  # in this connection
    seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    begun: set[Follower] = field(default_factory=set)  # who was told of what was before
    # What came while it was caught up.
    early: deque[Item] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    ends: int = 0  # how often the service has said that it is over
    has_gap: bool = False  # the next event comes after others that nobody was told of
    problem: str = ""

    def note(self, item_id: str) -> bool:
        """Whether this was not seen before."""
        if item_id in self.seen:
            return False
        self.seen[item_id] = None
        if len(self.seen) > _SEEN:
            self.seen.popitem(last=False)
        return True


def newest(kept: list[Item], count: int) -> list[Item]:
    """So many of the newest: of each slot, and of those that are in none."""
    passed = Counter(item.slot for item in kept)
    chosen = []
    for item in kept:
        if passed[item.slot] <= count:
            chosen.append(item)
        passed[item.slot] -= 1
    return chosen


def event_of(topic: str, item: Item, *, retained: bool, missed: bool = False) -> Event | None:
    """What a follower is given; None for what is no JSON, and the log says so."""
    try:
        publisher = JID(item.publisher) if item.publisher else None
    except InvalidJID:
        publisher = None
    try:
        payload = msgspec.json.decode(item.text)
    except (msgspec.DecodeError, RecursionError) as error:
        log.warning("%s of %s is no JSON: %s", topic, publisher or "somebody", error)
        return None
    return Event(topic, payload, publisher, item.id, retained, missed)
