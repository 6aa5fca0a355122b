"""The option that names rooms, for the commands that run a node."""

from __future__ import annotations

import click

from jabot.cli.values import Value
from jabot.xmpp.room import Room

room_option = click.option(
    "--room",
    multiple=True,
    metavar="JID",
    type=Value("room", lambda text: Room(text).address),
    help="Be in this room as well; it is created where it is missing. May be given more than once.",
)
