"""Publishing to topics."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from jabot.errors import BadArguments, ConfigError, JabotError, StanzaError, TooLarge
from jabot.runner.job import JobIds
from jabot.tasks.result import encode_result
from jabot.topics.names import check_topic
from jabot.xmpp.topic_stanzas import Item
from jabot.xmpp.topics import Topics, TopicSettings

log = logging.getLogger(__name__)

LARGEST: Final = 48 * 1024  # bytes of JSON in one event; services keep no more than some 60,000
_CHANGED: Final = frozenset({"item-not-found", "conflict"})
MOST_KEPT: Final = 1000  # events that a topic may keep
NEW_TOPICS: Final = "jabot/topics"
"""The topic on which a hint is given that there is a new one, so that who follows `sensors/*`
hears of it at once. It is only a hint: anybody may give it."""


Place: TypeAlias = tuple[bool, str]
"""Whether a topic is the account's own, and its name."""


def check_settings(topic: str, settings: TopicSettings) -> None:
    """Raises `ConfigError` for what no topic can be."""
    check_topic(topic)
    if not 1 <= settings.keep <= MOST_KEPT:
        raise ConfigError(f"topic {topic}: it keeps from 1 to {MOST_KEPT} events")


class Publishing:
    """Publishes as one session, and makes the topics that are missing.

    `settings` are those of topics that are not to be as any; a change counts from the next start.
    """

    def __init__(self, topics: Topics, settings: Mapping[Place, TopicSettings]) -> None:
        self._topics = topics
        self._settings = settings
        # What is known to be there, and how: None where others said how it is.
        self._made: dict[Place, TopicSettings | None] = {}
        self._ids = JobIds()

    async def publish(self, topic: str, payload: Any, *, own: bool = False, slot: str = "") -> str:
        """Publish a JSON-shaped value; returns the event's id when the service has it. With a slot
        it takes the place of what is kept of that.

        A topic that is missing is made, and is the own account's. Raises `BadArguments` for what is
        no JSON, `TooLarge`, `NotAllowed`, `StanzaError` for what the service refuses besides,
        `ConnectionFailed` and `TimeoutError`.
        """
        item = Item(self._ids.new(), _encode(check_topic(topic), payload), slot=slot)
        place = own, topic
        of = self._topics.own if own else None
        try:
            await self._publish_at(place, of, item)
        except StanzaError as error:
            if place not in self._made or error.condition not in _CHANGED:
                raise
            if error.condition == "conflict":
                self._made[place] = None  # another program has set it up anew
            else:
                del self._made[place]
            await self._publish_at(place, of, item)
        return item.id

    async def slots(self, topic: str) -> set[str]:
        """Of what something is kept in a topic of the own account's."""
        kept = await self._topics.items(topic, MOST_KEPT, self._topics.own)
        return {item.slot for item in kept if item.slot}

    async def retract(self, topic: str, slot: str) -> None:
        """Keep nothing of a slot any more. Raises `StanzaError` as the service does."""
        await self._topics.retract(topic, slot, self._topics.own)

    async def _publish_at(self, place: Place, of: str | None, item: Item) -> None:
        # A service would make a missing topic by itself, one that everybody may follow.
        if place not in self._made:
            await self._make(place, of)
        await self._topics.publish(place[1], item, of, self._made[place])

    def offline(self) -> None:
        """The connection is gone; until the next one, anything may have become of the topics."""
        self._made.clear()

    async def _make(self, place: Place, of: str | None) -> None:
        _, topic = place
        given = self._settings.get(place)
        settings = given or TopicSettings()
        has_them = await self._topics.create(topic, settings, of, change=given is not None)
        self._made[place] = settings if has_them else None
        try:
            if of is None:
                await self._hint(topic)
        except (JabotError, TimeoutError) as error:
            log.debug("nobody is told that there is the topic %s: %s", topic, error)

    async def _hint(self, topic: str) -> None:
        await self._topics.create(NEW_TOPICS, HINTS, change=False)
        hint = Item(self._ids.new(), msgspec.json.encode(topic).decode())
        await self._topics.publish(NEW_TOPICS, hint)


HINTS: Final = TopicSettings(keep=1, publishers="*", subscribers="*")


def _encode(topic: str, payload: Any) -> str:
    try:
        text = encode_result(payload).decode()
    except (TypeError, ValueError, UnicodeError, RecursionError) as error:
        raise BadArguments(f"{topic}: this cannot be published as JSON: {error}") from None
    if len(text) > LARGEST:
        raise TooLarge(
            f"{topic}: {len(text):,} bytes of JSON; an event has at most {LARGEST:,}. Publish where"
            " it is instead"
        )
    return text
