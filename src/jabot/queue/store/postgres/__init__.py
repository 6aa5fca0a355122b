"""Jobs in PostgreSQL: for several queue processes at once, on one machine or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jabot.errors import StoreError
from jabot.queue.store.postgres.address import Address
from jabot.queue.store.postgres.connection import Line
from jabot.queue.store.postgres.spread import news_of
from jabot.queue.store.postgres.voice import Voice
from jabot.queue.store.sql import ask, work
from jabot.queue.store.store import News
from jabot.queue.store.verbs import Question, Verb


class PostgresStore:
    """A `Store` in a database, in its schema `jabot`.

    One connection is for `apply`, one for `read`, and one hears and tells the other processes. They
    are made anew when they break.
    """

    def __init__(self, url: str) -> None:
        address = Address(url)
        self.name = address.name
        self._writer = Line(address)
        self._reader = Line(address)
        self._voice = Voice(address, lambda: self._writer.pid)
        self._is_open = False

    async def open(self) -> list[News]:
        """See `Store`."""
        try:
            connection = await self._writer.connected(migrate=True)
            await self._voice.start()
            kinds = await connection.kinds()
        except BaseException:
            await self.close()
            raise
        self._is_open = True
        return [News("changed", ""), *(News("ready", kind) for kind in kinds)] if kinds else []

    async def apply(self, verbs: list[Verb]) -> list[Any]:
        """See `Store`. All calls go to the server together, if none needs the answer of another."""
        self._check()
        results = await self._writer.transaction(lambda: work(verbs))
        if self._voice.has_company:
            for news in news_of(verbs, results):
                self._voice.tell(news)
        return results

    async def read(self, verb: Question) -> Any:
        """See `Store`."""
        self._check()
        (answer,) = await self._reader.transaction(lambda: ask(verb))
        return answer

    def listen(self, heard: Callable[[News], None]) -> None:
        """See `Store`."""
        self._voice.listen(heard)

    def tell(self, news: News) -> None:
        """See `Store`."""
        if self._voice.has_company:
            self._voice.tell(news)

    async def close(self) -> None:
        """See `Store`."""
        self._is_open = False
        await self._voice.close()
        await self._reader.close()
        await self._writer.close()

    def _check(self) -> None:
        if not self._is_open:
            raise StoreError(f"{self.name} is not open")
