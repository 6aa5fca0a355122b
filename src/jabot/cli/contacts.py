"""`jabot contacts`: whom an account sees online, and who sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click
from rich.table import Table

from jabot.account import Account, parse_jid
from jabot.cli.account import account_option, run_as
from jabot.cli.exit_codes import FAILED, Failure
from jabot.cli.screen import clean, json_option, one_line, output, plain_table, print_json
from jabot.cli.values import DURATION, Value
from jabot.contacts import Answer, ContactList
from jabot.errors import NobodyThere, NotAllowed, StanzaError
from jabot.jid import JID
from jabot.xmpp import IncomingPresence
from jabot.xmpp.roster import Contact

Online = Mapping[Contact, list[IncomingPresence]]

_CONTACT: Final = Value("contact", lambda text: JID(parse_jid(text).bare))
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


@contacts.command("list", short_help="All contacts, and who is online.")
@json_option("One JSON array instead of a table.")
@account_option
def list_(json: bool, account: str | None) -> None:
    """List all contacts: who of the two sees the other, and who is online with what status.

    Takes two seconds where one of them is offline. An account with several programs, such as a pool
    of nodes, is shown with all of them.
    """
    own, found = run_as(account, _look)
    if json:
        print_json([_plain(contact, there) for contact, there in found.items()])
    elif found:
        output().print(_table(found))
    else:
        click.echo(f"{own} has no contacts", err=True)


@contacts.command(short_help="Add a contact, and ask to see it.")
@click.argument("jid", type=_CONTACT)
@click.option("--name", metavar="TEXT", help="What to call it in the list.")
@click.option("--accept", is_flag=True, help="If it has asked to see this account, grant that.")
@click.option(
    "--timeout",
    metavar="TIME",
    default="5",
    show_default=True,
    type=DURATION,
    help="Wait so long for the answer: seconds, or as 500ms, 1m.",
)
@account_option
def add(jid: JID, name: str | None, accept: bool, timeout: float, account: str | None) -> None:
    """Add JID to the contact list, and ask to see when it is online.

    A node accepts whom its rules allow something, and refuses the others; a refused contact is not
    kept. People are asked by their chat programs. Where no answer comes, the question stays.
    """
    click.echo(run_as(account, lambda own: _add(own, jid, name, accept, timeout)))


@contacts.command(short_help="Remove a contact.")
@click.argument("jid", type=_CONTACT)
@account_option
def remove(jid: JID, account: str | None) -> None:
    """Remove JID from the contact list: neither sees the other any more.

    It takes no rights away: those are in the rules of a node.
    """
    click.echo(run_as(account, lambda own: _remove(own, jid)))


async def _look(account: Account) -> tuple[str, Online]:
    async with ContactList(account) as listed:
        return account.jid.bare, await listed.look()


async def _add(account: Account, jid: JID, name: str | None, accept: bool, limit: float) -> str:
    async with ContactList(account) as listed:
        try:
            answer = await listed.add(jid, name, accept=accept, limit=limit)
        except StanzaError as error:
            raise NobodyThere(f"{jid} cannot be added: {error}; is it misspelt?") from None
    return _outcome(account.jid.bare, jid.bare, answer)


async def _remove(account: Account, jid: JID) -> str:
    async with ContactList(account) as listed:
        if not await listed.remove(jid):
            own = account.jid.bare
            raise Failure(f"{jid} is no contact of {own}; nothing was removed", FAILED)
    return f"{clean(jid.bare)} is removed: neither of you sees the other any more"


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
    table = plain_table("CONTACT", "NAME", "WHO SEES WHOM", "ONLINE", folded=True)
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
