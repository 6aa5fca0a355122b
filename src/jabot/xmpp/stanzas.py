"""Stanzas as jabot sees them: what is read from them, and how ours are built."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.etree import ElementTree as ET

from jabot.jid import JID, InvalidJID

CLIENT = "jabber:client"
JABOT = "urn:jabot:0"
CHAT_STATES = "http://jabber.org/protocol/chatstates"  # XEP-0085
CORRECT = "urn:xmpp:message-correct:0"  # XEP-0308
DELAY = "urn:xmpp:delay"  # XEP-0203
HINTS = "urn:xmpp:hints"  # XEP-0334
MUC_USER = "http://jabber.org/protocol/muc#user"  # XEP-0045
SID = "urn:xmpp:sid:0"  # XEP-0359
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"  # RFC 6120 section 8.3.3

# The kind of error that goes with a condition (RFC 6120 section 8.3.3); `cancel` for the others.
_KINDS: Final = {
    "bad-request": "modify",
    "forbidden": "auth",
    "jid-malformed": "modify",
    "not-acceptable": "modify",
    "not-authorized": "auth",
    "registration-required": "auth",
    "resource-constraint": "wait",
}

ChatState = Literal["active", "composing", "paused"]

# What XML 1.0 does not allow (section 2.2): one of these would end the stream.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """The text with what XML cannot carry replaced by U+FFFD, and its line ends by newlines."""
    return _FORBIDDEN.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class IncomingText:
    """A line of chat, or the error that one of ours came back with."""

    sender: JID
    to: JID
    body: str
    id: str
    type: str  # chat, normal, groupchat, headline or error (RFC 6121 section 5.2.2)
    delayed: bool  # it waited in a store (XEP-0203): it must never run anything
    chat_state: str | None  # XEP-0085
    replaces: str | None  # the id of the message that this one corrects (XEP-0308)
    automatic: bool  # a jabot node answered; two bots that answer each other would never end
    progress: bool = False  # ... and what it says may be corrected soon
    stanza_id: str = ""  # what its room or its archive knows it by (XEP-0359)
    reply_to: str = ""  # the line in a room that it is the collected answer to


@dataclass(frozen=True)
class IncomingPresence:
    """A change of somebody's presence."""

    sender: JID
    to: JID
    type: str  # available, unavailable, subscribe, unsubscribed, ... (RFC 6121 section 4.7.1)
    show: str
    status: str
    node: dict[str, str] | None  # what a jabot node says of itself; None for all others
    hello: bool = False  # a program asks for what this node offers
    condition: str = ""  # of an error (RFC 6120 section 8.3.3)
    room: ET.Element | None = None  # what a room says of an occupant (XEP-0045), unread


@dataclass(frozen=True)
class OutgoingText:
    """A line of chat to somebody."""

    to: JID
    body: str
    chat_state: ChatState | None = None
    replaces: str | None = None
    automatic: bool = False  # an answer of a node, as opposed to what somebody wrote
    progress: bool = False  # of no use later, so servers do not keep it for who is away
    type: Literal["chat", "groupchat"] = "chat"
    reply_to: str = ""  # the line in a room that it is the collected answer to
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def xml(self) -> ET.Element:
        """The message stanza."""
        message = message_to(self.to, self.id, self.type)
        ET.SubElement(message, f"{{{CLIENT}}}body").text = clean(self.body)
        if self.chat_state:
            ET.SubElement(message, f"{{{CHAT_STATES}}}{self.chat_state}")
        if self.replaces:
            ET.SubElement(message, f"{{{CORRECT}}}replace", {"id": self.replaces})
        if self.automatic:
            what = {"progress": "true"} if self.progress else {}
            ET.SubElement(message, f"{{{JABOT}}}automatic", what)
        if self.reply_to:
            ET.SubElement(message, f"{{{JABOT}}}reply", {"to": clean(self.reply_to)})
        if self.progress:
            ET.SubElement(message, f"{{{HINTS}}}no-store")
        return message


def chat_state(to: JID, state: ChatState) -> ET.Element:
    """A message that only tells a typing state; servers do not keep it for later."""
    message = message_to(to, uuid.uuid4().hex)
    ET.SubElement(message, f"{{{CHAT_STATES}}}{state}")
    ET.SubElement(message, f"{{{HINTS}}}no-store")
    return message


def message_to(to: JID, stanza_id: str, kind: str = "chat") -> ET.Element:
    """A message without content yet."""
    return ET.Element(f"{{{CLIENT}}}message", {"to": str(to), "type": kind, "id": stanza_id})


def presence(
    *,
    to: JID | None = None,
    type: str | None = None,  # noqa: A002 - the attribute's name in RFC 6121
    show: str | None = None,
    status: str | None = None,
    priority: int | None = None,
    node: dict[str, str] | None = None,
) -> ET.Element:
    """A presence stanza; `show=None` is plain available."""
    stanza = ET.Element(f"{{{CLIENT}}}presence")
    if to is not None:
        stanza.set("to", str(to))
    if type is not None:
        stanza.set("type", type)
    for name, value in (("show", show), ("status", status), ("priority", priority)):
        if value is not None:
            ET.SubElement(stanza, f"{{{CLIENT}}}{name}").text = clean(str(value))
    if node is not None:
        ET.SubElement(stanza, f"{{{JABOT}}}node", {k: clean(v) for k, v in node.items()})
    return stanza


