"""`jabot nodes --watch`: who is online, as that changes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from jabot.account import Account
from jabot.calls.watch import Watch
from jabot.cli.interrupt import interruptible
from jabot.cli.node_tables import node_table, plain_node
from jabot.cli.screen import as_json, clean, output
from jabot.client import Client
from jabot.peers import Peer

_PACE: Final = 1.0  # seconds between two pictures, at least
_LOOK_AGAIN: Final = 2.0  # seconds; why nobody is there becomes clear without a presence
_LOST: Final = "No connection to the server; trying again. This is how it was."


@dataclass(frozen=True)
class Seen:
    """Who is online, and what else there is to say."""

    peers: Sequence[Peer] = ()
    notes: Sequence[str] = ()
    """Why nobody is at an address, or that nothing is known just now."""


async def watch(account: Account, addresses: Sequence[str], *, json: bool) -> None:
    """Show the nodes at the addresses until a signal comes: a table that changes in its place, or a
    JSON array a line. Raises what ended the connection for good."""
    with interruptible("nodes", account) as (line, _):
        async with Client(account) as app:
            await gather(app, addresses)
            line.close()
            await _show(app, addresses, json=json)


async def gather(app: Client, addresses: Sequence[str]) -> None:
    """Greet all, and wait for those who answer. Who refuses us now may not do so later."""
    await asyncio.gather(*(app.nodes(each) for each in addresses), return_exceptions=True)


async def _show(app: Client, addresses: Sequence[str], *, json: bool) -> None:
    changed = asyncio.Event()
    with Watch(app, addresses, lambda _: changed.set()) as there:
        if json or not sys.stdout.isatty():
            await each(there, changed, _Lines(json=json).show)
            return
        with Live(console=output(), auto_refresh=False, screen=True) as live:
            await each(there, changed, lambda seen: live.update(_screen(seen), refresh=True))


async def each(there: Watch, changed: asyncio.Event, show: Callable[[Seen], object]) -> None:
    """Show who is there, now and whenever that has changed, but not twice within a second, unless
    somebody goes."""
    loop, shown, due = asyncio.get_running_loop(), Seen(), float("-inf")
    while True:
        changed.clear()
        seen, now, pause = _look(there, shown), loop.time(), _LOOK_AGAIN
        if seen is not None and (seen != shown or due == float("-inf")):
            if now >= due or _somebody_left(shown, seen):
                show(seen)
                shown, due = seen, now + _PACE
            else:
                pause = due - now
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await changed.wait()


def _somebody_left(before: Seen, now: Seen) -> bool:
    return bool({peer.jid for peer in before.peers} - {peer.jid for peer in now.peers})


def _look(there: Watch, before: Seen) -> Seen | None:
    """Who is there; None when a new connection is about to make that clear."""
    if there.closed is not None:
        raise there.closed
    if not there.is_online:
        return Seen(before.peers, (_LOST,))
    peers, missing = there.peers(), there.missing()
    if before.notes == (_LOST,) and there.unclear():
        return None
    return Seen(peers, tuple(map(str, missing.values())))


class _Lines:
    """For who reads no screen: each change below the one before, notes on standard error."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._shown: Sequence[Peer] | None = None
        self._said: Sequence[str] = ()

    def show(self, seen: Seen) -> None:
        for note in seen.notes:
            if note not in self._said:
                click.echo(clean(note), err=True)
        self._said = seen.notes
        if seen.peers == self._shown:
            return
        self._shown = seen.peers
        if self._json:
            click.echo(as_json([plain_node(peer) for peer in seen.peers]))
        else:
            output().print(node_table(seen.peers))
        sys.stdout.flush()


def _screen(seen: Seen) -> Group:
    notes = [Text(clean(note), style="yellow") for note in seen.notes]
    table = [node_table(seen.peers)] if seen.peers else []
    return Group(*table, *([Text()] if table and notes else []), *notes)
