"""The `jabot` command: one file for each group of subcommands, joined here."""

from __future__ import annotations

import difflib
import importlib
import logging
import signal
import sys
from typing import Final

import click
from click.exceptions import Exit

from jabot.errors import JabotError

# Subcommand -> the module that holds it. Modules are imported when they are asked for, so that
# `jabot run` does not pay for the embedded server.
_COMMANDS = {
    "demo": "jabot.cli.demo",
    "run": "jabot.cli.run",
    "queue": "jabot.cli.queue",
    "submit": "jabot.cli.submit",
    "broadcast": "jabot.cli.broadcast",
    "jobs": "jabot.cli.jobs",
    "schedules": "jabot.cli.schedules",
    "publish": "jabot.cli.topics",
    "follow": "jabot.cli.topics",
    "nodes": "jabot.cli.nodes",
    "top": "jabot.cli.top.command",
    "describe": "jabot.cli.describe",
    "chat": "jabot.cli.chat",
    "contacts": "jabot.cli.contacts",
    "login": "jabot.cli.login",
    "can": "jabot.cli.run",
    "server": "jabot.cli.server",
}


_INTERRUPTED: Final = 128 + signal.SIGINT


class _Group(click.Group):
    """Imports a subcommand's module on first use, shows our errors without a traceback, and ends
    with 130 after Ctrl-C."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
        if near and args[0] not in _COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except JabotError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            raise Exit(_INTERRUPTED) from None
        except click.Abort as abort:  # of a question: answered with no, Ctrl-D, or Ctrl-C
            if isinstance(abort.__context__, KeyboardInterrupt):
                click.echo("Aborted!", err=True)  # as click says it of the others
                raise Exit(_INTERRUPTED) from None
            raise


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Log every detail.")
@click.version_option(package_name="jabot")
def cli(verbose: bool) -> None:
    """Run Python functions on any machine that can reach a Jabber (XMPP) server."""
    _set_up_logs(verbose)


def main() -> None:
    """The entry point of the `jabot` script."""
    cli(prog_name="jabot")


def _set_up_logs(verbose: bool) -> None:
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # slixmpp complains in its own words about what we report in ours, and in detail it would show
    # whole stanzas, the sign-in among them.
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
