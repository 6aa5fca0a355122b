"""`jabot login`: write an account down, once it has proved to work."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from jabot.account import (
    Account,
    ServerAddress,
    default_account,
    save_account,
    with_ca_file,
)
from jabot.cli.password import read_password
from jabot.cli.screen import hush
from jabot.cli.values import ACCOUNT, Value
from jabot.contacts import ContactList
from jabot.jid import JID


@click.command()
@click.argument("jid", type=ACCOUNT)
@click.option(
    "--server",
    metavar="HOST:PORT",
    type=Value("server", ServerAddress.parse),
    help="Where to connect; found by DNS otherwise.",
)
@click.option("--ca-file", metavar="FILE", help="Trust the certificates in FILE.")
@click.option("--no-check", is_flag=True, help="Do not sign in to see whether it works.")
def login(jid: str, server: ServerAddress | None, ca_file: str | None, no_check: bool) -> None:
    """Save an account for the other commands.

    Asks for the password, or reads a line from standard input when that is no terminal, signs in,
    and writes ~/.config/jabot/config.toml (mode 0600). The first account is the default one; the
    others are chosen with --account, or by JABOT_JID.
    """
    account = with_ca_file(Account(JID(jid), "", server), ca_file)
    account = replace(account, password=read_password(jid))
    if not no_check:
        hush()
        asyncio.run(_try(account))
        click.echo(f"Signed in as {jid}.")
    click.echo(f"Saved to {save_account(account)}.")
    default = default_account()
    if default != jid:
        click.echo(f"Commands sign in as {default} unless they are given --account {jid}.")


async def _try(account: Account) -> None:
    async with ContactList(account):
        pass  # that it works is all that is to be known
