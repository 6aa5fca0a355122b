"""Bytes in, stream events out: one XML stream (RFC 6120 section 4), with its limits.

Does no I/O. What XMPP forbids (section 11.1: document types, entities, comments, processing
instructions) ends the stream before anything is expanded or stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

from jabot.server.conditions import StreamError
from jabot.server.element import Element
from jabot.server.namespaces import STREAM

_ENCODING_ERRORS = {
    expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING],
    expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING],
}
_UNDEFINED_ENTITY = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer's stream header."""

    attrs: dict[str, str]
    content_ns: str  # the default namespace, which is that of the stanzas


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The peer's `</stream:stream>`."""


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """What the peer sent breaks a rule or a limit. Nothing can follow."""

    error: StreamError


Event = Element | StreamOpened | StreamClosed | StreamFailed


class StreamParser:
    """Cuts one stream into complete stanzas.

    `limit` is the most bytes that a stanza (or the stream header) may take, `depth` how deeply
    its elements may nest.
    """

    def __init__(self, limit: int, depth: int) -> None:
        self._limit = limit
        self._max_depth = depth
        self._events: list[Event] = []
        self._open: list[Element] = []  # the stanza being read, outermost element first
        self._in_stream = False
        self._content_ns = ""
        self._fed = 0  # bytes given to expat so far
        self._mark = 0  # where the present stanza began, or the last one ended
        self._dead = False
        self._expat = self._make_expat()

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. After a failure or the end: none, ever."""
        if self._dead:
            return []
        self._fed += len(data)
        try:
            self._expat.Parse(data, False)
            if self._fed - self._mark > self._limit:
                raise self._too_big()
        except expat.ExpatError as problem:
            self._fail(_as_stream_error(problem))
        except StreamError as error:
            self._fail(error)
        events = self._events
        self._events = []
        return events

    def close(self) -> None:
        """Read nothing more; breaks the circle of references between expat and its handlers."""
        self._dead = True
        self._open.clear()  # of a stanza that was half read
        del self._expat

    def _make_expat(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(encoding="UTF-8", namespace_separator=" ")
        # One callback for a whole text: it comes in pieces at each line end and each escape.
        parser.buffer_text = True
        # Newer expats hold back input that they think incomplete; a stanza must not wait for
        # the next one. The cost of reparsing is bounded by `limit`.
        defer = getattr(parser, "SetReparseDeferralEnabled", None)
        if defer is not None:
            defer(False)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._namespace
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = _refusal("a document type")
        parser.CommentHandler = _refusal("a comment")
        parser.ProcessingInstructionHandler = _refusal("a processing instruction")
        return parser

    def _start(self, tag: str, attrs: dict[str, str]) -> None:
        ns, _, name = tag.rpartition(" ")
        if not self._in_stream:
            self._start_stream(ns, name, attrs)
            return
        element = Element(ns, name, attrs)
        stack = self._open
        if stack:
            if len(stack) >= self._max_depth:
                raise StreamError("policy-violation", "elements are nested too deeply")
            stack[-1].children.append(element)
        else:
            self._mark = self._expat.CurrentByteIndex
        stack.append(element)

    def _start_stream(self, ns: str, name: str, attrs: dict[str, str]) -> None:
        if ns != STREAM:
            raise StreamError("invalid-namespace", "this is not an XMPP stream")
        if name != "stream":
            raise StreamError("bad-format", "a stream begins with <stream>")
        self._in_stream = True
        self._mark = self._expat.CurrentByteIndex
        self._events.append(StreamOpened(attrs, self._content_ns))

    def _end(self, _tag: str) -> None:
        stack = self._open
        if not stack:
            self._dead = True
            self._events.append(StreamClosed())
            return
        element = stack.pop()
        if stack:
            return
        at = self._expat.CurrentByteIndex
        if at - self._mark > self._limit:
            raise self._too_big()
        self._mark = at
        self._events.append(element)

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].children.append(text)
        elif text.isspace():
            self._mark += len(text)  # white space between stanzas keeps a connection alive
        else:
            raise StreamError("bad-format", "text outside of any stanza")

    def _namespace(self, prefix: str | None, uri: str) -> None:
        if not self._in_stream and prefix is None:
            self._content_ns = uri

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() != "UTF-8":
            raise StreamError("unsupported-encoding", "a stream is UTF-8")

    def _too_big(self) -> StreamError:
        return StreamError("policy-violation", f"a stanza is limited to {self._limit} bytes")

    def _fail(self, error: StreamError) -> None:
        self._dead = True
        self._events.append(StreamFailed(error))


def element_of(text: str) -> Element:
    """An element that `to_text(element, "")` wrote, from our own store: so without limits."""
    data = f"<stream:stream xmlns:stream='{STREAM}'>{text}".encode()
    parser = StreamParser(len(data), depth=10_000)
    [_, element] = parser.feed(data)
    parser.close()
    if not isinstance(element, Element):
        raise TypeError(f"{text[:100]!r} is no element")
    return element


def _as_stream_error(problem: expat.ExpatError) -> StreamError:
    if problem.code == _UNDEFINED_ENTITY:
        return StreamError("restricted-xml", "only the five predefined entities are allowed")
    if problem.code in _ENCODING_ERRORS:
        return StreamError("unsupported-encoding", "a stream is UTF-8")
    return StreamError("not-well-formed", expat.errors.messages[problem.code])


def _refusal(what: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise StreamError("restricted-xml", f"{what} is not allowed")

    return refuse
