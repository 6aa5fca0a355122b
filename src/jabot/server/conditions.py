"""What can go wrong with a stream (RFC 6120 section 4.9) or a stanza (section 8.3)."""

from __future__ import annotations

from jabot.jid import JID, InvalidJID
from jabot.server.element import Element, to_bytes
from jabot.server.namespaces import CLIENT, LANG, STANZA_ERRORS, STREAM, STREAM_ERRORS

# The type that RFC 6120 section 8.3.3 recommends for each condition that is used here.
_TYPES = {
    "bad-request": "modify",
    "conflict": "cancel",
    "feature-not-implemented": "cancel",
    "forbidden": "auth",
    "item-not-found": "cancel",
    "jid-malformed": "modify",
    "not-acceptable": "modify",
    "not-allowed": "cancel",
    "not-authorized": "auth",
    "registration-required": "auth",
    "remote-server-not-found": "cancel",
    "resource-constraint": "wait",
    "service-unavailable": "cancel",
    "unexpected-request": "cancel",
}


class StreamError(Exception):
    """The stream cannot go on: it is told the condition, and closed."""

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text

    def to_bytes(self) -> bytes:
        """The error as it is sent, for a stream that declared the prefix `stream`."""
        content = _content(STREAM_ERRORS, self.condition, self.text)
        return to_bytes(Element(STREAM, "stream:error", None, content), STREAM)


class StanzaError(Exception):
    """The stanza cannot be served: its sender is told the condition, the stream goes on.

    `kind` is the type of the error where it is not the usual one of the condition, `detail` a
    condition of the protocol's own (RFC 6120 section 8.3.4).
    """

    def __init__(
        self, condition: str, text: str = "", *, kind: str = "", detail: Element | None = None
    ) -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text
        self.kind = kind or _TYPES[condition]
        self.detail = detail
        self.quoted: Element | None = None  # what of the stanza is given back with the error


def read_address(text: str) -> JID:
    """The address that a stanza names. Raises StanzaError when it is none."""
    try:
        return JID(text)
    except InvalidJID:
        raise StanzaError("jid-malformed") from None


def read_number(text: str) -> int:
    """A number that a stanza names, 999,999,999 for a larger one: no arithmetic with it overflows.

    Raises StanzaError when it is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise StanzaError("bad-request", f"{text!r} is no number")
    return min(int(text.lstrip("0")[:10] or "0"), 999_999_999)


def error_reply(stanza: Element, error: StanzaError) -> Element | None:
    """The error stanza that answers `stanza`, or None when it may not be answered.

    An error is never answered with an error, nor is the result of an IQ (RFC 6120 section 8.3.1):
    two servers would throw them at each other for ever.
    """
    if stanza.attrs.get("type") in ("error", "result"):
        return None
    children = _content(STANZA_ERRORS, error.condition, error.text)
    if error.detail is not None:
        children.append(error.detail)
    reply = reply_to(stanza, "error")
    if error.quoted is not None:
        reply.children.append(error.quoted)
    reply.children.append(Element(CLIENT, "error", {"type": error.kind}, children))
    return reply


def reply_to(stanza: Element, kind: str) -> Element:
    """An empty answer of type `kind`: same name and id, addresses swapped."""
    attrs = {"type": kind}
    if "id" in stanza.attrs:
        attrs["id"] = stanza.attrs["id"]
    if "to" in stanza.attrs:
        attrs["from"] = stanza.attrs["to"]
    if "from" in stanza.attrs:
        attrs["to"] = stanza.attrs["from"]
    return Element(CLIENT, stanza.name, attrs)


def _content(ns: str, condition: str, text: str) -> list[Element]:
    """What an error holds: its condition, and words for people."""
    words = [Element(ns, "text", {LANG: "en"}, [text])] if text else []
    return [Element(ns, condition), *words]
