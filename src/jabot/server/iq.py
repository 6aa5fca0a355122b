"""The IQs that the server answers itself, as a table: who offers what is found in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jabot.jid import JID
from jabot.server.conditions import StanzaError, reply_to
from jabot.server.element import Element
from jabot.server.router import Route


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks of an address here."""

    sender: JID
    to: JID
    kind: str  # get or set
    payload: Element


Handler = Callable[[Request], Element | None]
"""Gives the payload of the result, or raises StanzaError."""


class IqTable:
    """The requests that one kind of address answers (RFC 6120 section 8.2.3), by `route`."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._handlers: dict[tuple[str, str, str], Handler] = {}
        self.features: list[str] = []  # what disco says; only what is really there

    def add(self, kind: str, ns: str, name: str, handler: Handler) -> None:
        """Answer requests of type `kind` (get, set) whose payload is `name` in `ns`."""
        self._handlers[kind, ns, name] = handler

    def answer(self, stanza: Element) -> None:
        """Send the result, but none to a stanza that is an answer itself. Raises StanzaError."""
        kind = stanza.attrs.get("type", "")
        if kind in ("result", "error"):
            return
        payload = next(stanza.elements())
        handler = self._handlers.get((kind, payload.ns, payload.name))
        if handler is None:
            raise StanzaError("service-unavailable")
        sender, to = JID(stanza.attrs["from"]), JID(stanza.attrs["to"])
        content = handler(Request(sender, to, kind, payload))
        reply = reply_to(stanza, "result")
        if content is not None:
            reply.children.append(content)
        self._route(reply)


def check(stanza: Element) -> None:
    """Raise StanzaError unless the IQ is of a shape that RFC 6120 section 8.2.3 allows."""
    kind = stanza.attrs.get("type")
    if kind in ("get", "set"):
        if "id" not in stanza.attrs:
            raise StanzaError("bad-request", "an iq has an id")
        if sum(1 for _ in stanza.elements()) != 1:
            raise StanzaError("bad-request", "a request holds exactly one element")
    elif kind not in ("result", "error"):
        raise StanzaError("bad-request", "an iq is of type get, set, result or error")
