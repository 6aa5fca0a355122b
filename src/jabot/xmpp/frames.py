"""Batches of frames as stanzas (docs/protocol.md), past slixmpp's stanza objects.

Building and reading those costs more than all the rest of a job, and frames need none of what they
offer: they are plain text here, and plain elements on the way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from xml.etree import ElementTree as ET

from jabot.xmpp.stanzas import CLIENT, JABOT, STANZAS, error_kind, read_error

IQ: Final = f"{{{CLIENT}}}iq"
_FRAMES: Final = f"{{{JABOT}}}frames"
_JSON: Final = "{urn:xmpp:json:0}json"  # XEP-0335
_DEFLATE: Final = f"{{{JABOT}}}deflate"
_MARK: Final = "jabot-"  # what the ids of our batches begin with

# The conditions that say that nobody has the address (RFC 6120 section 8.3.3).
NOBODY: Final = frozenset(
    {
        "service-unavailable",
        "recipient-unavailable",
        "item-not-found",
        "gone",
        "remote-server-not-found",
    }
)
PERHAPS: Final = frozenset({"remote-server-timeout"})
LATER: Final = "resource-constraint"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a batch."""

    peer: str
    batch: int
    condition: str = ""  # of an error; "" when the peer is responsible now
    text: str = ""


@dataclass(frozen=True, slots=True)
class IncomingBatch:
    """A batch of somebody's. `text` is None when it is not in the form that it must have."""

    peer: str
    id: str
    text: str | None
    deflated: bool


def batch(peer: str, number: int, text: str, deflated: bool) -> str:
    """The stanza of a batch. `text` holds nothing that XML cannot carry (the codec's care)."""
    if deflated:  # base64: nothing to escape
        body = f"<deflate xmlns='{JABOT}'>{text}</deflate>"
    else:
        body = f"<json xmlns='urn:xmpp:json:0'>{_escaped(text)}</json>"
    return (
        f"<iq type='set' id='{_MARK}{number}' to='{_quoted_address(peer)}'>"
        f"<frames xmlns='{JABOT}'>{body}</frames></iq>"
    )


def responsible(peer: str, stanza_id: str) -> str:
    """The answer that takes a batch."""
    return f"<iq type='result' id='{_quoted(stanza_id)}' to='{_quoted_address(peer)}'/>"


def refusal(peer: str, stanza_id: str, condition: str, text: str = "") -> str:
    """The answer that does not."""
    more = f"<text xmlns='{STANZAS}'>{_escaped(text)}</text>" if text else ""
    return (
        f"<iq type='error' id='{_quoted(stanza_id)}' to='{_quoted(peer)}'>"
        f"<error type='{error_kind(condition)}'><{condition} xmlns='{STANZAS}'/>{more}</error></iq>"
    )


def read_batch(iq: ET.Element) -> IncomingBatch | None:
    """The batch that an IQ carries; None when it is another kind of request."""
    if iq.get("type") != "set" or not len(iq) or iq[0].tag != _FRAMES:
        return None
    frames = iq[0]
    peer, stanza_id = iq.get("from", ""), iq.get("id", "")
    if len(frames) != 1 or frames[0].tag not in (_JSON, _DEFLATE):
        return IncomingBatch(peer, stanza_id, None, False)
    return IncomingBatch(peer, stanza_id, frames[0].text or "", frames[0].tag == _DEFLATE)


def read_answer(iq: ET.Element) -> Answer | None:
    """The answer to one of our batches; None when it is an answer to something else."""
    kind, stanza_id = iq.get("type"), iq.get("id", "")
    if kind not in ("result", "error") or not stanza_id.startswith(_MARK):
        return None
    number = stanza_id[len(_MARK) :]
    if not number.isdecimal() or len(number) > 18:
        return None
    peer = iq.get("from", "")
    return Answer(peer, int(number), *(read_error(iq) if kind == "error" else ()))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@lru_cache(maxsize=1024)
def _quoted_address(text: str) -> str:
    return _quoted(text)


def _quoted(text: str) -> str:
    return _escaped(text).replace("'", "&apos;")
