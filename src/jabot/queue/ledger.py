"""What a queue wants of its store: all of one turn of the loop together, answered together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from jabot.errors import StoreError, StoreUnavailable
from jabot.queue.store.store import Impossible, Store
from jabot.queue.store.verbs import Look, Verb

log = logging.getLogger(__name__)

Done: TypeAlias = Callable[[Any], None]
Failed: TypeAlias = Callable[[Exception], None] | None
Entry: TypeAlias = tuple[Verb, Done, Failed]

_MOST: Final = 4096  # verbs in one transaction
_PAUSE: Final = 0.25  # seconds before the store is tried again; then twice that
_PAUSE_MOST: Final = 5.0


class Ledger:
    """Hands verbs to a store, and its answers back.

    While one transaction is on its way to the disk, what comes meanwhile waits for the next: the
    more there is to do, the more of it one commit carries. `more(all_goes)` gives what is to go
    along with each; `all_goes` is False when something waits for the next one all the same.
    `in_doubt()` is called when the store can be used again after it could not.
    """

    def __init__(
        self, store: Store, more: Callable[[bool], list[Entry]], in_doubt: Callable[[], None]
    ) -> None:
        self._store = store
        self._more = more
        self._in_doubt = in_doubt
        self._waiting: list[Entry] = []
        self._wanted = asyncio.Event()
        self._pause = 0.0
        self.problem: StoreUnavailable | None = None
        """Why the store cannot be written at present."""

    def do(self, verb: Verb, done: Done, failed: Failed = None) -> None:
        """Have it done, and `done(answer)` called; or `failed(error)` when it surely or perhaps
        was not. Without `failed` it is said again until it is done."""
        self._waiting.append((verb, done, failed))
        self._wanted.set()

    async def ask(self, verb: Verb) -> Any:
        """Have it done, and wait for the answer. Raises `StoreUnavailable` when it surely or
        perhaps was not."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(answer: Any) -> None:
            if not future.done():
                future.set_result(answer)

        def failed(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        self.do(verb, done, failed)
        return await future

    def look(self) -> None:
        """Ask `more()` in any case."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled. Raises `StoreError` when the store cannot be used any more."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._turn()

    async def drained(self, limit: float) -> None:
        """Do what is waiting now, once, for up to `limit` seconds. What has no answer by then is
        said again by those who wanted it, elsewhere."""
        try:
            async with asyncio.timeout(limit):
                while self._waiting and self.problem is None:
                    await self._turn()
        except TimeoutError:
            log.warning("the store has not answered for %g s; leaving without that", limit)

    async def _turn(self) -> None:
        """One transaction after the other while there is more to do.

        The next one begins before the answers of the one before are gone through: the disk and the
        loop work at the same time.
        """
        before: list[Entry] = []
        answers: list[Any] = []
        entries = self._take()
        if not entries and self.problem is not None:
            entries = [_PROBE]  # whatever waits for the store to be back waits for this
        while entries:
            going = self._begin(entries)
            await asyncio.sleep(0)  # it does so here
            _hand_back(before, answers)
            try:
                answers = await going
            except StoreUnavailable as error:
                await self._put_off(entries, error)
                return
            except Exception as error:
                if isinstance(error, StoreError) and not isinstance(error, Impossible):
                    raise  # it is of no use any more
                log.exception("a transaction failed; its parts are tried one by one")
                await self._one_by_one(entries)
                return
            self._works()
            before = entries
            entries = self._take() if self._waiting else []
        _hand_back(before, answers)

    def _take(self) -> list[Entry]:
        """What goes into the next transaction."""
        entries, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        return entries + self._more(not self._waiting)

    def _begin(self, entries: list[Entry]) -> asyncio.Task[list[Any]]:
        return asyncio.create_task(self._store.apply([verb for verb, _, _ in entries]))

    async def _one_by_one(self, entries: list[Entry]) -> None:
        """One of them is impossible; the others are not to suffer."""
        for place, (verb, done, failed) in enumerate(entries):
            try:
                answer = (await self._store.apply([verb]))[0]
            except StoreUnavailable as error:
                await self._put_off(entries[place:], error)
                return
            except Exception as error:
                if isinstance(error, StoreError) and not isinstance(error, Impossible):
                    raise
                log.error("%s cannot be done: %r", type(verb).__name__, error)
                if failed is not None:
                    _call(failed, error, verb)
            else:
                self._works()
                _call(done, answer, verb)

    async def _put_off(self, entries: list[Entry], error: StoreUnavailable) -> None:
        """Nothing can be done now, also of what waits: who would say it again is told, and what
        nobody else would say again is kept."""
        entries, self._waiting = entries + self._waiting, []
        self._waiting = [entry for entry in entries if entry[2] is None]
        for verb, _, failed in entries:
            if failed is not None:
                _call(failed, error, verb)
        await self._wait(error)

    async def _wait(self, error: StoreUnavailable) -> None:
        if self.problem is None:
            log.error("%s; I try again and again, and take nothing meanwhile", error)
        self.problem = error
        self._pause = min(_PAUSE_MOST, 2 * self._pause or _PAUSE)
        self._wanted.set()
        await asyncio.sleep(self._pause)

    def _works(self) -> None:
        if self.problem is not None:
            log.warning("the store can be used again")
            self.problem, self._pause = None, 0.0
            self._in_doubt()


_PROBE: Final[Entry] = (Look(""), lambda _: None, lambda _: None)


def _hand_back(entries: list[Entry], answers: list[Any]) -> None:
    for (verb, done, _), answer in zip(entries, answers, strict=True):
        try:
            done(answer)
        except Exception:
            _complain(verb)


def _call(function: Callable[[Any], None], what: Any, verb: Verb) -> None:
    try:
        function(what)
    except Exception:
        _complain(verb)


def _complain(verb: Verb) -> None:
    """The others of the transaction are not to suffer."""
    log.exception("the answer to %s could not be handled", type(verb).__name__)
