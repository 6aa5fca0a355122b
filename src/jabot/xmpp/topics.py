"""A publish-subscribe service, as a session uses it (XEP-0060): what is asked of it, by IQ."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree as ET

from jabot.errors import NotAllowed, StanzaError
from jabot.jid import JID
from jabot.xmpp import topic_stanzas as stanzas
from jabot.xmpp.disco import information
from jabot.xmpp.session import Session
from jabot.xmpp.topic_stanzas import Item

_MISSING: Final = "feature-not-implemented"
_NO_SERVICE: Final = "the server {} has no publish-subscribe service; ejabberd: mod_pubsub"
_NO_ACCOUNT: Final = (
    "accounts of the server {} have no topics of their own (PEP); ejabberd: mod_pubsub with the"
    " plugin pep"
)
_DENIED: Final = frozenset({"forbidden", "not-allowed", "not-authorized"})
_GRANTED: Final = frozenset({"member", "publisher", "publish-only"})


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
            "notify_delete": "1",
            "itemreply": "publisher",
        }

    def conditions(self) -> dict[str, str]:
        """What has to hold when something is published."""
        return {"access_model": self.fields()["access_model"]}

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
        """The address of a service. Raises `StanzaError` `feature-not-implemented` when the server
        has none."""
        if of is not None:
            return JID(of)
        if self._service is None:
            self._service = await self._find()
        return self._service

    async def create(
        self, topic: str, settings: TopicSettings, of: str | None = None, *, change: bool
    ) -> bool:
        """Make a topic. One that is there is left as it is, or with `change` gets these settings.
        Tells whether it has them.

        Raises `NotAllowed` when it is another account's.
        """
        with _trying_to(f"make the topic {topic}"):
            try:
                await self._ask("set", of, stanzas.create(topic, settings.fields()))
            except StanzaError as error:
                if error.condition != "conflict":
                    raise
                if not change:
                    return False
                await self._change(of, topic, settings)
            if held := settings.affiliations():
                await self._ask("set", of, stanzas.affiliate(topic, held))
        return True

    async def _change(self, of: str | None, topic: str, settings: TopicSettings) -> None:
        """Give a topic other settings. Who is not named any more loses the rights, and the
        subscription: a service may go on telling them.

        Where nobody can end these (ejabberd, an account's own topics), the topic is made anew,
        without what was kept. Nothing is changed before that: who looks at it after a crash has to
        see who lost what.
        """
        answer = await self._ask("get", of, stanzas.of_owner("configure", topic))
        was_open = stanzas.read_setting(answer, "access_model") != "whitelist"
        answer = await self._ask("get", of, stanzas.of_owner("affiliations", topic))
        held = stanzas.read_held(answer, "affiliation")
        named = settings.affiliations()
        gone = [who for who, what in held.items() if what in _GRANTED and who not in named]
        stay = {*named, *(who for who, what in held.items() if what == "owner")}
        ended: list[str] = []
        if settings.subscribers != "*":
            subscribed = await self._subscribed(of, topic)
            if subscribed is None and (gone or was_open):
                await self._make_anew(of, topic, settings)
                return
            ended = [who for who in subscribed or () if JID(who).bare not in stay]
        await self._ask("set", of, stanzas.configure(topic, settings.fields()))
        if gone:
            taken = dict.fromkeys(gone, "none")
            await self._ask("set", of, stanzas.affiliate(topic, taken))
        if ended:
            await self._ask("set", of, stanzas.unsubscribe(topic, ended))

    async def _subscribed(self, of: str | None, topic: str) -> list[str] | None:
        """The addresses that are told of what is published; None where the service does not say."""
        await self.service(of)  # that there is none says nothing of this
        try:
            answer = await self._ask("get", of, stanzas.of_owner("subscriptions", topic))
        except StanzaError as error:
            if error.condition != _MISSING:
                raise
            return None
        return list(stanzas.read_held(answer, "subscription"))

    async def _make_anew(self, of: str | None, topic: str, settings: TopicSettings) -> None:
        await self._ask("set", of, stanzas.of_owner("delete", topic))
        try:
            await self._ask("set", of, stanzas.create(topic, settings.fields()))
        except StanzaError as error:
            if error.condition != "conflict":
                raise
            # What another program of the account published in this moment has made one.
            await self._ask("set", of, stanzas.configure(topic, settings.fields()))

    async def publish(
        self,
        topic: str,
        item: Item,
        of: str | None = None,
        settings: TopicSettings | None = None,
    ) -> None:
        """Publish JSON. Raises `NotAllowed`; `StanzaError` `item-not-found` when there is no such
        topic, and `conflict` when others may follow it than `settings` say. (A service may make one
        that is missing by itself, which everybody may follow if these do not say otherwise.)
        """
        conditions = {} if settings is None else settings.conditions()
        with _trying_to(f"publish to {topic}"):
            await self._ask("set", of, stanzas.publish(topic, item, conditions))

    async def retract(self, topic: str, slot: str, of: str | None = None) -> None:
        """Remove what is kept of a slot."""
        await self._ask("set", of, stanzas.retract(topic, slot))

    async def subscribe(self, topic: str, of: str | None = None) -> None:
        """Have the own account told of what is published, for good. Raises `NotAllowed`.

        The account, not this program: a subscription of a program would outlive it.
        """
        with _trying_to(f"subscribe to {topic}"):
            await self._ask("set", of, stanzas.subscribe(topic, self.own))

    async def items(self, topic: str, most: int, of: str | None = None) -> list[Item]:
        """What is kept of a topic, up to `most` of the newest, the oldest first."""
        found: dict[str, Item] = {}
        before, more = None, True
        with _trying_to(f"read {topic}"):
            while more:  # an answer has its limit, too
                wanted = stanzas.items(topic, most - len(found), before)
                answer = await self._ask("get", of, wanted)
                page = {item.id: item for item in stanzas.read_items(answer)}
                before = stanzas.read_before(answer)
                more = before is not None and bool(page.keys() - found.keys())
                found |= page
                more = more and len(found) < most
        # Services differ in the order. Ours have ids that grow with time.
        return sorted(found.values(), key=lambda item: item.id)

    async def names(self, of: str | None = None) -> list[str]:
        """The topics that there are. Their names are no secret: a service tells them everybody."""
        with _trying_to("ask for the topics" + (f" of {of}" if of else "")):
            return stanzas.read_topics(await self._ask("get", of, stanzas.topics()))

    def lost(self) -> None:
        """The connection is gone; the server may be another one next time."""
        self._service = None

    async def _find(self) -> JID:
        domain = JID(self._session.jid.domain)
        ask = self._session.requests.ask
        try:
            parts = stanzas.read_parts(await ask("get", domain, stanzas.topics()))
        except StanzaError:
            parts = []  # it cannot even be asked what it has
        for part in parts:
            try:
                found = await ask("get", JID(part), information())
            except (StanzaError, TimeoutError):
                continue  # another service, which is none of ours
            if stanzas.is_service(found):
                return JID(part)
        raise StanzaError(_MISSING, _NO_SERVICE.format(domain))

    async def _ask(
        self, kind: Literal["get", "set"], of: str | None, payload: ET.Element
    ) -> ET.Element:
        service = await self.service(of)
        try:
            return await self._session.requests.ask(kind, service, payload)
        except StanzaError as error:
            if error.condition == "service-unavailable" and service.node:
                raise StanzaError(_MISSING, _NO_ACCOUNT.format(service.domain)) from error
            raise


@contextmanager
def _trying_to(do: str) -> Iterator[None]:
    """Has an error say what was not possible."""
    try:
        yield
    except StanzaError as error:
        if error.condition in _DENIED:
            raise NotAllowed(f"you may not {do}: its owner has to allow it") from error
        why = f": {error.text}" if error.text else ""
        raise StanzaError(error.condition, f"cannot {do}{why}") from error
