"""`jabot server`: the XMPP server that ships with jabot, and its accounts."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click
import platformdirs

from jabot.cli.password import read_password
from jabot.cli.values import ACCOUNT, Value
from jabot.jid import JID
from jabot.server import Server, ServerConfig
from jabot.server.server import checked_domain

_DOMAIN = "localhost"


def _default_data() -> Path:
    return platformdirs.user_data_path("jabot") / "server"


_data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of accounts, messages and certificate; jabot/server among the user's data "
    "(~/.local/share) when left out.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--domain",
    metavar="DOMAIN",
    type=Value("domain", checked_domain),
    default=_DOMAIN,
    show_default=True,
    help="The server's XMPP domain: what comes after the @ of its accounts.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    metavar="PORT",
    default=5222,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@_data_option
@click.pass_context
def server(ctx: click.Context, domain: str, host: str, port: int, data: Path | None) -> None:
    """Run an XMPP server, until SIGTERM or Ctrl-C.

    Anywhere but on a loopback address, clients must use TLS.
    """
    ctx.obj = data
    if ctx.invoked_subcommand is not None:
        return
    config = ServerConfig(domain=domain, host=host, port=port, data=data or _default_data())
    asyncio.run(_serve(config))


@server.command()
@click.argument("jid", type=ACCOUNT)
@_data_option
@click.pass_context
def adduser(ctx: click.Context, jid: str, data: Path | None) -> None:
    """Create the account JID, or change its password.

    Asks for the password on a terminal, else reads a line from standard input. A server that is
    running knows the account at once.
    """
    address = JID(jid)
    password = read_password(address.bare, confirm=True)
    folder: Path = data or ctx.obj or _default_data()
    accounts = Server(ServerConfig(domain=address.domain, data=folder))
    try:
        accounts.add_user(address.local, password)
    finally:
        accounts.close()
    where = "" if address.domain == _DOMAIN else f" where --domain {address.domain} is served"
    click.echo(f"{address.bare} can sign in now{where}.")


async def _serve(config: ServerConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = Server(config)
    await running.start()
    print(f"listening on {running.address}", flush=True)
    await stop.wait()
    await running.stop()
