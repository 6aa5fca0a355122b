"""The option that says which account a command signs in with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def account_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--account JID`, for `resolve_account`."""
    text = "Sign in as this account."
    return click.option("--account", metavar="JID", help=text)(command)
