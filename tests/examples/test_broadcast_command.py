"""`jabot broadcast`: a JSON object a line, the account of all, every exit code, and Ctrl-C."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatting import clean_environment, fresh_room, written
from people.bot import Bot
from servers import Server

LIMIT = 30.0  # seconds, for a machine that is busy with other things

PROGRAM = """
import asyncio
import os
from pathlib import Path

from jabot import Node

node = Node(
    allow={"*@localhost": ["greet", "drop", "hold"]},
    labels={"number": os.environ["NUMBER"]},
    drain_limit=1,
)

@node.task
def greet(times: int, name: str = "you") -> str:
    return f"{node.jid.resource}: " + times * f"Hello {name}\\x9b31m"

@node.task
def drop() -> None:
    raise ValueError("too heavy")

@node.task
async def hold(folder: str, quick: str = "") -> str:
    if quick == os.environ["NUMBER"]:
        return "quick"
    file = Path(folder, "held-" + os.environ["NUMBER"])
    file.write_text("held")
    try:
        await asyncio.sleep(60)
    finally:
        file.write_text("let go")

@node.task
def secret() -> None: ...
"""


@pytest.fixture
def room(xmpp: Server, tmp_path: Path) -> Iterator[str]:
    """A room with two bots of one account."""
    address, account = fresh_room(xmpp), xmpp.fresh_user("bot")
    file = tmp_path / "gym.py"
    file.write_text(PROGRAM)
    with contextlib.ExitStack() as stack:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            bot = Bot(file, xmpp, account, folder, "--room", address, NUMBER=str(number))
            stack.enter_context(bot)
        yield address


Broadcast = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def broadcast(run, room: str, ann: dict[str, str]) -> Broadcast:
    return lambda *words, to=room: run("broadcast", "--to", to, *words, **ann)


def test_what_each_node_says(broadcast: Broadcast) -> None:
    done = broadcast("greet", "2", "name=30")
    assert (done.returncode, done.stderr) == (0, "2 of 2 nodes answered\n")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({line["node"] for line in lines}) == 2
    for line in lines:
        resource = line["node"].partition("/")[2]
        assert line["name"].startswith("bot")
        assert line["status"] == "answered"
        assert line["result"] == f"{resource}: " + 2 * "Hello 30\x9b31m"
    assert "\x9b" not in done.stdout
    done = broadcast("greet", "1", "--where", "number=1", "-b", "50%", "--timeout", "20")
    assert (done.returncode, done.stderr) == (0, "1 of 1 nodes answered\n")
    done = broadcast("greet", "1", "-b", "1", "--quorum", "1")
    assert (done.returncode, done.stderr) == (0, "1 of 2 nodes answered; 1 silent\n")
    assert json.loads(done.stdout.splitlines()[1])["status"] == "silent"


def test_each_way_to_fail_has_its_exit_code(broadcast: Broadcast, room: str, xmpp: Server) -> None:
    for words, code, summary, error in [
        (["drop"], 1, "0 of 2 nodes answered; 2 failed\n", "ValueError: too heavy"),
        (["greet", "many"], 2, "Error: times: 'many' is not a whole number", None),
        (["gret"], 2, "0 of 2 nodes answered; 2 refused\n", "there is no task gret here"),
        (["secret"], 4, "0 of 2 nodes answered; 2 refused\n", "you may not run secret"),
        (["greet", "1", "--where", "number=7"], 3, "none of them has number=7", None),
        (["greet", "1", "-b", "0"], 2, "batch is a number of nodes", None),
    ]:
        done = broadcast(*words)
        assert done.returncode == code, (words, done.stderr)
        assert summary in done.stderr
        errors = [json.loads(line).get("error", "") for line in done.stdout.splitlines()]
        assert len(errors) == (2 if error else 0), (words, done.stdout)
        assert all(str(error) in each for each in errors), errors
        assert "Traceback" not in done.stderr
    missing = f"missing@{room.partition('@')[2]}"
    done = broadcast("greet", "1", to=missing)
    assert (done.returncode, done.stderr) == (3, f"Error: there is no room {missing}\n")
    done = broadcast("greet", "1", to="*")
    assert done.returncode == 3
    assert "has no contacts" in done.stderr


def test_some_are_silent(broadcast: Broadcast, tmp_path: Path) -> None:
    done = broadcast("hold", str(tmp_path), "quick=1", "--timeout", "1500ms")
    assert (done.returncode, done.stderr) == (1, "1 of 2 nodes answered; 1 silent\n")
    done = broadcast("hold", str(tmp_path), "--timeout", "1500ms")
    assert (done.returncode, done.stderr) == (124, "0 of 2 nodes answered; 2 silent\n")


def test_ctrl_c_stops_the_jobs_and_says_how_far_it_came(
    room: str, ann: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "jabot", "broadcast", "--to", room, "--timeout", "60"]
    with subprocess.Popen(
        [*command, "hold", str(tmp_path), "quick=1"],
        env=clean_environment(tmp_path) | ann,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        try:
            line = child.stdout.readline()
            assert json.loads(line)["result"] == "quick"
            written(tmp_path / "held-0", "held")
            child.send_signal(signal.SIGINT)
            out, errors = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, out) == (130, "")
    assert errors == "Stopped: 1 of 2 nodes answered.\n"
    written(tmp_path / "held-0", "let go")


def test_a_terminal_shows_how_far_it_is(
    terminal, room: str, ann: dict[str, str], tmp_path: Path
) -> None:
    screen = terminal(
        "broadcast", "--to", room, "--timeout", "3", "hold", tmp_path, "quick=1", **ann
    )
    screen.see(r"\"result\":\"quick\"")
    screen.see("1/2")
    screen.see("1 of 2 nodes answered; 1 silent")
    assert screen.see_end() == 1
