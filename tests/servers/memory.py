"""No server at all: the exchange and the clock of jabot.testing, for tests that need no sockets."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from .process import Account

if TYPE_CHECKING:
    import jabot
    from jabot.testing import Clock, Exchange

MEMORY = "memory"  # the kind


class InMemory:
    """One for each test, in its loop, whose time is made up from the first sign-in on."""

    kind = MEMORY

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._exchange: Exchange | None = None
        self._clock: Clock | None = None

    def fresh_user(self, prefix: str = "bot") -> Account:
        """An account; it needs no password."""
        return Account(f"{prefix}{next(self._numbers)}@localhost", "")

    def wall(self) -> float:
        """The date, in seconds since 1970."""
        return self._begun()[1].wall()

    def account(self, account: Account) -> jabot.Account:
        """The account as a node takes it."""
        return self._begun()[0].account(account.jid)

    def close(self) -> None:
        """Let the loop's time go on by itself."""
        if self._exchange is not None and self._clock is not None:
            self._exchange.close()
            self._clock.release()

    def _begun(self) -> tuple[Exchange, Clock]:
        # Here and not above: tests of other parts must run while the test kit is broken.
        from jabot.testing import Clock, Exchange

        if self._exchange is None or self._clock is None:
            self._exchange = Exchange()
            self._clock = Clock(asyncio.get_running_loop())
        return self._exchange, self._clock
