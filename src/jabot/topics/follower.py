"""Somebody who follows topics: what is still to be told, and to whom."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import msgspec

from jabot.account import parse_jid
from jabot.errors import ConfigError, ConnectionFailed
from jabot.topics.event import Event
from jabot.topics.names import Pattern
from jabot.topics.publishing import MOST_KEPT

log = logging.getLogger(__name__)

WAITING: Final = 1000  # events that wait for one follower; past it the oldest are left out


class Follower:
    """Who is told of topics: of one, of all that a pattern stands for, or of several of these.

    `of` is the account whose own topics are meant (PEP); None: the server's. `history` is how many
    of the newest events are told at the beginning. Raises `ConfigError`, naming what is wrong.
    """

    def __init__(
        self,
        topics: str | Iterable[str],
        kind: Any = Any,
        *,
        of: str | None = None,
        history: int = 1,
    ) -> None:
        if not 0 <= history <= MOST_KEPT:
            raise ConfigError(f"topics {topics}: history is from 0 to {MOST_KEPT}, not {history}")
        self.patterns = [
            Pattern(each) for each in ([topics] if isinstance(topics, str) else topics)
        ]
        if not self.patterns:
            raise ConfigError("topics: name at least one to follow")
        self.of = None if of is None else parse_jid(of).bare
        self.history = history
        self._kind = kind
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._is_behind = False
        self._why: ConnectionFailed | None = None  # there will be no more

    def fits(self, topic: str) -> bool:
        """Whether it is one of these."""
        return any(pattern.fits(topic) for pattern in self.patterns)

    def names(self, topic: str) -> bool:
        """Whether it is one of these by its own name."""
        return any(pattern.text == topic for pattern in self.patterns)

    def put(self, event: Event) -> None:
        """Something was published."""
        try:
            payload = msgspec.convert(event.payload, self._kind, str_keys=True)
        except msgspec.ValidationError as error:
            log.warning("%s of %s: %s", event.topic, event.publisher or "somebody", error)
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            if not self._is_behind:
                self._is_behind = True
                log.warning(
                    "more than %d events of %s wait for who follows it; the oldest are left out",
                    *(WAITING, ", ".join(pattern.text for pattern in self.patterns)),
                )
        self._waiting.append(replace(event, payload=payload))
        self._news.set()

    async def next(self) -> Event:
        """The next event, when it comes. Raises why there will be none any more."""
        while not self._waiting:
            if self._why is not None:
                raise self._why
            self._is_behind = False
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def end(self, why: ConnectionFailed) -> None:
        """There will be no more. The first reason counts."""
        self._why = self._why or why
        self._news.set()
