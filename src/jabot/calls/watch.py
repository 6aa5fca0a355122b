"""Who is online at addresses, as that changes: what `jabot nodes --watch` and `jabot top` show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from jabot.calls.calling import Calling
from jabot.errors import JabotError
from jabot.peers import Peer
from jabot.xmpp import IncomingPresence

OnChange = Callable[[IncomingPresence | None], object]


class Watch:
    """Watches addresses within a `with`: it costs the nodes no more than a greeting now and then.

    `on_change` is called when it is time to look again: with the presence that came, with None when
    the connection came or went.
    """

    def __init__(self, app: Calling, addresses: Sequence[str], on_change: OnChange) -> None:
        self._calls = app._calls
        self._addresses = tuple(addresses)
        self._on_change = on_change
        self._why: dict[str, JabotError] = {}

    def __enter__(self) -> Self:
        self._calls.watchers.append(self._on_change)
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.watchers.remove(self._on_change)

    @property
    def is_online(self) -> bool:
        """Whether there is a connection; without one nothing is known of anybody."""
        return self._calls.is_online

    @property
    def closed(self) -> JabotError | None:
        """Why there will be no connection any more."""
        return self._calls.closed

    def peers(self) -> list[Peer]:
        """The nodes that are online, by address. To be asked now and then: where nobody is, it says
        hello again."""
        for address in self._addresses if self.is_online else ():
            why = self._calls.directory.look(address)
            if why is not None:
                self._why[address] = why
            elif self._calls.peers.anybody_at(address):
                self._why.pop(address, None)
        found = {peer.jid: peer for each in self._addresses for peer in self._calls.peers.at(each)}
        return sorted(found.values(), key=lambda peer: peer.jid)

    def unclear(self) -> bool:
        """Whether somebody may still answer at an address where nobody is known: soon after the
        connection was made."""
        anybody_at = self._calls.peers.anybody_at
        return any(each not in self._why and not anybody_at(each) for each in self._addresses)

    def missing(self) -> dict[str, JabotError]:
        """The addresses where `peers` has found nobody, as far as that is clear, and why."""
        return {each: self._why[each] for each in self._addresses if each in self._why}
