"""Signing in for a command: the option that says as whom, and what is done then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import click

from jabot.account import Account, resolve_account
from jabot.cli.exit_codes import exit_codes
from jabot.cli.screen import hush
from jabot.cli.values import ACCOUNT

R = TypeVar("R")

account_option = click.option(
    "--account", metavar="JID", type=ACCOUNT, help="Sign in as this account."
)


def asked(account: Account, jids: Sequence[str]) -> list[str]:
    """The addresses that are meant, each once; the account's own when none is named."""
    return list(dict.fromkeys(jids)) or [account.jid.bare]


def run_as(account: str | None, work: Callable[[Account], Coroutine[Any, Any, R]]) -> R:
    """Do what a command does, as the account that `--account` names or the usual one; errors end
    the command with their code."""
    hush()
    with exit_codes():
        return asyncio.run(work(resolve_account(account)))