def hello(to: JID) -> ET.Element:
    """A greeting: whoever would obey us there shows what it offers (docs/protocol.md)."""
    stanza = presence(to=to, priority=-1)
    ET.SubElement(stanza, f"{{{JABOT}}}hello")
    return stanza


def presence_refused(to: JID, condition: str) -> ET.Element:
    """The answer to the greeting of somebody who may do nothing here (`forbidden`), or not now
    (`resource-constraint`)."""
    stanza = presence(to=to, type="error")
    stanza.append(error(condition))
    return stanza


def error(condition: str, text: str = "") -> ET.Element:
    """What a stanza of type error holds."""
    element = ET.Element(f"{{{CLIENT}}}error", {"type": error_kind(condition)})
    ET.SubElement(element, f"{{{STANZAS}}}{condition}")
    if text:
        ET.SubElement(element, f"{{{STANZAS}}}text").text = clean(text)
    return element


def error_kind(condition: str) -> str:
    """What its receiver may do about it: `auth`, `modify`, `wait` or `cancel`."""
    return _KINDS.get(condition, "cancel")


def read_text(xml: ET.Element, own: JID) -> IncomingText | None:
    """A message's text; None when it has none of its own.

    Only direct children are looked at: what a carbon or another forwarded copy wraps is not said to
    us, and could be forged.
    """
    sender, to = _addresses(xml, own)
    body = xml.find(f"{{{CLIENT}}}body")
    if sender is None or to is None:
        return None
    kind = xml.get("type", "normal")
    if body is None or (not body.text and kind != "error"):
        return None
    state = next((c.tag for c in xml if c.tag.startswith(f"{{{CHAT_STATES}}}")), None)
    replace = xml.find(f"{{{CORRECT}}}replace")
    automatic = xml.find(f"{{{JABOT}}}automatic")
    reply = xml.find(f"{{{JABOT}}}reply")
    return IncomingText(
        sender=sender,
        to=to,
        body=body.text or "",
        id=xml.get("id", ""),
        type=kind,
        delayed=xml.find(f"{{{DELAY}}}delay") is not None,
        chat_state=state.rpartition("}")[2] if state else None,
        replaces=replace.get("id") if replace is not None else None,
        automatic=automatic is not None,
        progress=automatic is not None and automatic.get("progress") == "true",
        stanza_id=_given_id(xml, sender.bare),
        reply_to=reply.get("to", "") if reply is not None else "",
    )


def _given_id(xml: ET.Element, giver: str) -> str:
    """The stanza's id by `giver`; others may have put theirs there."""
    ids = (e.get("id", "") for e in xml.findall(f"{{{SID}}}stanza-id") if e.get("by") == giver)
    return next(ids, "")


def read_chat_state(xml: ET.Element, own: JID) -> tuple[JID, str] | None:
    """Who is typing: the sender and the state, of a message without a text."""
    sender, _ = _addresses(xml, own)
    for child in xml:
        if sender is not None and child.tag.startswith(f"{{{CHAT_STATES}}}"):
            return sender, child.tag.rpartition("}")[2]
    return None


def read_presence(xml: ET.Element, own: JID) -> IncomingPresence | None:
    """A presence stanza; None when its addresses cannot be read."""
    sender, to = _addresses(xml, own)
    if sender is None or to is None:
        return None
    node = xml.find(f"{{{JABOT}}}node")
    return IncomingPresence(
        sender=sender,
        to=to,
        type=xml.get("type", "available"),
        show=xml.findtext(f"{{{CLIENT}}}show", "") or "",
        status=xml.findtext(f"{{{CLIENT}}}status", "") or "",
        node=dict(node.attrib) if node is not None else None,
        hello=xml.find(f"{{{JABOT}}}hello") is not None,
        condition=read_error(xml)[0] if xml.get("type") == "error" else "",
        room=xml.find(f"{{{MUC_USER}}}x"),
    )


def read_error(xml: ET.Element) -> tuple[str, str]:
    """The condition of a stanza of type error, and the text that says more."""
    condition, text = "undefined-condition", ""
    error = xml.find(f"{{{CLIENT}}}error")
    for child in error if error is not None else ():
        namespace, _, name = child.tag.rpartition("}")
        if namespace != f"{{{STANZAS}":
            continue
        if name == "text":
            text = child.text or ""
        else:
            condition = name
    return condition, text


def _addresses(xml: ET.Element, own: JID) -> tuple[JID | None, JID | None]:
    """From and to; a server leaves them out when it means this session itself."""
    try:
        sender = JID(xml.get("from")) if xml.get("from") else JID(own.bare)
        return sender, JID(xml.get("to")) if xml.get("to") else own
    except InvalidJID:
        return None, None
