"""`jabot describe`: what a task takes and gives."""

import json

from people.bot import Bot
from servers import Server

PROGRAM = """
from dataclasses import dataclass
from typing import Literal

from jabot import Node

node = Node(allow={"*@localhost": ["lift", "place"]})

@dataclass
class Where:
    city: str
    street: str | None = None

@node.task
def place(where: Where, how: Literal["fast", "slow"] = "slow", *notes: str) -> list[Where]: ...

@node.task
def lift(reps: int = 30):
    \'\'\'Lift something heavy.

    As often as you like, [b]but\x1b[31m no more.
    \'\'\'

@node.task
def secret() -> None: ...
""".replace("\\'", "'")

LIFT = """\
lift(reps: int = 30)
    Lift something heavy.

    As often as you like, [b]but\ufffd[31m no more.
"""
PLACE = """\
place(where: Where, how: 'fast' | 'slow' = 'slow', *notes: str) -> list[Where]
    Where: {city: str, street: str | None = None}
"""


def test_tasks_read_like_python_or_are_json_schemas(run, bot: Bot, ann: dict[str, str]) -> None:
    everything = run("describe", bot.jid, **ann)
    assert (everything.returncode, everything.stderr) == (0, "")
    assert everything.stdout == f"{LIFT}\n{PLACE}"
    one = run("describe", bot.jid, "lift", **ann)
    assert (one.returncode, one.stdout) == (0, LIFT)
    schemas = json.loads(run("describe", "--json", bot.jid, "lift", **ann).stdout)
    assert schemas["lift"]["args"] == {
        "type": "object",
        "properties": {"reps": {"type": "integer", "default": 30}},
        "additionalProperties": False,
    }
    assert set(schemas) == {"lift"}
    assert set(schemas["lift"]) == {"doc", "args", "result"}


def test_what_cannot_be_described_is_told(run, xmpp: Server, bot: Bot, ann: dict[str, str]) -> None:
    for task in ("lifd", "secret"):  # who may not run a task does not learn whether it is there
        unknown = run("describe", bot.jid, task, **ann)
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert f"has no task {task}, or does not allow you to run it" in unknown.stderr
    nobody = run("describe", xmpp.fresh_user("nobody").jid, **ann)
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert "answers: is it online, and does it allow" in nobody.stderr


def test_a_terminal_has_the_names_in_bold(terminal, bot: Bot, ann: dict[str, str]) -> None:
    screen = terminal("describe", bot.jid, "lift", **ann)
    screen.see("\x1b\\[1mlift\x1b")
    assert screen.see_end() == 0
