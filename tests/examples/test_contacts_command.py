"""`jabot contacts`: whom an account sees online, and who sees it."""

import json

import pytest

from chatting import account_environment
from people.bot import Bot
from servers import Account, Server

PROGRAM = """
from jabot import Node

node = Node(allow={"ANN": ["lift"]}, concurrency=4)

@node.task
def lift(reps: int) -> int: ...
"""


@pytest.fixture
def ann(xmpp: Server) -> Account:
    return xmpp.fresh_user("ann")


@pytest.fixture
def gym(tmp_path, ann: Account):
    program = tmp_path / "gym.py"
    program.write_text(PROGRAM.replace("ANN", ann.jid))
    return program


def listed(run, environment) -> list[dict]:
    answer = run("contacts", "list", "--json", **environment)
    assert (answer.returncode, answer.stderr) == (0, "")
    return json.loads(answer.stdout)


def test_a_node_accepts_whom_it_allows_and_is_seen_until_it_is_removed(
    run, xmpp: Server, ann: Account, gym, tmp_path
) -> None:
    environment = account_environment(xmpp, ann)
    with Bot(gym, xmpp, xmpp.fresh_user("bot"), tmp_path) as bot:
        added = run("contacts", "add", bot.jid, "--name", "The gym", **environment)
        assert (added.returncode, added.stderr) == (0, "")
        assert added.stdout == (
            f"{bot.jid} is on the list, and has accepted: you see when it is online\n"
        )
        (contact,) = listed(run, environment)
        (online,) = contact.pop("online")
        assert contact == {  # the name is kept, and the node has asked for nothing
            "jid": bot.jid,
            "name": "The gym",
            "sees_you": False,
            "you_see": True,
            "asked": False,
            "groups": [],
        }
        assert online["jid"].startswith(f"{bot.jid}/")
        assert (online["show"], online["status"]) == ("chat", "0 of 4 running")

        table = run("contacts", "list", **environment)
        assert (table.returncode, table.stderr) == (0, "")
        head, line = (" ".join(text.split()) for text in table.stdout.splitlines())
        assert head == "CONTACT NAME WHO SEES WHOM ONLINE"
        assert line == f"{bot.jid} The gym you see free: 0 of 4 running"

        removed = run("contacts", "remove", bot.jid, **environment)
        assert (removed.returncode, removed.stderr) == (0, "")
        assert removed.stdout.startswith(f"{bot.jid} is removed")
        once_more = run("contacts", "remove", bot.jid, **environment)
        assert (once_more.returncode, once_more.stdout) == (1, "")
        assert f"{bot.jid} is no contact of {ann.jid}" in once_more.stderr


def test_a_node_refuses_whom_it_allows_nothing(run, xmpp: Server, gym, tmp_path) -> None:
    eve = xmpp.fresh_user("eve")
    environment = account_environment(xmpp, eve)
    with Bot(gym, xmpp, xmpp.fresh_user("bot"), tmp_path) as bot:
        refused = run("contacts", "add", bot.jid, **environment)
    assert (refused.returncode, refused.stdout) == (4, "")
    assert f"{bot.jid} refuses to be seen by {eve.jid}. " in refused.stderr
    assert f'allow={{"{eve.jid}": ["TASK"]}}' in refused.stderr
    assert "jabot can" in refused.stderr
    empty = run("contacts", "list", **environment)
    assert (empty.returncode, empty.stdout) == (0, "")
    assert empty.stderr == f"{eve.jid} has no contacts\n"


def test_who_does_not_answer_stays_asked(run, xmpp: Server, ann: Account) -> None:
    bob = xmpp.fresh_user("bob")
    environment = account_environment(xmpp, ann)
    asked = run("contacts", "add", bob.jid, "--timeout", "0.2", **environment)
    assert (asked.returncode, asked.stdout) == (3, "")
    assert f"{bob.jid} is on the list, and has not answered yet" in asked.stderr
    table = run("contacts", "list", **environment)
    assert table.stdout.splitlines()[1].split() == [bob.jid, "-", "asked", "-"]


def test_addresses_that_cannot_be_added(run, xmpp: Server, ann: Account) -> None:
    environment = account_environment(xmpp, ann)
    wrong = run("contacts", "add", "@", **environment)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "is not an address" in wrong.stderr
    own = run("contacts", "add", ann.jid, **environment)
    assert (own.returncode, own.stdout) == (1, "")
    assert f"{ann.jid} is this account itself" in own.stderr
    nowhere = run("contacts", "add", "bot@nowhere.invalid", **environment)
    assert (nowhere.returncode, nowhere.stdout) == (3, "")
    assert "bot@nowhere.invalid cannot be added: remote-server-not-found" in nowhere.stderr
    assert listed(run, environment) == []
