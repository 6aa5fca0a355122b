"""`jabot queue`, and the commands that look after one, as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_documents import ROOT, blocks

from chatting import account_environment
from chatting.fleet import fresh_room
from people.bot import Bot
from servers import Server

pytestmark = pytest.mark.not_on("ejabberd")  # processes are slow, and see no server

PROGRAM = """
from jabot import Node

node = Node()

@node.task
def double(number: int) -> int:
    return 2 * number
"""


def test_a_queue_is_run_and_looked_after(
    xmpp: Server, run: Callable[..., Any], terminal: Callable[..., Any], tmp_path: Path
) -> None:
    queue, bot, ann = (xmpp.fresh_user(name) for name in ("jobs", "bot", "ann"))
    environment, to = account_environment(xmpp, ann), ("--to", queue.jid)
    program = tmp_path / "worker.py"
    program.write_text(PROGRAM)
    room = fresh_room(xmpp)
    options = ("--allow", ann.jid, "--work", bot.jid, "--room", room)
    with (
        Bot(None, xmpp, queue, tmp_path, *options),
        Bot(program, xmpp, bot, tmp_path, "--queue", queue.jid),
    ):
        taken = run("submit", *to, "--detach", "double", "21", **environment)
        waited = run("jobs", "wait", *to, taken.stdout.strip(), **environment)
        assert (waited.returncode, waited.stdout, waited.stderr) == (0, "42\n", "")
        described = run("describe", queue.jid, "double", **environment)
        assert described.stdout == "double(number: int) -> int\n"
        wrong = run("submit", *to, "double", "many", **environment)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "number: 'many' is not a whole number" in wrong.stderr
        stats = json.loads(run("queue", "stats", "--json", *to, **environment).stdout)
        assert stats["tasks"]["double"]["states"] == {"succeeded": 1}
        shown = json.loads(run("broadcast", "--to", room, "node.status", **environment).stdout)
        assert shown["node"].startswith(f"{queue.jid}/")
        added = run(
            "schedules", "add", *to, "hourly", "double", "1", "--every", "1h", **environment
        )
        assert added.stdout.startswith("hourly: double, every 60 min\nnext: ")
        answers = (
            ("\x03", 130, "Aborted"),  # Ctrl-C
            ("n", 1, "Aborted"),
            ("y", 0, "1 ended job deleted"),
        )
        for answer, end, says in answers:
            screen = terminal("jobs", "purge", *to, **environment)
            screen.see(r"Delete 1 ended job at \S+\? \[y/N\]")
            screen.sendline(answer)
            screen.see(says)
            assert screen.see_end() == end


def test_the_program_of_the_page_about_queues(
    xmpp: Server, run: Callable[..., Any], tmp_path: Path
) -> None:
    """Its second block finds nothing that failed; that it can ask is what is tried."""
    caller, again = blocks(ROOT / "docs" / "queue.md", "python")
    worker = blocks(ROOT / "README.md", "python")[0]
    queue, bot, app = (xmpp.fresh_user(name) for name in ("jobs", "bot", "app"))
    for shown, ours in (("app@example.org", app.jid), ("jobs@example.org", queue.jid)):
        caller = caller.replace(shown, ours)
    (tmp_path / "durable.py").write_text(caller.replace('"lift", 30', '"lift", 1'))
    (tmp_path / "again.py").write_text(
        f"import asyncio\nimport jabot\n\n{again}\n\nasync def main():\n"
        f"    async with jabot.connect({app.jid!r}, to={queue.jid!r}) as app:\n"
        "        await run_again(app)\n\nasyncio.run(main())\n"
    )
    program = tmp_path / "lifter.py"
    program.write_text(worker)
    environment = account_environment(xmpp, app)
    with (
        Bot(None, xmpp, queue, tmp_path, "--allow", app.jid, "--work", bot.jid),
        Bot(program, xmpp, bot, tmp_path, "--queue", queue.jid),
    ):
        for name, says in (("durable.py", "Lifted 1\n"), ("again.py", "")):
            done = subprocess.run(
                [sys.executable, name],
                cwd=tmp_path,
                env=os.environ | environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stdout) == (0, says), done.stderr
