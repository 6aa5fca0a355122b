"""`jabot describe`: what a node offers."""

from __future__ import annotations

import inspect

import click
from rich.console import Console
from rich.text import Text

from jabot.account import Account
from jabot.cli.account import account_option, run_as
from jabot.cli.schema import definitions_of, signature_text
from jabot.cli.screen import clean, json_option, output, print_json
from jabot.cli.values import ADDRESS
from jabot.client import Client
from jabot.tasks import Description


@click.command(short_help="Show what the tasks of a node take and give.")
@click.argument("jid", type=ADDRESS)
@click.argument("task", required=False)
@json_option("The JSON Schemas, in an object by task.")
@account_option
def describe(jid: str, task: str | None, json: bool, account: str | None) -> None:
    """Show what TASK at JID takes and gives, or all tasks that this account may run there.

    JID is a pool (one of its nodes answers) or one node. Exit code 2 when there is no such task, 3
    when nobody is there, 4 when who is there allows this account nothing.
    """
    found = run_as(account, lambda own: _describe(own, jid, task))
    if json:
        print_json(found)
    elif not found:
        click.echo(f"{jid} offers this account nothing", err=True)
    else:
        console = output()
        for number, (name, description) in enumerate(sorted(found.items())):
            if number:
                console.print()
            _show(console, name, description)


async def _describe(account: Account, jid: str, task: str | None) -> dict[str, Description]:
    async with Client(account) as app:
        return await app.describe(jid, task)


def _show(console: Console, name: str, description: Description) -> None:
    line = Text(clean(name), style="bold")
    line.append(clean(signature_text(description)), style="not bold")
    console.print(line)
    doc = inspect.cleandoc(clean(description.doc))
    definitions = "\n".join(clean(line) for line in definitions_of(description))
    for paragraph in (doc, definitions):
        if paragraph:
            text = "\n".join(f"    {line}".rstrip() for line in paragraph.splitlines())
            console.print(Text(text))
