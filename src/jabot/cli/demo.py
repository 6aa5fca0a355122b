"""`jabot demo`: a server, a bot and a chat with it, in one process and without any set-up."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable

import click

from jabot.account import Account, ServerAddress
from jabot.cli.screen import hush
from jabot.cli.terminal import Conversation, prompt
from jabot.jid import JID
from jabot.node import Node
from jabot.server import Server, ServerConfig

_SCRIPT = ("lift", "lift", "dance", "exit")  # what is said when nobody sits at a terminal
_GOODBYE = 5.0  # seconds for the farewell to come through


@click.command()
@click.option(
    "--say",
    "lines",
    multiple=True,
    metavar="TEXT",
    help="Say TEXT instead of asking for lines; may be given many times.",
)
def demo(lines: tuple[str, ...]) -> None:
    """Chat with a bot on a server of its own.

    Starts the embedded server on a free port of this machine and the bot of examples/heavy.py.
    Accounts and messages are forgotten at the end. Without a terminal it says lift, lift, dance and
    exit.
    """
    hush()
    if not lines and not (sys.stdin.isatty() and sys.stdout.isatty()):
        lines = _SCRIPT
    try:
        asyncio.run(_demo(lines))
    except TimeoutError:
        raise click.ClickException("the bot did not answer; jabot -v demo shows more") from None


async def _demo(lines: tuple[str, ...]) -> None:
    from jabot.demo.heavy import node

    server = Server(ServerConfig(port=0))
    await server.start()
    address = ServerAddress("127.0.0.1", server.port)
    bot, you = (_account(server, name, address) for name in ("bot", "you"))
    conversation = Conversation(you, bot.jid)
    serving = asyncio.ensure_future(node.serve(bot))
    chatting = asyncio.ensure_future(conversation.person.session.run())
    try:
        await _first(serving, chatting, conversation.online.wait())
        await (_script(conversation, lines) if lines else _live(conversation, server))
        await _finish(node, serving, conversation)
    finally:
        await conversation.person.session.stop()
        await server.stop()
        for task in (serving, chatting):
            task.cancel()
        await asyncio.gather(serving, chatting, return_exceptions=True)


def _account(server: Server, name: str, address: ServerAddress) -> Account:
    password = secrets.token_urlsafe()
    server.add_user(name, password)
    return Account(JID(f"{name}@localhost"), password, address)


async def _script(conversation: Conversation, lines: tuple[str, ...]) -> None:
    for line in lines:
        if line.strip():
            await conversation.ask(line)


async def _live(conversation: Conversation, server: Server) -> None:
    click.echo(f"A server listens on 127.0.0.1:{server.port}, and bot@localhost is online.")
    click.echo("Try: lift, help, jobs, status. exit stops the bot, Ctrl-D leaves.")
    await _first(prompt(conversation), conversation.gone.wait())


async def _finish(node: Node, serving: asyncio.Future[None], conversation: Conversation) -> None:
    """Let the bot finish what was scheduled, and see it off."""
    node.stop()
    await serving
    async with asyncio.timeout(_GOODBYE):
        await conversation.gone.wait()


async def _first(*waiting: Awaitable[object]) -> None:
    """Wait until one of them is done, cancel those that only waited, raise what it raised."""
    tasks = [asyncio.ensure_future(w) for w in waiting]
    done, _ = await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    for task, original in zip(tasks, waiting, strict=True):
        if task not in done and task is not original:
            task.cancel()
            await asyncio.wait({task})
    for task in done:
        task.result()
