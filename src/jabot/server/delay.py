"""When something was said: time stamps (XEP-0082), and the mark of what comes late (XEP-0203)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from jabot.server.element import Element
from jabot.server.namespaces import DELAY

Now = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def stamp(when: datetime) -> str:
    """A moment as XMPP writes it, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def read_stamp(text: str) -> datetime | None:
    """The moment that `text` tells; None when it tells none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else None


def delay(by: str, when: datetime) -> Element:
    """The mark that `by` puts on what it kept since `when`."""
    return Element(DELAY, "delay", {"from": by, "stamp": stamp(when)})
