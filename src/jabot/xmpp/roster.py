"""The contact list that the server keeps for an account (RFC 6121 section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from jabot.jid import JID, InvalidJID
from jabot.xmpp.requests import Requests
from jabot.xmpp.stanzas import clean

ROSTER: Final = "jabber:iq:roster"


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact, and who of the two sees when the other is online."""

    jid: JID  # mostly an account; a gateway or a server has no name before the @
    name: str = ""
    sees_you: bool = False
    you_see: bool = False
    asked: bool = False  # to see it, and there is no answer yet
    groups: tuple[str, ...] = ()

    @property
    def is_account(self) -> bool:
        """Gateways are none: they take a greeting for more than one."""
        return bool(self.jid.node)


async def contacts(requests: Requests) -> list[Contact]:
    """All contacts. From then on the session hears of changes of the list.

    Raises what `Requests.ask` raises.
    """
    return read_contacts(await requests.ask("get", None, ET.Element(f"{{{ROSTER}}}query")))


async def keep(requests: Requests, contact: Contact) -> None:
    """Put a contact on the list, or change its name and groups; this asks for no subscription."""
    query, item = _query(contact.jid)
    if contact.name:
        item.set("name", clean(contact.name))
    for group in contact.groups:
        ET.SubElement(item, f"{{{ROSTER}}}group").text = group
    await requests.ask("set", None, query)


async def remove(requests: Requests, jid: JID) -> None:
    """Take a contact off the list. The server ends both directions (section 2.5)."""
    query, item = _query(jid)
    item.set("subscription", "remove")
    await requests.ask("set", None, query)


def read_contacts(query: ET.Element) -> list[Contact]:
    """The items of a list; what has no address that can be read is left out."""
    found = []
    for item in query.iterfind(f"{{{ROSTER}}}item"):
        try:
            jid = JID(item.get("jid"))
        except InvalidJID:
            continue
        if not jid.domain:
            continue
        state = item.get("subscription", "none")
        found.append(
            Contact(
                jid=JID(jid.bare),
                name=item.get("name", ""),
                sees_you=state in ("from", "both"),
                you_see=state in ("to", "both"),
                asked=item.get("ask") == "subscribe",
                groups=tuple(g.text for g in item.iterfind(f"{{{ROSTER}}}group") if g.text),
            )
        )
    return found


def _query(jid: JID) -> tuple[ET.Element, ET.Element]:
    query = ET.Element(f"{{{ROSTER}}}query")
    return query, ET.SubElement(query, f"{{{ROSTER}}}item", {"jid": jid.bare})
