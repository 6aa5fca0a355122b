"""`jabot login`: write an account down, once it has proved to work."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from jabot.account import (
    Account,
    ServerAddress,
    default_account,
    parse_account_jid,
    save_account,
    with_ca_file,
)
from jabot.cli.password import read_password
from jabot.cli.screen import hush
from jabot.contacts import ContactList


@click.command()
@click.argument("jid")
@click.option("--server", metavar="HOST:PORT", help="Where to connect; found by DNS otherwise.")
@click.option("--ca-file", metavar="FILE", help="Trust the certificates in FILE.")
@click.option("--no-check", is_flag=True, help="Do not sign in to see whether it works.")
def login(jid: str, server: str | None, ca_file: str | None, no_check: bool) -> None:
    """Save an account for the other commands.

    Asks for the password, or reads a line from standard input when that is no terminal, signs in,
    and writes ~/.config/jabot/config.toml (mode 0600). The first account is the default one; the
    others are chosen with --account, or by JABOT_JID.
    """
    address = parse_account_jid(jid)
    account = with_ca_file(Account(address, ""), ca_file)
    if server:
        account = replace(account, server=ServerAddress.parse(server))
    account = replace(account, password=read_password(address.bare))
    if not no_check:
        hush()
        asyncio.run(_try(account))
        click.echo(f"Signed in as {address}.")
    click.echo(f"Saved to {save_account(account)}.")
    default = default_account()
    if default != account.jid.bare:
        click.echo(f"Commands sign in as {default} unless they are given --account {address}.")


async def _try(account: Account) -> None:
    async with ContactList(account):
        pass  # that it works is all that is to be known
