"""Frames to text and back. What comes in is bounded before and after inflating.

A batch is a JSON array of frames. In XML the text of a small one stands as it is; a larger one is
deflated (RFC 1951, no header) and written as base64, because JSON's quotes grow to six bytes each
where XML is escaped, and base64 never grows.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from jabot.errors import LocalProtocolError, RemoteProtocolError, TooLarge
from jabot.protocol import limits
from jabot.protocol.frames import KINDS, Description, Frame, Submit, Succeeded, kind_of

# Characters that no XML 1.0 document can hold (and JSON strings can, from U+007F on).
_NOT_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_GROWTH = ((b'"', 5), (b"&", 4), (b"<", 3), (b">", 3), (b"'", 5))  # by escaping in XML

_encoder = msgspec.json.Encoder()
_batch_decoder = msgspec.json.Decoder(list[Frame])
_frame_decoder = msgspec.json.Decoder(Frame)
_loose_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_any_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Text:
    """A batch as it stands in a stanza."""

    text: str
    deflated: bool


@dataclass(frozen=True, slots=True)
class Damaged:
    """A frame that could not be read; the others of its batch could."""

    kind: str  # what it began with; "" when not even that could be read
    id: str  # of the job that it is about; "" when it has none that could be read
    reason: str
    known: bool = True  # whether this version of the protocol knows the kind at all


Incoming = Frame | Damaged


def encode_frame(frame: Frame) -> bytes:
    """One frame as JSON. Raises `LocalProtocolError` for a text that is no Unicode."""
    try:
        encoded = _encoder.encode(frame)
        if not encoded.isascii():
            encoded.decode()  # a payload that was handed in as bytes
    except (UnicodeError, TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(f"{type(frame).__name__} cannot be sent: {error}") from error
    return encoded


def encode_batch(frames: Sequence[bytes], *, deflate: bool = True) -> Text:
    """Several encoded frames as the text of one stanza.

    Without `deflate` it is not even tried, for what was deflated before. Raises `TooLarge` past
    the limits of a batch.
    """
    if len(frames) > limits.BATCH_FRAMES:
        raise TooLarge(f"{len(frames)} frames in a batch; {limits.BATCH_FRAMES} are allowed")
    json = b"[" + b",".join(frames) + b"]"
    if len(json) > limits.BATCH_INFLATED:
        raise TooLarge(f"a batch of {len(json)} bytes; {limits.BATCH_INFLATED} are allowed")
    if len(json) <= limits.DEFLATE_FROM or not deflate:
        plain = size_as_sent(json)
        small = plain <= (limits.DEFLATE_FROM if deflate else limits.BATCH_SENT)
        if small and not _NOT_XML.search(json):
            return Text(json.decode(), deflated=False)
    text = deflated(json)
    if len(text) > limits.BATCH_SENT:
        raise TooLarge(f"a batch of {len(text)} bytes as sent; {limits.BATCH_SENT} are allowed")
    return Text(text, deflated=True)


def decode_batch(text: str, *, deflated: bool) -> list[Incoming]:
    """The frames of a stanza's text; one that could not be read has a `Damaged` in its place.

    Raises `RemoteProtocolError` when the batch as a whole cannot be read, and nothing else.
    """
    if len(text) > limits.BATCH_SENT:
        raise _theirs(f"a batch of {len(text)} characters; {limits.BATCH_SENT} are allowed")
    json = inflated(text, limits.BATCH_INFLATED) if deflated else text
    try:
        frames = _batch_decoder.decode(json)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _decode_one_by_one(json)
    if len(frames) > limits.BATCH_FRAMES:
        raise _theirs(f"{len(frames)} frames in a batch; {limits.BATCH_FRAMES} are allowed")
    return [_payload_checked(frame) for frame in frames]


def decode_frame(json: str) -> Incoming:
    """One frame, as it was joined from parts; `Damaged` when it cannot be read."""
    try:
        return _payload_checked(_frame_decoder.decode(json))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return _damaged(json, str(error))


def size_as_sent(json: bytes) -> int:
    """How many bytes a text takes in a stanza, after XML escaping."""
    return len(json) + sum(json.count(character) * more for character, more in _GROWTH)


def deflated(json: bytes) -> str:
    """Raw deflate as base64. Level 1: the time counts more than the tenth that it leaves."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(json) + packer.flush()
    return binascii.b2a_base64(packed, newline=False).decode("ascii")


