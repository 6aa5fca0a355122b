"""A light XML element, and how it is written.

Every stanza is parsed once into this tree and written once, so both are kept small: no parent
links (a tree is freed the moment that it is routed), text and children in one list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from jabot.server.namespaces import CLIENT, XML

_IN_ATTRIBUTE = re.compile("[&<>'\t\n\r]").search


class Element:
    """One XML element: `children` holds its elements and its text, in document order.

    A key of `attrs` is a plain name, or `"namespace name"` for an attribute with a prefix.
    """

    __slots__ = ("attrs", "children", "name", "ns")

    def __init__(
        self,
        ns: str,
        name: str,
        attrs: dict[str, str] | None = None,
        children: Iterable[Element | str] = (),
    ) -> None:
        self.ns = ns
        self.name = name
        self.attrs: dict[str, str] = {} if attrs is None else attrs
        self.children = list(children)

    def __repr__(self) -> str:
        return f"<{self.name} xmlns={self.ns!r} {self.attrs!r}>"

    def elements(self, name: str = "") -> Iterator[Element]:
        """The child elements, without the text between them; with a name only those of it."""
        for child in self.children:
            if not isinstance(child, str) and name in ("", child.name):
                yield child

    def child(self, ns: str, name: str) -> Element | None:
        """The first child element of that name."""
        for child in self.children:
            if not isinstance(child, str) and child.name == name and child.ns == ns:
                return child
        return None

    def text(self) -> str:
        """The text directly in this element."""
        return "".join(child for child in self.children if isinstance(child, str))

    def text_of(self, ns: str, name: str) -> str | None:
        """The text of the first child element of that name; None when there is none."""
        child = self.child(ns, name)
        return None if child is None else child.text()


class Envelope:
    """A stanza for many: written once, then addressed to each. It may not have a `to` yet."""

    __slots__ = ("_head", "_rest")

    def __init__(self, stanza: Element) -> None:
        text = to_text(stanza)
        end = len(stanza.name) + 1
        self._head = f"{text[:end]} to='".encode()
        self._rest = f"'{text[end:]}".encode()

    def __len__(self) -> int:
        return len(self._head) + len(self._rest)

    def to(self, address: str) -> bytes:
        """The stanza as XML in UTF-8, for one receiver."""
        return b"".join((self._head, escape_attribute(address).encode(), self._rest))


def to_text(element: Element, parent_ns: str = CLIENT) -> str:
    """The element as XML, to be put where `parent_ns` is the default namespace."""
    out: list[str] = []
    _write(element, parent_ns, out)
    return "".join(out)


def to_bytes(element: Element, parent_ns: str = CLIENT) -> bytes:
    """The element as XML in UTF-8, to be put where `parent_ns` is the default namespace."""
    return to_text(element, parent_ns).encode()


def escape(text: str) -> str:
    """Text for the inside of an element.

    Chained `replace` scans at memory speed; a table or an expression goes by character. A bare
    carriage return would reach the reader as a line feed (XML 1.0 section 2.11).
    """
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    )


def escape_attribute(value: str) -> str:
    """Text for an attribute in single quotes."""
    if _IN_ATTRIBUTE(value) is None:
        return value
    return escape(value).replace("'", "&apos;").replace("\t", "&#9;").replace("\n", "&#10;")


def _write(element: Element, parent_ns: str, out: list[str]) -> None:
    ns = element.ns
    name = element.name
    out.append(f"<{name}" if ns == parent_ns else f"<{name} xmlns='{escape_attribute(ns)}'")
    for key, value in element.attrs.items():
        if " " in key:
            out.append(_prefixed(key, value, len(out)))
        else:
            out.append(f" {key}='{escape_attribute(value)}'")
    if not element.children:
        out.append("/>")
        return
    out.append(">")
    for child in element.children:
        if isinstance(child, str):
            out.append(escape(child))
        else:
            _write(child, ns, out)
    out.append(f"</{name}>")


def _prefixed(key: str, value: str, number: int) -> str:
    """An attribute in a namespace of its own; the prefix is made up, and unique by `number`."""
    ns, _, name = key.rpartition(" ")
    if ns == XML:
        return f" xml:{name}='{escape_attribute(value)}'"
    return f" xmlns:a{number}='{escape_attribute(ns)}' a{number}:{name}='{escape_attribute(value)}'"
