"""`jabot nodes`: who is online."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from jabot.account import Account
from jabot.calls.directory import nobody_at
from jabot.cli.account import account_option, asked, run_as
from jabot.cli.exit_codes import end_with
from jabot.cli.node_tables import node_table, plain_node
from jabot.cli.screen import json_option, output, print_json
from jabot.cli.values import ADDRESS
from jabot.cli.watching import watch as watch_nodes
from jabot.client import Client
from jabot.errors import JabotError, NotAllowed
from jabot.peers import Peer


@click.command(short_help="Show who is online, and how busy.")
@click.argument("jids", nargs=-1, metavar="[JID]...", type=ADDRESS)
@json_option("One JSON array instead of a table.")
@click.option("--watch", is_flag=True, help="Go on, and show what changes, until Ctrl-C.")
@account_option
def nodes(jids: Sequence[str], json: bool, watch: bool, account: str | None) -> None:
    """Show who is online at each JID: a pool (bot@example.org), or one node (a full address).

    Without a JID: the nodes of the own account. Shown are those who allow this account something,
    with how many of their slots are taken, and of their tasks those that it may run. Takes two
    seconds where nobody answers. Exit code 3 when nobody is at one of the addresses, 4 when
    who is there allows this account nothing.

    With --watch the table changes as nodes tell their load, come and go, once a second at most;
    with --json it is an array a line. A node that comes is seen within half a minute, one of the
    own account and one that goes at once. Without a connection it says so on standard error and
    prints nothing until there is one again. Ctrl-C ends it, with exit code 130.
    """
    if watch:
        run_as(account, lambda own: watch_nodes(own, asked(own, jids), json=json))
        return
    found = run_as(account, lambda own: _nodes(own, asked(own, jids)))
    peers = [peer for there in found if not isinstance(there, JabotError) for peer in there]
    if json:
        print_json([plain_node(peer) for peer in peers])
    elif peers:
        output().print(node_table(peers))
    end_with(found)


async def _nodes(account: Account, addresses: Sequence[str]) -> list[list[Peer] | JabotError]:
    async with Client(account) as app:
        return await asyncio.gather(*(_at(app, address) for address in addresses))


async def _at(app: Client, address: str) -> list[Peer] | JabotError:
    """The nodes at an address, or why there are none."""
    try:
        found = await app.nodes(address)
    except NotAllowed as refusal:
        return refusal
    return found or nobody_at(address, app.jid.bare)
