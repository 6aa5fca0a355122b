"""What a node adds to the one answer that a line in a room gets."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args
from xml.etree import ElementTree as ET

from jabot.jid import JID, InvalidJID
from jabot.xmpp.stanzas import HINTS, JABOT, clean, message_to

Status = Literal["answered", "failed", "refused", "stranger", "running", "nothing"]
"""What came of the line there. `refused`: its sender may not have that done; `stranger`: nor
anything else; `running`: there will be another share; `nothing`: it has nothing to say to it."""

_STATUSES: Final = frozenset(get_args(Status))


@dataclass(frozen=True, slots=True)
class Share:
    """One node's part of an answer, as the node that collects it gets it."""

    sender: JID
    room: str
    line: str  # which one it is about: `line_id` of its text
    status: Status
    text: str


def share(to: JID, room: str, line: str, status: Status, text: str) -> ET.Element:
    """The message that brings it. It has no body: programs of people show nothing of it."""
    message = message_to(to, uuid.uuid4().hex, "normal")
    attributes = {"room": room, "to": clean(line), "status": status}
    ET.SubElement(message, f"{{{JABOT}}}reply", attributes).text = clean(text)
    ET.SubElement(message, f"{{{HINTS}}}no-store")
    return message


def read_share(xml: ET.Element) -> Share | None:
    """The share that a message brings; None for any other message."""
    reply = xml.find(f"{{{JABOT}}}reply")
    if reply is None or xml.get("type") not in (None, "normal"):
        return None
    status, line = reply.get("status", ""), reply.get("to", "")
    try:
        sender = JID(xml.get("from", ""))
        room = JID(reply.get("room", "")).bare
    except InvalidJID:
        return None
    if status not in _STATUSES or not line or not sender.resource:
        return None
    return Share(sender, room, line, cast("Status", status), reply.text or "")
