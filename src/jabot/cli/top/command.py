"""`jabot top`: a live screen of the fleet."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import click

from jabot.account import Account
from jabot.cli.account import account_option, asked, run_as
from jabot.cli.exit_codes import USAGE, Failure
from jabot.cli.interrupt import interruptible
from jabot.cli.terminal import quiet_logs
from jabot.cli.values import ADDRESS
from jabot.cli.watching import gather
from jabot.client import Client


@click.command(short_help="Watch the fleet on a live screen: load, jobs, rates, events.")
@click.argument("jids", nargs=-1, metavar="[JID]...", type=ADDRESS)
@account_option
def top(jids: Sequence[str], account: str | None) -> None:
    """Show the nodes at each JID on a screen that stays: a pool (bot@example.org), a queue, or one
    node (a full address). Without a JID: the nodes of the own account.

    It shows how many slots of each are taken, how many jobs wait, how many end in a second, CPU and
    memory; and what happens: who comes, who goes and why, which job failed. Enter shows the jobs of
    a node, and c stops one of them: one's own, and those of all for who manages the node. The keys
    are on the screen; ? explains them. q or Ctrl-C leaves, with exit code 0; Ctrl-C while it signs
    in, with 130.

    Shown are those who allow this account something. A node that comes is seen within half a
    minute, one of the own account and one that goes at once. Only nodes in view are asked how they
    are, every two seconds.

    Needs a terminal (any that ssh reaches will do) and textual: pip install "jabot[top]". For
    programs there is `jabot nodes --watch --json`.
    """
    if not is_terminal():
        raise Failure(
            "jabot top is a screen, and this is no terminal; `jabot nodes --watch` prints lines, "
            "with --json for programs",
            USAGE,
        )
    try:
        import textual  # noqa: F401 - to say early that it is missing
    except ModuleNotFoundError:
        raise Failure('jabot top needs textual: pip install "jabot[top]"', USAGE) from None
    sys.exit(run_as(account, lambda own: _top(own, asked(own, jids))))


def is_terminal() -> bool:
    """Whether there is a screen, and a keyboard. What is shown goes to standard error."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


async def _top(account: Account, addresses: list[str]) -> int:
    from jabot.cli.top.feed import Feed
    from jabot.cli.top.fleet import Fleet
    from jabot.cli.top.screen import Top

    async with AsyncExitStack() as stack:
        stack.enter_context(quiet_logs())
        with interruptible("nodes", account):
            app = await stack.enter_async_context(Client(account))
            await gather(app, addresses)
        fleet = Fleet(addresses, time.monotonic, time.time)
        with Feed(app, addresses, fleet) as feed:
            screen = Top(feed)
            await screen.run_async()
            return screen.return_code or 0
