"""`jabot nodes`: who is online."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from jabot.account import Account, parse_jid, resolve_account
from jabot.cli import watching
from jabot.cli.account import account_option
from jabot.cli.exit_codes import code_of, exit_codes
from jabot.cli.screen import as_json, clean, hush, one_line, output
from jabot.client import Client
from jabot.errors import ConfigError, JabotError, NobodyThere, NotAllowed
from jabot.peers import Peer


def _addresses(_: click.Context, __: click.Parameter, given: Sequence[str]) -> list[str]:
    try:
        return [str(parse_jid(text)) for text in given]
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="Show who is online, and how busy.")
@click.argument("jids", nargs=-1, metavar="[JID]...", callback=_addresses)
@click.option("--json", "json", is_flag=True, help="One JSON array instead of a table.")
@click.option("--watch", is_flag=True, help="Go on, and show what changes, until Ctrl-C.")
@account_option
def nodes(jids: list[str], json: bool, watch: bool, account: str | None) -> None:
    """Show who is online at each JID: a pool (bot@example.org), or one node (a full address).

    Without a JID: the nodes of the own account. Shown are those who allow this account something,
    with how many of their slots are taken, and of their tasks those that it may run. Takes two
    seconds where nobody answers. Exit code 3 when nobody is at one of the addresses, 4 when
    who is there allows this account nothing.

    With --watch the table changes as nodes tell their load, come and go, once a second at most;
    with --json it is an array a line. A node that comes is seen within half a minute, one of the
    own account and one that goes at once. Ctrl-C ends it, with exit code 130.
    """
    hush()
    with exit_codes():
        chosen = resolve_account(account)
        asked = list(dict.fromkeys(jids)) or [chosen.jid.bare]
        if watch:
            sys.exit(asyncio.run(watching.watch(chosen, asked, _table, _plain if json else None)))
        found = asyncio.run(_nodes(chosen, asked))
    peers = [peer for there in found if not isinstance(there, JabotError) for peer in there]
    if json:
        click.echo(as_json([_plain(peer) for peer in peers], indent=sys.stdout.isatty()))
    elif peers:
        output().print(_table(peers))
    problems = [there for there in found if isinstance(there, JabotError)]
    for problem in problems:
        click.echo(f"Error: {clean(str(problem))}", err=True)
    if problems:
        sys.exit(code_of(problems[0]))


async def _nodes(account: Account, addresses: Sequence[str]) -> list[list[Peer] | JabotError]:
    async with Client(account) as app:
        return await asyncio.gather(*(_at(app, address) for address in addresses))


async def _at(app: Client, address: str) -> list[Peer] | JabotError:
    """The nodes at an address, or why there are none."""
    try:
        found = await app.nodes(address)
    except NotAllowed as refusal:
        return refusal
    own = app.jid.bare
    if address == own:
        return found or NobodyThere(f"no node of {own} is online")
    text = f"nobody at {address} answers: is it online, and does it allow {own}?"
    return found or NobodyThere(text)


def _plain(peer: Peer) -> dict[str, Any]:
    return {
        "jid": peer.jid,
        "running": peer.running,
        "waiting": peer.waiting,
        "slots": peer.slots,
        "load": peer.load,
        "tasks": None if peer.tasks is None else sorted(peer.tasks),
        "labels": dict(peer.labels),
        "version": peer.version,
    }


def _table(peers: Sequence[Peer]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("NODE", no_wrap=True, overflow="fold")
    for name in ("LOAD", "TASKS", "LABELS", "VERSION"):
        table.add_column(name, overflow="fold")
    for peer in peers:
        tasks = "?" if peer.tasks is None else ", ".join(sorted(peer.tasks)) or "-"
        labels = ", ".join(f"{name}={value}" for name, value in peer.labels.items()) or "-"
        table.add_row(
            one_line(peer.jid),
            _load(peer),
            *(one_line(text) for text in (tasks, labels, peer.version or "-")),
        )
    return table


def _load(peer: Peer) -> Text:
    """`3 of 8`, and how many wait; red when one more would have to."""
    text = f"{peer.running} of {peer.slots}"
    if peer.waiting:
        text += f", {peer.waiting} waiting"
    return Text(text, style="red" if peer.load >= 1 else "green")
