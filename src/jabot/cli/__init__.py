"""The `jabot` command: one file for each subcommand, joined here."""

from __future__ import annotations

import importlib

import click

# Subcommand -> the module that holds it. Modules are imported when they are asked for,
# so that `jabot run` does not pay for the embedded server.
_COMMANDS = {
    "server": "jabot.cli.server",
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jabot")
def cli() -> None:
    """Run Python functions on any machine that can reach a Jabber (XMPP) server."""


def main() -> None:
    """The entry point of the `jabot` script."""
    cli(prog_name="jabot")

