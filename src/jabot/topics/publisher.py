"""What users call to publish: the same methods on a client and on a node."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from jabot.account import parse_jid
from jabot.topics.publishing import Place, Publishing, check_settings
from jabot.xmpp.topics import TopicSettings

Accounts = Collection[str] | Literal["*"]


class TopicOwner:
    """Mixed into what has `_topics`, a mapping of its own."""

    _topics: dict[Place, TopicSettings]

    def topic(
        self,
        name: str,
        *,
        keep: int = 10,
        publishers: Accounts = (),
        subscribers: Accounts = (),
        own: bool = False,
    ) -> None:
        """Say how a topic that this program publishes to is to be, before it does so. It is made
        when it is missing, and is the own account's.

        The newest `keep` events (1 to 1,000) are kept for those who come later. Besides the own
        account, `publishers` may publish to it and `subscribers` follow it: addresses of accounts,
        or `"*"` for everybody. With `own` it is the account's own (PEP), else one of the server's.
        Raises `ConfigError`.
        """
        settings = TopicSettings(keep, _accounts(publishers), _accounts(subscribers))
        check_settings(name, settings)
        self._topics[own, name] = settings


class Publisher(TopicOwner):
    """Mixed into what has `_publishing`, too."""

    @property
    def _publishing(self) -> Publishing:
        raise NotImplementedError

    async def publish(self, topic: str, payload: Any, *, own: bool = False) -> str:
        """Publish a JSON-shaped value to a topic; returns the event's id when the server has it.

        A topic that is missing is made. Raises `BadArguments` for what is no JSON, `TooLarge` past
        48 KiB of it, `NotAllowed` when the topic is another account's, `StanzaError` when the
        server refuses it besides, `ConnectionFailed` without a connection, `TimeoutError` without
        an answer: then it may have been published.
        """
        return await self._publishing.publish(topic, payload, own=own)


def _accounts(given: Accounts) -> Accounts:
    return "*" if given == "*" else tuple(parse_jid(address).bare for address in given)
