"""People and nodes that live in the loop of a test, and nodes that are processes of their own.

    async with serving(node, xmpp) as bot, signed_in(xmpp) as ann:
        ann.say(bot.jid, "lift")
        await ann.hear("^Done lifting$")

The people stand on slixmpp's own stanzas and not on jabot's, so that a mistake in ours is not made
twice.
"""

from .callers import calling
from .fleet import Fleet, fresh_room, told
from .nodes import QUICK, Served, jabot_account, serving
from .person import CHAT_STATES, CORRECT, Heard, Person, Seen, signed_in
from .programs import (
    Program,
    account_environment,
    all_ended,
    clean_environment,
    node_program,
    program,
)
from .queues import Bench
from .waiting import LIMIT, soon, until, written

__all__ = [
    "CHAT_STATES",
    "CORRECT",
    "LIMIT",
    "QUICK",
    "Bench",
    "Fleet",
    "Heard",
    "Person",
    "Program",
    "Seen",
    "Served",
    "account_environment",
    "all_ended",
    "calling",
    "clean_environment",
    "fresh_room",
    "jabot_account",
    "node_program",
    "program",
    "serving",
    "signed_in",
    "soon",
    "told",
    "until",
    "written",
]
