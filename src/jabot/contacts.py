"""A short visit to one's contact list: for `jabot contacts`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final, Literal, Self, TypeAlias

from jabot.account import Account
from jabot.errors import ConfigError, ConnectionFailed, NotAllowed, StanzaError
from jabot.jid import JID
from jabot.xmpp import IncomingPresence, Session, SessionListener, roster
from jabot.xmpp.roster import Contact
from jabot.xmpp.stanzas import presence

Answer: TypeAlias = Literal["accepted", "already", "refused", "waiting"]

_LOOK: Final = 2.0  # seconds for presence to arrive, where a contact that we see stays silent
_QUIET: Final = 0.25  # seconds without news, once each of them was heard: a pool has several nodes


class ContactList(SessionListener):
    """Signed in between `async with` and its end, with a priority that takes no texts: what waits
    for the account on its server is left to the chat programs of its person."""

    def __init__(self, account: Account) -> None:
        self._session = Session(account, self)
        self._online = asyncio.Event()
        self._news = asyncio.Event()
        self._present: dict[str, IncomingPresence] = {}  # by full address
        self._asked: tuple[str, asyncio.Future[Answer]] | None = None  # whom, and what it says
        self._connection: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._connection = asyncio.ensure_future(self._session.run(keep_trying=False))
        online = asyncio.ensure_future(self._online.wait())
        try:
            await asyncio.wait({self._connection, online}, return_when="FIRST_COMPLETED")
        finally:
            online.cancel()
        if self._connection.done():
            self._connection.result()  # raises why the server would not have us
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.stop()
        if self._connection is not None:
            await asyncio.gather(self._connection, return_exceptions=True)

    async def look(self) -> dict[Contact, list[IncomingPresence]]:
        """All contacts by address, each with what shows that it is online: one of every program."""
        listed = await roster.contacts(self._session.requests)
        self._session.send(presence(priority=-1))
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await self._until_heard({each.jid.bare for each in listed if each.you_see})
        there: dict[str, list[IncomingPresence]] = {}
        for stanza in self._present.values():
            there.setdefault(stanza.sender.bare, []).append(stanza)
        return {
            each: sorted(there.get(each.jid.bare, ()), key=lambda s: str(s.sender))
            for each in sorted(listed, key=lambda contact: str(contact.jid))
        }

    async def add(
        self, jid: JID, name: str | None = None, *, accept: bool = False, limit: float
    ) -> Answer:
        """Put somebody on the list, and ask to see it; with `accept`, its request to see us is
        granted. Without one the server drops that, or keeps it for when it asks (RFC 6121
        section 3.4).

        Waits `limit` seconds for what it says. Who refuses, and was not on the list before, is not
        on it afterwards. Raises `StanzaError` for an address where nothing can be asked.
        """
        if jid.bare == self._session.jid.bare:
            raise ConfigError(f"{jid.bare} is this account itself, which always sees its programs")
        before = await self._find(jid)
        contact = before or Contact(JID(jid.bare))
        if name is not None:
            contact = replace(contact, name=name)
        if contact != before:
            await roster.keep(self._session.requests, contact)
        if accept:
            self._session.send(presence(to=contact.jid, type="subscribed"))
        if contact.you_see:
            return "already"
        try:
            answer = await self._ask(contact.jid, limit)
        except StanzaError:
            await self._withdraw(contact.jid, before)
            raise
        if answer == "refused":
            await self._withdraw(contact.jid, before)
        return answer

    async def remove(self, jid: JID) -> bool:
        """Take somebody off the list, so that neither sees the other; False when it was not on.

        Raises `NotAllowed` when the server keeps it there: its operator has put it on the lists of
        many (a shared roster).
        """
        if await self._find(jid) is None:
            return False
        await roster.remove(self._session.requests, jid)
        if await self._find(jid) is not None:
            raise NotAllowed(
                f"the server keeps {jid.bare} on the contact list of {self._session.jid.bare}: it "
                "is in a shared roster, which only the server's administrator can change"
            )
        return True

    async def _find(self, jid: JID) -> Contact | None:
        listed = await roster.contacts(self._session.requests)
        return next((each for each in listed if each.jid.bare == jid.bare), None)

    async def _ask(self, jid: JID, limit: float) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked = (jid.bare, answer)
        # Answers go to who is online, and only to them (RFC 6121 section 3.1.6).
        self._session.send(presence(priority=-1))
        self._session.send(presence(to=jid, type="subscribe"))
        try:
            async with asyncio.timeout(limit):
                return await answer
        except TimeoutError:
            return "waiting"
        finally:
            self._asked = None

    async def _withdraw(self, jid: JID, before: Contact | None) -> None:
        if before is None:
            await roster.remove(self._session.requests, jid)

    async def _until_heard(self, awaited: set[str]) -> None:
        """Until all are online and have nothing to add; runs into its limit when one is not."""
        while awaited - {stanza.sender.bare for stanza in self._present.values()}:
            self._news.clear()
            await self._news.wait()
        while awaited:
            self._news.clear()
            try:
                async with asyncio.timeout(_QUIET):
                    await self._news.wait()
            except TimeoutError:
                return

    # -- what the session tells ------------------------------------------------------------------

    def online(self) -> None:
        self._online.set()

    def offline(self) -> None:
        self._present.clear()
        if self._asked is not None and not self._asked[1].done():
            self._asked[1].set_exception(ConnectionFailed("the connection was lost"))

    def presence_received(self, stanza: IncomingPresence) -> None:
        sender = stanza.sender
        if stanza.type == "available":
            self._present[str(sender)] = stanza
            self._news.set()
        elif stanza.type == "unavailable":
            self._present.pop(str(sender), None)
            self._news.set()
        elif self._asked is not None and not sender.resource and sender.bare == self._asked[0]:
            self._answered(self._asked[1], stanza)

    def _answered(self, answer: asyncio.Future[Answer], stanza: IncomingPresence) -> None:
        if answer.done():
            return
        if stanza.type == "subscribed":
            answer.set_result("accepted")
        elif stanza.type == "unsubscribed":
            answer.set_result("refused")
        elif stanza.type == "error":
            answer.set_exception(StanzaError(stanza.condition))
