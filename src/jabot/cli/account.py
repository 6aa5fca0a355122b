"""Which account a command signs in with."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from jabot.account import Account, resolve_account


def account_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--account JID`, for `chosen_account`."""
    text = "Sign in as this saved account."
    return click.option("--account", metavar="JID", help=text)(command)


def chosen_account(chosen: str | None) -> Account:
    """The account of the option, else the usual one.

    The option goes before the environment, whose settings are those of another account.
    """
    if chosen is None or os.environ.get("JABOT_JID", "") == chosen:
        return resolve_account(chosen)
    other = {name: value for name, value in os.environ.items() if not name.startswith("JABOT_")}
    return resolve_account(chosen, other)