def inflated(text: str, limit: int) -> str:
    """The text that was deflated; never makes more than `limit` bytes of it.

    Raises `RemoteProtocolError`.
    """
    try:
        packed = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise _theirs(f"no base64: {error}") from None
    unpacker = zlib.decompressobj(-15)
    try:
        data = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise _theirs(f"no deflate: {error}") from None
    if len(data) > limit:
        raise _theirs(f"more than {limit} bytes come of it when it is inflated")
    if not unpacker.eof or unpacker.unused_data:
        raise _theirs("the deflated text is cut off, or something follows it")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _theirs(f"no UTF-8: {error}") from None


def depth_is_fine(payload: bytes) -> bool:
    """Whether no more than `limits.DEPTH` arrays and objects of a JSON text stand in each other.

    All in C, since a payload may have megabytes: without strings and without what is no bracket,
    each removal of `[]` takes one level away.
    """
    if len(payload) <= 2 * limits.DEPTH:
        return True
    if payload.count(b"[") + payload.count(b"{") <= limits.DEPTH:
        return True
    brackets = _STRING.sub(b"", payload).translate(_ONE_BRACKET, _NO_BRACKETS)
    for _ in range(limits.DEPTH):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def check_payload(*payloads: bytes) -> None:
    """Raises `TooLarge` for JSON that is too long, or too deep, to be carried, and
    `LocalProtocolError` for what is no UTF-8."""
    size = 0
    for payload in payloads:
        size += len(payload)
        if len(payload) > 2 * limits.DEPTH and not depth_is_fine(payload):
            raise TooLarge(f"more than {limits.DEPTH} arrays and objects inside of each other")
        if not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                raise LocalProtocolError(f"JSON is UTF-8: {error}") from None
    if size > limits.PAYLOAD:
        raise too_large(size)


def too_large(size: int) -> TooLarge:
    """The error for that many bytes of JSON."""
    return TooLarge(
        f"{size / limits.MIB:.1f} MiB as JSON; {limits.PAYLOAD // limits.MIB} MiB are carried. "
        "Store it where both sides can reach it, and send where it is."
    )


def _decode_one_by_one(json: str) -> list[Incoming]:
    """The slow way, for a batch that has something unreadable in it."""
    try:
        pieces = _loose_decoder.decode(json)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _theirs(f"a batch is a JSON array of frames: {error}") from None
    if len(pieces) > limits.BATCH_FRAMES:
        raise _theirs(f"{len(pieces)} frames in a batch; {limits.BATCH_FRAMES} are allowed")
    return [decode_frame(bytes(piece).decode()) for piece in pieces]


def _payload_checked(frame: Frame) -> Incoming:
    """The frame, unless its payload is not what it must be."""
    if isinstance(frame, Submit):
        args, kwargs = bytes(frame.args), bytes(frame.kwargs)
        if args[:1] != b"[" or kwargs[:1] != b"{":
            return Damaged("submit", frame.id, "args is an array, and kwargs an object")
        if len(args) + len(kwargs) <= 2 * limits.DEPTH:
            return frame
        fine = depth_is_fine(args) and depth_is_fine(kwargs)
    elif isinstance(frame, Succeeded):
        if len(frame.result) <= 2 * limits.DEPTH:
            return frame
        fine = depth_is_fine(bytes(frame.result))
    elif isinstance(frame, Description):
        fine = depth_is_fine(bytes(frame.tasks))
    else:
        return frame
    if fine:
        return frame
    job = "" if isinstance(frame, Description) else frame.id
    reason = f"more than {limits.DEPTH} arrays and objects inside of each other"
    return Damaged(kind_of(frame), job, reason)


def _damaged(json: str, reason: str) -> Damaged:
    """As much as can be said of what is no frame."""
    try:
        head = _any_decoder.decode(json)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        head = None
    if not isinstance(head, list) or not head or not isinstance(head[0], str):
        return Damaged("", "", "a frame is an array that begins with its kind")
    kind = head[0][:32]
    if kind not in KINDS:
        return Damaged(kind, "", "a kind of frame that is not known here", known=False)
    job = head[1] if len(head) > 1 and "id" in KINDS[kind].__struct_fields__[:1] else ""
    valid = isinstance(job, str) and len(job) <= limits.ID
    return Damaged(kind, job if valid else "", reason)


def _theirs(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the other side sent what cannot be read: {reason}")
