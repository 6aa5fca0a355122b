"""How the processes on a database tell each other that there is something to do: LISTEN, NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct

from jabot.errors import StoreError
from jabot.queue.store.postgres.address import Address, connect
from jabot.queue.store.postgres.escaping import escaped, unescaped
from jabot.queue.store.store import News

log = logging.getLogger(__name__)

_MOST: Final = 7900  # bytes of one notification
_PAUSE: Final = 0.25  # seconds before the server is tried again; then twice that
_PAUSE_MOST: Final = 5.0
_LAST_WORDS: Final = 1.0  # seconds that the end waits for them
_GREETING: Final = "hello"
_ANSWER: Final = "here"

_LISTEN: Final = """
    SET synchronous_commit = off;
    LISTEN jabot;
"""
_TELL: Final = "SELECT pg_notify('jabot', words) FROM unnest(%s::text[]) AS words"
_KINDS: Final = "SELECT DISTINCT to_json(kind)::text FROM jabot.jobs WHERE state = 'available'"


class _Word(Struct, frozen=True, omit_defaults=True):
    """One notification."""

    kind: str  # of `News`, or a greeting: who is alone need not speak
    what: str = ""
    detail: str = ""
    all: bool = False  # also who said it


class Voice:
    """Says what it is told, and calls what listens for what others say.

    Notifications are no part of the transactions that they are about: those would wait for each
    other, one commit at a time. One that is lost costs time: what is available is told anew when a
    process is found dead, and when a connection was made anew.
    """

    def __init__(self, address: Address, writer: Callable[[], int]) -> None:
        self._address = address
        self._writer = writer
        self._heard: Callable[[News], None] = lambda _: None
        self._words: dict[_Word, None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._own = 0
        self._closing = asyncio.Event()
        self.has_company = False
        """Whether there was another process since this one began."""

    async def start(self) -> None:
        """Hear all that is said from now on, in a task of its own. Raises `StoreError`."""
        try:
            connection = await connect(self._address)
            try:
                await self._begin(connection)
            except BaseException:
                await connection.close()
                raise
        except psycopg.Error as error:
            raise self._address.explained(error) from error
        self._closing.clear()
        self._task = asyncio.create_task(self._run(connection), name="jabot-store-voice")

    async def close(self) -> None:
        """Say what there is to say, if the server takes it within a second, and end."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closing.set()
        self._wake.set()
        try:
            await asyncio.wait({task}, timeout=_LAST_WORDS)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def listen(self, heard: Callable[[News], None]) -> None:
        """`heard(News)` is called for what others say."""
        self._heard = heard

    def tell(self, news: News) -> None:
        """Say something when there is time."""
        self._say(_Word(news.kind, news.what, news.detail))

    def _say(self, word: _Word) -> None:
        self._words[word] = None
        self._wake.set()

    # -- within -------------------------------------------------------------------------------

    async def _run(self, connection: psycopg.AsyncConnection[Any] | None) -> None:
        pause = _PAUSE
        while not self._closing.is_set():
            try:
                if connection is None:
                    connection = await connect(self._address)
                    await self._begin(connection)
                    await self._catch_up(connection)
                pause = _PAUSE
                await self._serve(connection)
            except (psycopg.Error, StoreError, OSError) as error:
                log.debug("no news from %s: %s", self._address.name, error)
            finally:
                if connection is not None:
                    await connection.close()
                    connection = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            pause = min(_PAUSE_MOST, 2 * pause)

    async def _begin(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._own = connection.info.backend_pid
        connection.add_notify_handler(self._receive)
        await connection.execute(_LISTEN)
        self._say(_Word(_GREETING))

    async def _catch_up(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Nobody told us in the meantime."""
        self._call(News("changed", ""))
        for (kind,) in await (await connection.execute(_KINDS)).fetchall():
            self._call(News("ready", msgspec.json.decode(unescaped(kind.encode()))))

    async def _serve(self, connection: psycopg.AsyncConnection[Any]) -> None:
        loop = asyncio.get_running_loop()
        socket = connection.fileno()
        while self._words or not self._closing.is_set():
            if not self._words:
                loop.add_reader(socket, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    loop.remove_reader(socket)
            self._wake.clear()
            self._take(connection)
            words, self._words = list(self._words), {}
            if words:
                await connection.execute(_TELL, (self._texts(words),))

    def _take(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """What has arrived while nothing was said."""
        connection.pgconn.consume_input()
        while (notify := connection.pgconn.notifies()) is not None:
            self._understand(notify.extra, notify.be_pid)

    def _receive(self, notify: psycopg.Notify) -> None:
        """What has arrived while something was said."""
        self._understand(notify.payload.encode(), notify.pid)

    def _texts(self, words: list[_Word]) -> list[str]:
        texts = [escaped(msgspec.json.encode(word).decode()) for word in words]
        return [text for text in texts if len(text.encode()) <= _MOST]

    def _understand(self, text: bytes, pid: int) -> None:
        try:
            word = msgspec.json.decode(unescaped(text), type=_Word)
            if pid in (self._own, self._writer()) and not word.all:
                return
            if word.kind in (_GREETING, _ANSWER):
                self.has_company = True
                if word.kind == _GREETING:
                    self._say(_Word(_ANSWER))
                return
            news = msgspec.convert(word, News, from_attributes=True)
        except (msgspec.MsgspecError, UnicodeError) as error:
            log.debug("a notification that cannot be read: %s", error)
            return
        self._call(news)

    def _call(self, news: News) -> None:
        try:
            self._heard(news)
        except Exception:  # the next one is not to suffer
            log.exception("news could not be handled: %s", news)
