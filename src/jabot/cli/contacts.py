"""`jabot contacts`: whom an account sees online, and who sees it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.table import Table

from jabot.account import Account, parse_jid, resolve_account
from jabot.cli.account import account_option
from jabot.cli.exit_codes import FAILED, Failure, exit_codes
from jabot.cli.job_options import duration
from jabot.cli.screen import as_json, clean, hush, one_line, output
from jabot.contacts import Answer, ContactList
from jabot.errors import ConfigError, NobodyThere, NotAllowed, StanzaError
from jabot.jid import JID
from jabot.xmpp import IncomingPresence
from jabot.xmpp.roster import Contact

Online = Mapping[Contact, list[IncomingPresence]]

_SHOWS: Final = {"": "online", "chat": "free", "away": "away", "xa": "long away", "dnd": "busy"}


@click.group(short_help="Look after the contact list.")
def contacts() -> None:
    """Look after the contact list of an account: whom it sees online, and who sees it.

    A node lets those see it whom its rules (allow=) allow something. It asks to see nobody, so
    there is nothing to accept.

    \b
    Exit codes:
        0    done
        1    it could not be done, or the contact to remove was not on the list
        2    the command line is wrong
        3    nobody has answered yet, or the address does not exist
        4    the contact refuses to be seen, or the server keeps it on the list
    """


def _contact(_: click.Context, __: click.Parameter, given: str) -> JID:
    try:
        return JID(parse_jid(given).bare)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


@contacts.command("list", short_help="All contacts, and who is online.")
@click.option("--json", "json", is_flag=True, help="One JSON array instead of a table.")
@account_option
def list_(json: bool, account: str | None) -> None:
    """List all contacts: who of the two sees the other, and who is online with what status.

    Takes two seconds where somebody is not. An account with several programs, such as a pool of
    nodes, is shown with all of them.
    """
    hush()
    with exit_codes():
        chosen = resolve_account(account)
        found = asyncio.run(_look(chosen))
    if json:
        lines = [_plain(contact, there) for contact, there in found.items()]
        click.echo(as_json(lines, indent=sys.stdout.isatty()))
    elif found:
        output().print(_table(found))
    else:
        click.echo(f"{chosen.jid.bare} has no contacts", err=True)


@contacts.command(short_help="Add a contact, and ask to see it.")
@click.argument("jid", callback=_contact)
@click.option("--name", metavar="TEXT", help="What to call it in the list.")
@click.option("--accept", is_flag=True, help="If it has asked to see this account, grant that.")
@click.option(
    "--timeout",
    metavar="TIME",
    default="5",
    show_default=True,
    callback=duration,
    help="Wait so many seconds for the answer.",
)
@account_option
def add(jid: JID, name: str | None, accept: bool, timeout: float, account: str | None) -> None:
    """Add JID to the contact list, and ask to see when it is online.

    A node accepts whom its rules allow something, and refuses the others; a refused contact is not
    kept. People are asked by their chat programs. Where no answer comes, the question stays.
    """
    hush()
    with exit_codes():
        chosen = resolve_account(account)
        answer = asyncio.run(_add(chosen, jid, name, accept, timeout))
        click.echo(_outcome(chosen.jid.bare, jid.bare, answer))


@contacts.command(short_help="Remove a contact.")
@click.argument("jid", callback=_contact)
@account_option
def remove(jid: JID, account: str | None) -> None:
    """Remove JID from the contact list: neither sees the other any more.

    It takes no rights away: those are in the rules of a node.
    """
    hush()
    with exit_codes():
        chosen = resolve_account(account)
        was_there = asyncio.run(_remove(chosen, jid))
    if not was_there:
        raise Failure(f"{jid} is no contact of {chosen.jid.bare}; nothing was removed", FAILED)
    click.echo(f"{clean(jid.bare)} is removed: neither of you sees the other any more")


async def _look(account: Account) -> Online:
    async with ContactList(account) as listed:
        return await listed.look()


async def _add(account: Account, jid: JID, name: str | None, accept: bool, limit: float) -> Answer:
    async with ContactList(account) as listed:
        try:
            return await listed.add(jid, name, accept=accept, limit=limit)
        except StanzaError as error:
            raise NobodyThere(f"{jid} cannot be added: {error}; is it misspelt?") from None


async def _remove(account: Account, jid: JID) -> bool:
    async with ContactList(account) as listed:
        return await listed.remove(jid)


def _outcome(own: str, jid: str, answer: Answer) -> str:
    """What came of adding somebody. Raises `NotAllowed` and `NobodyThere`."""
    if answer == "refused":
        raise NotAllowed(
            f"{jid} refuses to be seen by {own}. If it is a node, allow {own} "
            f'something there: allow={{"{own}": ["TASK"]}} or "*"; '
            f"`jabot can {own} TASK FILE` says what its rules decide"
        )
    if answer == "waiting":
        raise NobodyThere(
            f"{jid} is on the list, and has not answered yet whether {own} may see it; "
            "it stays asked until it is online and answers"
        )
    if answer == "already":
        return f"{clean(jid)} is on the list; you could see it before"
    return f"{clean(jid)} is on the list, and has accepted: you see when it is online"


def _plain(contact: Contact, there: list[IncomingPresence]) -> dict[str, Any]:
    return {
        "jid": contact.jid.bare,
        "name": contact.name,
        "sees_you": contact.sees_you,
        "you_see": contact.you_see,
        "asked": contact.asked,
        "groups": contact.groups,
        "online": [
            {"jid": str(each.sender), "show": each.show, "status": each.status} for each in there
        ],
    }


def _table(found: Online) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("CONTACT", no_wrap=True, overflow="fold")
    for heading in ("NAME", "WHO SEES WHOM", "ONLINE"):
        table.add_column(heading, overflow="fold")
    for contact, there in found.items():
        cells = (contact.jid.bare, contact.name or "-", _direction(contact), _online(there))
        table.add_row(*(one_line(text) for text in cells))
    return table


def _direction(contact: Contact) -> str:
    words = []
    if contact.you_see:
        words.append("you see")
    if contact.asked:
        words.append("asked")
    if contact.sees_you:
        words.append("sees you")
    return ", ".join(words) or "-"


def _online(there: list[IncomingPresence]) -> str:
    """`free: 0 of 8 running`, for each program of the contact."""
    texts = []
    for each in there:
        show = _SHOWS.get(each.show, each.show)
        texts.append(f"{show}: {each.status}" if each.status else show)
    return "; ".join(texts) or "-"
