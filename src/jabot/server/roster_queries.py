"""What clients ask of their contact list: to read it, to change it (RFC 6121 section 2)."""

from __future__ import annotations

from dataclasses import replace

from jabot.server.conditions import StanzaError, read_address
from jabot.server.element import Element
from jabot.server.iq import IqTable, Request
from jabot.server.namespaces import ROSTER
from jabot.server.roster import Roster, is_visible, to_element
from jabot.server.session import Sessions
from jabot.server.subscriptions import Subscriptions

_MAX_NAME = 1023  # characters of a name or of a group


class RosterQueries:
    """Answers the IQs of `jabber:iq:roster`."""

    def __init__(
        self,
        roster: Roster,
        subscriptions: Subscriptions,
        sessions: Sessions,
        accounts: IqTable,
    ) -> None:
        self._roster = roster
        self._subscriptions = subscriptions
        self._sessions = sessions
        accounts.add("get", ROSTER, "query", self._get)
        accounts.add("set", ROSTER, "query", self._set)

    def _get(self, request: Request) -> Element:
        account = _own(request)
        session = self._sessions.get(request.sender.full)
        if session is not None:
            session.interested = True
        items = self._roster.items(account)
        return Element(ROSTER, "query", None, [to_element(item) for item in items])

    def _set(self, request: Request) -> None:
        account = _own(request)
        items = list(request.payload.elements("item"))
        if len(items) != 1:
            raise StanzaError("bad-request", "a roster set holds exactly one item")
        [wanted] = items
        contact = read_address(wanted.attrs.get("jid", "")).bare
        if not contact:
            raise StanzaError("bad-request", "the item has no address")
        if wanted.attrs.get("subscription") == "remove":
            self._remove(account, contact)
        else:
            self._put(account, contact, wanted)

    def _put(self, account: str, contact: str, wanted: Element) -> None:
        name = wanted.attrs.get("name", "")
        groups = tuple(each.text() for each in wanted.elements("group"))
        if len(set(groups)) != len(groups):
            raise StanzaError("bad-request", "a group is named twice")
        if len(name) > _MAX_NAME or not all(0 < len(each) <= _MAX_NAME for each in groups):
            raise StanzaError("not-acceptable", "a name or a group is empty or too long")
        item = self._roster.item_or_new(account, contact)
        item = replace(item, listed=True, name=name, groups=groups)
        self._roster.save(account, item)
        self._roster.push(account, item)

    def _remove(self, account: str, contact: str) -> None:
        """RFC 6121 section 2.5: the subscriptions go first, both ways."""
        item = self._roster.item(account, contact)
        if item is None or not is_visible(item):
            raise StanzaError("item-not-found")
        self._subscriptions.cancel(account, item)
        self._roster.delete(account, contact)


def _own(request: Request) -> str:
    """The sender's account; nobody reads another's roster (RFC 6121 section 2.1.3)."""
    account: str = request.sender.bare
    if request.to.bare != account:
        raise StanzaError("forbidden")
    return account
