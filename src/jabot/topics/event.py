"""What a follower of a topic is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jabot.jid import JID

_DIGITS: Final = 13  # of an id, with its hyphen, that tell the milliseconds since 1970


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was published."""

    topic: str
    payload: Any
    """What was published, as the handler's annotation has it."""
    publisher: JID | None
    """Whose word it is, as the service says; None when it does not tell."""
    id: str
    """Unlike that of any other event, and greater than those of the same publisher before it."""
    retained: bool = False
    """Whether it was published before this program followed the topic, or while it was away."""
    missed: bool = False
    """Whether others came before it that are no longer kept: more than the topic keeps were
    published while this program was away."""

    @property
    def at(self) -> datetime | None:
        """When it was published, by its publisher's clock; None when its id does not tell."""
        try:
            return datetime.fromtimestamp(int(self.id[:_DIGITS].replace("-", ""), 16) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None
