"""Who may see a node as a contact: by its rules, when they ask, and at each start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from jabot.errors import ConnectionFailed, StanzaError
from jabot.jid import JID
from jabot.xmpp import IncomingPresence, Session
from jabot.xmpp.roster import Contact, contacts
from jabot.xmpp.stanzas import presence

log = logging.getLogger(__name__)


class Consent:
    """Accepts who is allowed something, and refuses the others (RFC 6121 section 3).

    What was granted stays with the server. So when the node starts, it is taken back from those
    whom the rules allow nothing any more; unless `is_ours()` says no: another program of the
    account is the one that people know, or has let them in by rules of its own.
    """

    def __init__(
        self, session: Session, knows: Callable[[JID], bool], is_ours: Callable[[], bool]
    ) -> None:
        self._session = session
        self._knows = knows
        self._is_ours = is_ours
        self._has_looked = False
        self._looking: asyncio.Task[None] | None = None

    def asked(self, stanza: IncomingPresence) -> None:
        """Being in somebody's contact list is how they see the node."""
        answer = "subscribed" if self._knows(stanza.sender) else "unsubscribed"
        log.info("subscription request of %s: %s", stanza.sender.bare, answer)
        self._session.send(presence(to=JID(stanza.sender.bare), type=answer))

    def joined(self) -> None:
        """It is known who else is on the account. The first time that it is ours counts, and the
        next if the connection went too soon."""
        if self._is_ours() and not self._has_looked:
            self._looking = asyncio.ensure_future(self._look())

    def offline(self) -> None:
        """The connection is gone, or the node is about to be."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            listed = await contacts(self._session.requests)
        except (StanzaError, TimeoutError, ConnectionFailed) as problem:
            log.warning("the server does not tell who sees this node: %s", problem or "no answer")
            return
        self._has_looked = True
        for contact in listed:
            if _was_let_in(contact) and not self._knows(contact.jid):
                log.warning("%s sees this node no more: no rule allows it anything", contact.jid)
                self._session.send(presence(to=contact.jid, type="unsubscribed"))


def _was_let_in(contact: Contact) -> bool:
    """Whether a node's word is all that made it a contact. What a person has put on the list, or
    the server (a shared roster), is theirs to change: it has a name or a group, or is seen, too."""
    related = contact.you_see or contact.asked or contact.name or contact.groups
    return contact.sees_you and not related
