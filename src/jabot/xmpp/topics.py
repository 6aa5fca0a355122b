"""A publish-subscribe service, as a session uses it (XEP-0060): what is asked of it, by IQ."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from jabot.errors import NotAllowed, StanzaError
from jabot.jid import JID
from jabot.xmpp import topic_stanzas as stanzas
from jabot.xmpp.disco import information
from jabot.xmpp.session import Session
from jabot.xmpp.topic_stanzas import Item

_NO_SERVICE: Final = "the server {domain} has no publish-subscribe service; ejabberd: mod_pubsub"
_DENIED: Final = frozenset({"forbidden", "not-allowed", "not-authorized"})


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """How a topic is kept, and who may do what with it. Its owner may do all."""

    keep: int = 10
    """How many of the newest events are kept."""
    publishers: Collection[str] | Literal["*"] = ()
    """Bare addresses of others who may publish; `*` is everybody."""
    subscribers: Collection[str] | Literal["*"] = ()
    """Bare addresses of others who may subscribe; `*` is everybody."""

    def fields(self) -> dict[str, str]:
        """As the service's form has it (section 8.1.3). `itemreply` has the service say who
        published what."""
        return {
            "access_model": "open" if self.subscribers == "*" else "whitelist",
            "publish_model": "open" if self.publishers == "*" else "publishers",
            "persist_items": "1",
            "max_items": str(self.keep),
            "send_last_published_item": "never",
            "notify_retract": "0",
            "itemreply": "publisher",
        }

    def affiliations(self) -> dict[str, str]:
        """Of those who are named."""
        members = () if self.subscribers == "*" else self.subscribers
        publishers = () if self.publishers == "*" else self.publishers
        return {**dict.fromkeys(members, "member"), **dict.fromkeys(publishers, "publisher")}


class Topics:
    """Asks the publish-subscribe service of the own server, or the account of a node (PEP).

    `of` is the bare address of an account whose own topics are meant; None: the server's service.
    All methods raise `ConnectionFailed` without a connection, `TimeoutError` when there is no
    answer, and `StanzaError` for what the service refuses; `NotAllowed` is said where it is said.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._service: JID | None = None

    @property
    def own(self) -> str:
        """The own account."""
        return self._session.jid.bare

    async def service(self, of: str | None = None) -> JID:
        """The address of a service. Raises `StanzaError` when the server has none."""
        if of is not None:
            return JID(of)
        if self._service is None:
            self._service = await self._find()
        return self._service

    async def create(
        self, topic: str, settings: TopicSettings, of: str | None = None, *, change: bool
    ) -> None:
        """Make a topic. One that is there is left as it is, or with `change` gets these settings.

        Raises `NotAllowed` when it is another account's.
        """
        service = await self.service(of)
        ask = self._session.requests.ask
        try:
            try:
                await ask("set", service, stanzas.create(topic, settings.fields()))
            except StanzaError as error:
                if error.condition != "conflict":
                    raise
                if not change:
                    return
                await ask("set", service, stanzas.configure(topic, settings.fields()))
            if affiliations := settings.affiliations():
                await ask("set", service, stanzas.affiliate(topic, affiliations))
        except StanzaError as error:
            raise _named(error, f"make the topic {topic}") from error

    async def publish(self, topic: str, item_id: str, text: str, of: str | None = None) -> None:
        """Publish JSON. Raises `NotAllowed`; `StanzaError` `item-not-found` when there is no such
        topic."""
        try:
            service = await self.service(of)
            await self._session.requests.ask("set", service, stanzas.publish(topic, item_id, text))
        except StanzaError as error:
            raise _named(error, f"publish to {topic}") from error

    async def subscribe(self, topic: str, of: str | None = None) -> None:
        """Have the own account told of what is published, for good. Raises `NotAllowed`.

        The account, not this program: a subscription of a program would outlive it.
        """
        try:
            service = await self.service(of)
            stanza = stanzas.subscribe(topic, self.own)
            await self._session.requests.ask("set", service, stanza)
        except StanzaError as error:
            raise _named(error, f"subscribe to {topic}") from error

    async def items(self, topic: str, most: int, of: str | None = None) -> list[Item]:
        """What is kept of a topic, up to `most` of the newest, the oldest first."""
        try:
            service = await self.service(of)
            answer = await self._session.requests.ask("get", service, stanzas.items(topic, most))
        except StanzaError as error:
            raise _named(error, f"read {topic}") from error
        # Services differ in the order. Ours have ids that grow with time.
        return sorted(stanzas.read_items(answer), key=lambda item: item.id)

    async def names(self, of: str | None = None) -> list[str]:
        """The topics that there are. Their names are no secret: a service tells them everybody."""
        service = await self.service(of)
        answer = await self._session.requests.ask("get", service, stanzas.topics())
        return stanzas.read_topics(answer)

    def lost(self) -> None:
        """The connection is gone; the server may be another one next time."""
        self._service = None

    async def _find(self) -> JID:
        ask, domain = self._session.requests.ask, JID(self._session.jid.domain)
        for part in stanzas.read_parts(await ask("get", domain, stanzas.topics())):
            try:
                found = await ask("get", JID(part), information())
            except (StanzaError, TimeoutError):
                continue  # another service, which is none of ours
            if stanzas.is_service(found):
                return JID(part)
        raise StanzaError("item-not-found", _NO_SERVICE.format(domain=domain))


def _named(error: StanzaError, what: str) -> StanzaError | NotAllowed:
    """The error, saying what was not possible."""
    if error.condition in _DENIED:
        return NotAllowed(f"you may not {what}: its owner has to allow it")
    return StanzaError(
        error.condition, f"cannot {what}" + (f": {error.text}" if error.text else "")
    )
