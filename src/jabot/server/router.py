"""Which service a stanza goes to: each has a domain of its own.

The server's own domain is one service; rooms and others are registered beside it. Nothing leaves
for other servers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from jabot.jid import JID, InvalidJID
from jabot.server.conditions import StanzaError, error_reply
from jabot.server.element import Element

log = logging.getLogger(__name__)


Route = Callable[[Element], None]
"""Hands a stanza, whose `from` and `to` are set, to whoever it is for."""


class Service(Protocol):
    """Everything behind one domain."""

    def receive(self, stanza: Element, to: JID) -> None:
        """Take a stanza whose `from` can be trusted. May raise StanzaError to refuse it."""


class Router:
    """Hands each stanza to the service of its domain, and errors back to the sender."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}

    def add(self, domain: str, service: Service) -> None:
        """Serve a domain, if it can be one: nothing is below an IPv6 address."""
        try:
            self._services[JID(domain).domain] = service
        except InvalidJID:
            log.info("%s is no domain, and is not served", domain)

    def domains(self) -> list[str]:
        return list(self._services)

    def serves(self, domain: str) -> bool:
        return domain in self._services

    def route(self, stanza: Element) -> None:
        """Deliver `stanza`, whose `from` and `to` are set."""
        try:
            to = JID(stanza.attrs["to"])
            service = self._services.get(to.domain)
            if service is None:
                raise StanzaError("remote-server-not-found")
            service.receive(stanza, to)
        except InvalidJID:
            self._refuse_address(stanza)
        except StanzaError as error:
            self.bounce(stanza, error)

    def bounce(self, stanza: Element, error: StanzaError) -> None:
        """Answer with an error, unless the stanza is one that may not be answered."""
        reply = error_reply(stanza, error)
        if reply is not None and "to" in reply.attrs:
            self.route(reply)

    def _refuse_address(self, stanza: Element) -> None:
        reply = error_reply(stanza, StanzaError("jid-malformed"))
        if reply is not None:
            del reply.attrs["from"]  # what is no address can't be where the answer comes from
            self.route(reply)
