"""`jabot nodes --watch`: who is online, as that changes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import click
from rich.live import Live
from rich.table import Table

from jabot.account import Account
from jabot.calls.calling import watching
from jabot.cli.interrupt import Interrupt
from jabot.cli.progress import ProgressLine
from jabot.cli.screen import as_json, output
from jabot.client import Client
from jabot.peers import Peer

_PACE: Final = 1.0  # seconds between two pictures, at least
_LOOK_AGAIN: Final = 2.0  # seconds; what goes with the connection is told by no presence

Picture = Callable[[Sequence[Peer]], Table]
Plain = Callable[[Peer], dict[str, Any]]


async def watch(
    account: Account, addresses: Sequence[str], picture: Picture, plain: Plain | None
) -> int:
    """Show the nodes at the addresses until a signal comes: a table that changes in its place, or
    with `plain` a JSON array a line. The exit code is that of the signal."""
    with ProgressLine("nodes") as line, Interrupt(line) as interrupt:
        try:
            line.where(f"- signing in as {account.jid}")
            async with Client(account) as app:
                await _gather(app, addresses)
                line.close()
                await _show(app, addresses, picture, plain)
        except asyncio.CancelledError:
            if interrupt.code is None:
                raise
    return interrupt.code or 0


async def _gather(app: Client, addresses: Sequence[str]) -> None:
    """Greet all, and wait for those who answer. Who refuses us now may not do so later."""
    await asyncio.gather(*(app.nodes(each) for each in addresses), return_exceptions=True)


async def _show(
    app: Client, addresses: Sequence[str], picture: Picture, plain: Plain | None
) -> None:
    changed = asyncio.Event()
    with watching(app, addresses, changed.set) as peers:
        if plain is not None:
            await _each(peers, changed, lambda there: _print([plain(peer) for peer in there]))
            return
        if not sys.stdout.isatty():
            await _each(peers, changed, lambda there: output().print(picture(there)))
            return
        with Live(picture(peers()), console=output(), auto_refresh=False, screen=True) as live:
            await _each(peers, changed, lambda there: live.update(picture(there), refresh=True))


async def _each(
    peers: Callable[[], list[Peer]],
    changed: asyncio.Event,
    show: Callable[[list[Peer]], object],
) -> None:
    """Show who is there, now and whenever that has changed."""
    shown: list[Peer] | None = None
    while True:
        changed.clear()
        there = peers()
        if there != shown:
            show(there)
            shown = there
            await asyncio.sleep(_PACE)
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), _LOOK_AGAIN)


def _print(value: Any) -> None:
    click.echo(as_json(value))
    sys.stdout.flush()
