"""`jabot chat`: for people without a chat program at hand."""

from __future__ import annotations

import asyncio
import sys

import click

from jabot.account import Account
from jabot.cli.account import account_option, run_as
from jabot.cli.exit_codes import NOBODY_THERE
from jabot.cli.terminal import ANSWER_LIMIT, Conversation, lines_of_stdin, prompt
from jabot.cli.values import ADDRESS
from jabot.jid import JID


@click.command()
@click.argument("jid", type=ADDRESS)
@account_option
def chat(jid: str, account: str | None) -> None:
    """Chat with JID, a node or anybody else.

    At a terminal: a prompt with history, and everything that is said to the account meanwhile or
    waited for it; Ctrl-D leaves. In a pipe: says each line of standard
    input when the one before was answered, waits until the contact has finished, and leaves; exit
    code 3 when nobody answers.
    """
    sys.exit(run_as(account, lambda own: _chat(own, JID(jid))))


async def _chat(account: Account, contact: JID) -> int:
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    conversation = Conversation(account, contact, live=terminal)
    session = conversation.person.session
    connection = asyncio.ensure_future(session.run(keep_trying=False))
    talk = asyncio.ensure_future(
        _at_the_prompt(conversation) if terminal else _from_the_pipe(conversation)
    )
    try:
        await asyncio.wait({connection, talk}, return_when="FIRST_COMPLETED")
        if connection.done():
            connection.result()  # raises why the server would not have us
        return await talk
    finally:
        talk.cancel()
        await session.stop()
        await asyncio.gather(connection, talk, return_exceptions=True)


async def _at_the_prompt(conversation: Conversation) -> int:
    person = conversation.person
    click.echo(f"You chat with {person.contact} as {person.session.jid.bare}. Ctrl-D leaves.")
    await prompt(conversation)
    return 0


async def _from_the_pipe(conversation: Conversation) -> int:
    await conversation.person.signed_in.wait()
    async for line in lines_of_stdin():
        try:
            await conversation.ask(line)
        except TimeoutError:
            contact = conversation.person.contact
            click.echo(f"{contact} did not answer within {ANSWER_LIMIT:g} s", err=True)
            return NOBODY_THERE
        if conversation.unheard:
            return NOBODY_THERE
    left_at_work = await conversation.until_quiet()
    return NOBODY_THERE if left_at_work else 0
