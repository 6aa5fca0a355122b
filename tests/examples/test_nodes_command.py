"""`jabot nodes`: who is online, as a table and as JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatting import account_environment
from network import Proxy
from people.bot import Bot
from servers import Account, Server

PROGRAM = """
from jabot import Node

node = Node(allow={"ann*": ["lift"]}, concurrency=4, labels={"gpu": "a100"})

@node.task
def lift(reps: int) -> int: ...

@node.task
def secret() -> None: ...
"""


@pytest.fixture
def ann(xmpp: Server) -> Account:
    return xmpp.fresh_user("ann")


@pytest.fixture
def bot(xmpp: Server, ann: Account, tmp_path: Path) -> Iterator[Bot]:
    program = tmp_path / "gym.py"
    program.write_text(PROGRAM.replace("ann*", ann.jid))
    account = xmpp.fresh_user("bot")
    with Bot(program, xmpp, account, tmp_path) as bot:
        bot.account = account
        yield bot


def test_who_is_online_with_what_they_offer_to_the_caller(run, xmpp, bot: Bot, ann) -> None:
    nobody = xmpp.fresh_user("nobody").jid
    environment = account_environment(xmpp, ann)
    table = run("nodes", bot.jid, **environment)
    assert (table.returncode, table.stderr) == (0, "")
    head, line = (text.split() for text in table.stdout.splitlines())
    assert head == ["NODE", "LOAD", "TASKS", "LABELS"]
    assert line[0].startswith(f"{bot.jid}/")
    assert line[1:] == ["0", "of", "4", "lift", "gpu=a100"]
    assert "\x1b" not in table.stdout

    both = run("nodes", "--json", nobody, bot.jid, bot.jid, **environment)
    assert both.returncode == 3
    assert both.stderr.startswith(f"Error: nobody at {nobody} answers: is it online,")
    (node,) = json.loads(both.stdout)
    assert re.fullmatch("[0-9a-f]{12}", node.pop("version"))
    assert node == {
        "jid": line[0],
        "running": 0,
        "waiting": 0,
        "slots": 4,
        "load": 0.0,
        "tasks": ["lift"],
        "labels": {"gpu": "a100"},
    }

    own = run("nodes", **account_environment(xmpp, bot.account))  # of the node's own account
    assert (own.returncode, own.stderr) == (0, "")
    assert "lift, secret" in own.stdout


def test_who_may_nothing_and_where_nobody_is(run, xmpp: Server, bot: Bot) -> None:
    eve = account_environment(xmpp, xmpp.fresh_user("eve"))
    refused = run("nodes", "--json", bot.jid, **eve)
    assert (refused.returncode, refused.stdout) == (4, "[]\n")
    assert f"Error: {bot.jid} does not allow" in refused.stderr
    alone = run("nodes", **eve)
    assert (alone.returncode, alone.stdout) == (3, "")
    assert alone.stderr == f"Error: no node of {eve['JABOT_JID']} is online\n"


def test_a_terminal_has_colours(terminal, xmpp: Server, bot: Bot, ann: Account) -> None:
    screen = terminal("nodes", bot.jid, **account_environment(xmpp, ann))
    screen.see("\x1b\\[32m0 of 4")
    assert screen.see_end() == 0


BUSY = """
import asyncio
from jabot import Node

node = Node(allow={"ann*": ["hold"]}, concurrency=4, drain_limit=0.1)

@node.task
async def hold() -> None:
    await asyncio.Event().wait()
"""


def test_it_shows_what_changes(terminal, run, xmpp: Server, ann: Account, tmp_path: Path) -> None:
    program = tmp_path / "gym.py"
    program.write_text(BUSY.replace("ann*", ann.jid))
    account, environment = xmpp.fresh_user("bot"), account_environment(xmpp, ann)
    with Bot(program, xmpp, account, tmp_path) as bot:
        screen = terminal("nodes", "--watch", bot.jid, **environment)
        lines = terminal("nodes", "--watch", "--json", bot.jid, **environment)
        screen.see("0 of 4")
        lines.see('"running":0,')
        terminal("submit", "--to", bot.jid, "hold", **environment)
        screen.see("1 of 4")
        lines.see('"running":1,')
        screen.sendintr()
        assert screen.see_end() == 130
    lines.see(r"\[\]\r\n")
    lines.sendintr()
    assert lines.see_end() == 130


def test_a_lost_connection_is_said_and_made_anew(terminal, xmpp: Server, bot: Bot, ann) -> None:
    with Proxy(xmpp.port) as proxy:
        environment = account_environment(xmpp, ann) | {"JABOT_SERVER": proxy.address}
        screen = terminal("nodes", "--watch", bot.jid, **environment)
        lines = terminal("nodes", "--watch", "--json", bot.jid, **environment)
        screen.see("0 of 4")
        lines.see('"running":0,')
        proxy.refuse()
        proxy.cut()
        screen.see("No connection to the server; trying again.")
        lines.see("No connection to the server; trying again.")
        proxy.allow()
        screen.see("0 of 4")  # drawn anew, without the note
        for each in (screen, lines):
            each.sendintr()
            assert each.see_end() == 130
