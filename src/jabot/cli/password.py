"""Where the commands get a password from: never from an argument."""

from __future__ import annotations

import sys

import click

from jabot.errors import ConfigError


def read_password(account: str, *, confirm: bool = False) -> str:
    """Ask on a terminal without showing it (twice with `confirm`), else read a line of standard
    input."""
    if sys.stdin.isatty():
        password: str = click.prompt(
            f"Password for {account}", hide_input=True, confirmation_prompt=confirm, err=True
        )
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise ConfigError(f"the password for {account} is empty")
    return password
