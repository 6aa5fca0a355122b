"""Questions to servers and programs, and theirs to us: the IQs that are not about frames.

RFC 6120 section 8.2.3. An answer is looked up by its id; slixmpp would match each stanza that comes
in against every question that is still open.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias
from xml.etree import ElementTree as ET

from jabot.errors import ConnectionFailed, StanzaError
from jabot.jid import JID, InvalidJID
from jabot.xmpp import stanzas
from jabot.xmpp.stanzas import CLIENT, read_error

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["get", "set"]
_LIMIT: Final = 10.0  # seconds that an answer may take
_ANSWERED_AT_ONCE: Final = 100  # questions of others that are being answered


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks of us."""

    sender: JID
    to: JID
    kind: Kind
    payload: ET.Element


Handler: TypeAlias = Callable[[Question], "ET.Element | Awaitable[ET.Element | None] | None"]


class Requests:
    """The questions of one session, over all its connections.

    `own()` is its full address, `send(stanza)` says whether there is a connection to send it on.
    """

    def __init__(self, own: Callable[[], JID], send: Callable[[ET.Element], bool]) -> None:
        self._own = own
        self._send = send
        self._open: dict[str, tuple[frozenset[str], asyncio.Future[ET.Element]]] = {}
        self._mark = f"ask-{secrets.token_hex(4)}-"  # nobody else can guess what we ask next
        self._numbers = itertools.count(1)
        self._handlers: dict[str, Handler] = {}
        self._answering: set[asyncio.Future[Any]] = set()

    async def ask(
        self, kind: Kind, to: JID | None, payload: ET.Element, limit: float = _LIMIT
    ) -> ET.Element:
        """The first child of the answer, or of an empty one itself: so what is looked for in it is
        found or not. `to` None is the own account, at the server.

        Raises `StanzaError` when the answer is one, `ConnectionFailed` without a connection and
        when it goes, and `TimeoutError` after `limit` seconds.
        """
        stanza_id = f"{self._mark}{next(self._numbers)}"
        iq = ET.Element(f"{{{CLIENT}}}iq", {"type": kind, "id": stanza_id})
        if to is not None:
            iq.set("to", str(to))
        iq.append(payload)
        future: asyncio.Future[ET.Element] = asyncio.get_running_loop().create_future()
        self._open[stanza_id] = (self._answering_for(to), future)
        try:
            if not self._send(iq):
                raise ConnectionFailed("not connected")
            async with asyncio.timeout(limit):
                return await future
        finally:
            del self._open[stanza_id]

    def serve(self, tag: str, handler: Handler) -> None:
        """Let a function answer the questions whose payload has this tag (`{namespace}name`).

        It gives the payload of the answer, or raises `StanzaError`. It may be a coroutine function.
        """
        self._handlers[tag] = handler

    def received(self, iq: ET.Element) -> bool:
        """An IQ came in; True when it is seen to."""
        kind = iq.get("type")
        if kind in ("result", "error"):
            return self._answered(iq, is_error=kind == "error")
        handler = self._handlers.get(iq[0].tag) if len(iq) == 1 else None
        if handler is None or kind not in ("get", "set"):
            return False
        try:
            sender = JID(iq.get("from") or self._own().bare)
        except InvalidJID:
            return True
        question = Question(sender, self._own(), "get" if kind == "get" else "set", iq[0])
        self._answer(iq, handler, question)
        return True

    def lost(self, problem: ConnectionFailed) -> None:
        """The connection is gone, and no answer will come any more."""
        for _, future in self._open.values():
            if not future.done():
                future.set_exception(problem)
        for answering in self._answering:
            answering.cancel()

    # -- within -------------------------------------------------------------------------------

    def _answering_for(self, to: JID | None) -> frozenset[str]:
        """The addresses that may answer. A server leaves its own out, and the account's."""
        own = self._own()
        if to is None or to in (own.bare, own.domain):
            return frozenset({"", own.bare, own.full, own.domain})
        return frozenset({str(to)})

    def _answered(self, iq: ET.Element, *, is_error: bool) -> bool:
        senders, future = self._open.get(iq.get("id", ""), (frozenset(), None))
        if future is None or future.done() or iq.get("from", "") not in senders:
            return False
        if is_error:
            future.set_exception(StanzaError(*read_error(iq)))
        else:
            future.set_result(iq[0] if len(iq) else iq)
        return True

    def _answer(self, iq: ET.Element, handler: Handler, question: Question) -> None:
        if len(self._answering) >= _ANSWERED_AT_ONCE:
            self._refuse(iq, StanzaError("resource-constraint", "ask again later"))
            return
        try:
            answer: Any = handler(question)
        except Exception as error:
            self._refuse(iq, error)
            return
        if not inspect.isawaitable(answer):
            self._reply(iq, answer)
            return
        answering = asyncio.ensure_future(answer)
        self._answering.add(answering)
        answering.add_done_callback(partial(self._answered_later, iq))

    def _answered_later(self, iq: ET.Element, answering: asyncio.Future[Any]) -> None:
        self._answering.discard(answering)
        if answering.cancelled():
            return
        error = answering.exception()
        if error is None:
            self._reply(iq, answering.result())
        elif isinstance(error, Exception):
            self._refuse(iq, error)

    def _reply(self, iq: ET.Element, payload: ET.Element | None) -> None:
        answer = self._answer_to(iq, "result")
        if payload is not None:
            answer.append(payload)
        self._send(answer)

    def _refuse(self, iq: ET.Element, error: Exception) -> None:
        if not isinstance(error, StanzaError):
            log.error("a question of %s failed", iq.get("from"), exc_info=error)
            error = StanzaError("internal-server-error")
        answer = self._answer_to(iq, "error")
        answer.append(stanzas.error(error.condition, error.text))
        self._send(answer)

    def _answer_to(self, iq: ET.Element, kind: str) -> ET.Element:
        attributes = {"type": kind, "id": iq.get("id", "")}
        if iq.get("from"):
            attributes["to"] = iq.get("from", "")
        return ET.Element(f"{{{CLIENT}}}iq", attributes)
