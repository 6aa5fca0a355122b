"""Publishing to topics."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from jabot.errors import BadArguments, ConfigError, JabotError, TooLarge
from jabot.runner.job import JobIds
from jabot.tasks.result import encode_result
from jabot.topics.names import check_topic
from jabot.xmpp.topics import Topics, TopicSettings

log = logging.getLogger(__name__)

LARGEST: Final = 48 * 1024  # bytes of JSON in one event; services keep no more than some 60,000
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
        self._made: set[Place] = set()  # with the settings of this program
        self._ids = JobIds()

    async def publish(self, topic: str, payload: Any, *, own: bool = False) -> str:
        """Publish a JSON-shaped value; returns the event's id when the service has it.

        A topic that is missing is made, and is the own account's. Raises `BadArguments` for what is
        no JSON, `TooLarge`, `NotAllowed`, `StanzaError` for what the service refuses besides,
        `ConnectionFailed` and `TimeoutError`.
        """
        text = _encode(check_topic(topic), payload)
        of = self._topics.own if own else None
        # A service would make a missing topic by itself, one that everybody may follow.
        if (own, topic) not in self._made:
            await self._make((own, topic), of)
        item = self._ids.new()
        await self._topics.publish(topic, item, text, of)
        return item

    def offline(self) -> None:
        """The connection is gone; until the next one, anything may have become of the topics."""
        self._made.clear()

    async def _make(self, place: Place, of: str | None) -> None:
        _, topic = place
        settings = self._settings.get(place)
        await self._topics.create(
            topic, settings or TopicSettings(), of, change=settings is not None
        )
        self._made.add(place)
        try:
            if of is None:
                await self._hint(topic)
        except (JabotError, TimeoutError) as error:
            log.debug("nobody is told that there is the topic %s: %s", topic, error)

    async def _hint(self, topic: str) -> None:
        await self._topics.create(NEW_TOPICS, HINTS, change=False)
        text = msgspec.json.encode(topic).decode()
        await self._topics.publish(NEW_TOPICS, self._ids.new(), text)


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
