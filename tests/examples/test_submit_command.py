"""`jabot submit`: results, every exit code, the bar on a terminal, and Ctrl-C."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from chatting import clean_environment, written
from people.bot import Bot
from servers import Server

LIMIT = 30.0  # seconds, for a machine that is busy with other things

PROGRAM = """
import asyncio
import os
import time
from pathlib import Path
from typing import Literal

from jabot import Context, Node

node = Node(
    allow={"*@localhost": ["lift", "greet", "weigh", "pack", "drop", "hold", "vanish"]},
    labels={"gpu": "a100"},
    drain_limit=1,
)

@node.task
async def lift(reps: int = 30, *, ctx: Context) -> dict[str, int]:
    for rep in range(reps):
        await asyncio.sleep(0.05)
        ctx.progress(rep + 1, reps, "up\\x1b[31m")
    return {"lifted": reps}

@node.task
def greet(name: str, loud: bool = False) -> str:
    return f"Hello {name}" + "!" * loud

@node.task
def weigh(thing, how: Literal["kg", "lb"] = "kg"):
    return [thing, how]

@node.task
def pack(*things: int, **more: str) -> list:
    return [list(things), more]

@node.task
def drop() -> None:
    raise ValueError("too \\x1b[31mheavy")

@node.task
async def hold(file: str, stubborn: bool = False) -> None:
    Path(file).write_text("held")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        Path(file).write_text("let go")
        if stubborn:
            await asyncio.sleep(60)
        raise

@node.task
def vanish() -> None:
    os._exit(1)

@node.task
def secret() -> None: ...
"""


Submit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def submit(run, bot: Bot, ann: dict[str, str]) -> Submit:
    return lambda *words: run("submit", "--to", bot.jid, *words, **ann)


def test_the_result_is_json_and_words_are_read_by_the_types(submit: Submit) -> None:
    for words, result in [
        (["lift", "2"], {"lifted": 2}),
        (["greet", "30"], "Hello 30"),
        (["greet", "--loud", "--", "a=b"], "Hello a=b!"),
        (["weigh", "30", "lb"], [30, "lb"]),
        (
            ["pack", "-1", "2", "timeout=soon", "to=you"],
            [[-1, 2], {"timeout": "soon", "to": "you"}],
        ),
        (
            ["lift", "1", "--where", "gpu=a100", "--where", "gpu=b200", "--retries", "1"],
            {"lifted": 1},
        ),
    ]:
        done = submit(*words)
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stderr)
        assert json.loads(done.stdout) == result
        assert done.stdout.count("\n") == 1


def test_a_job_that_is_left_gives_its_id(submit: Submit) -> None:
    done = submit("lift", "1", "--detach")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(uuid.UUID(done.stdout.strip())) == done.stdout.strip()
    done = submit("lift", "x", "--detach")
    assert (done.returncode, done.stdout) == (2, "")


def test_each_way_to_fail_has_its_exit_code(submit: Submit) -> None:
    for words, code, reason in [
        (["drop"], 1, "Error: the task failed: ValueError: too \ufffd[31mheavy\n(-v shows"),
        (["lift", "x"], 2, "Error: reps: 'x' is not a whole number"),
        (["lifd", "1"], 2, "Error: there is no task lifd here; did you mean lift?"),
        (["lift", "1", "--where", "gpu=b200"], 3, "has not gpu=b200"),
        (["lift", "1", "--key", "k"], 2, "asked for with key, which only a queue can"),
        (["secret"], 4, "Error: you may not run secret"),
        (["lift", "1000", "--timeout", "3s"], 124, "Error: lift had no outcome within 3 s"),
    ]:
        done = submit(*words)
        assert done.returncode == code, (words, done.stderr)
        assert reason in done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stderr


def test_the_traceback_of_a_task_is_shown_when_asked_for(submit: Submit) -> None:
    done = submit("drop", "-v")
    assert done.returncode == 1
    assert 'gym.py", line ' in done.stderr
    assert "in drop" in done.stderr
    assert done.stderr.endswith("Error: the task failed: ValueError: too \ufffd[31mheavy\n")
    assert "jabot/" not in done.stderr  # only of the task's own code


def test_a_node_that_vanishes_is_1_for_its_job_may_have_run(submit: Submit, bot: Bot) -> None:
    done = submit("vanish")
    assert done.returncode == 1
    assert "may have run" in done.stderr
    assert bot.await_end() == 1


def test_nobody_there_is_3(run, xmpp: Server, ann: dict[str, str]) -> None:
    nobody = xmpp.fresh_user("nobody").jid
    for words in (["lift"], ["lift", "30"]):
        done = run("submit", "--to", nobody, *words, **ann)
        assert done.returncode == 3
        assert f"Error: nobody at {nobody} answers" in done.stderr


def test_nobody_came_in_time_is_124(run, xmpp: Server, ann: dict[str, str]) -> None:
    nobody = xmpp.fresh_user("nobody").jid
    done = run("submit", "--to", nobody, "--wait", "--timeout", "1", "lift", **ann)
    assert done.returncode == 124
    assert f"{nobody} was not there within 1 s; nothing ran" in done.stderr


def test_who_is_allowed_nothing_is_told_so(
    run, xmpp: Server, ann: dict[str, str], tmp_path
) -> None:
    program = tmp_path / "gym.py"
    program.write_text(PROGRAM.replace('"*@localhost"', '"boss@localhost"'))
    with Bot(program, xmpp, xmpp.fresh_user("bot"), tmp_path) as bot:
        for words in (["lift"], ["lift", "3", "--wait", "--timeout", "20"]):
            done = run("submit", "--to", bot.jid, *words, **ann)
            assert (done.returncode, done.stdout) == (4, ""), done.stderr
            assert f"{bot.jid} does not allow" in done.stderr


def test_with_wait_it_waits_for_a_node(run, xmpp: Server, ann: dict[str, str], tmp_path) -> None:
    account = xmpp.fresh_user("bot")
    program = tmp_path / "gym.py"
    program.write_text(PROGRAM)
    done = []
    asking = threading.Thread(
        target=lambda: done.append(
            run("submit", "--to", account.jid, "--wait", "greet", "30", **ann)
        )
    )
    asking.start()
    with Bot(program, xmpp, account, tmp_path):
        asking.join(LIMIT)
    assert (done[0].returncode, done[0].stdout) == (0, '"Hello 30"\n'), done[0].stderr


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "no account: set JABOT_JID and JABOT_PASSWORD, or run `jabot login`"),
        (
            {"JABOT_JID": "a@localhost", "JABOT_PASSWORD": "x", "JABOT_SERVER": "127.0.0.1:1"},
            "cannot reach 127.0.0.1:1",
        ),
    ],
    ids=["no account", "no server"],
)
def test_what_is_wrong_with_the_account_is_1(run, environment: dict[str, str], reason: str) -> None:
    for command in (["submit", "--to", "a@b", "x"], ["nodes", "a@b"], ["describe", "a@b"]):
        done = run(*command, **environment)
        assert done.returncode == 1
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_on_a_terminal_a_bar_shows_how_far_it_is(terminal, bot: Bot, ann: dict[str, str]) -> None:
    screen = terminal("submit", "--to", bot.jid, "lift", "40", **ann)
    screen.see(f"lift on {bot.jid}/")
    screen.see("[0-9]/40")
    screen.see("up\ufffd")
    screen.see(r"\{\s+\"lifted\": 40\s+\}")
    assert screen.see_end() == 0


def test_the_bar_is_on_standard_error(bot: Bot, ann: dict[str, str], tmp_path: Path) -> None:
    terminal, its_end = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "jabot", "submit", "--to", bot.jid, "lift", "20"],
        env=clean_environment(tmp_path) | {"TERM": "xterm", "COLUMNS": "120"} | ann,
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
    )
    os.close(its_end)
    shown = b""
    with contextlib.suppress(OSError):  # as it ends on Linux
        while part := os.read(terminal, 4096):
            shown += part
    os.close(terminal)
    out, _ = child.communicate(timeout=LIMIT)
    assert (child.returncode, out) == (0, '{"lifted":20}\n')
    assert b"/20" in shown
    assert b"lifted" not in shown


def test_ctrl_c_cancels_the_job(terminal, bot: Bot, ann: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "held"
    screen = terminal("submit", "--to", bot.jid, "hold", file, **ann)
    screen.see(f"hold on {bot.jid}/")
    written(file, "held")
    screen.sendintr()
    screen.see("Cancelling the job. Ctrl-C again leaves at once.")
    screen.see("was cancelled: its submitter had SIGINT")
    assert screen.see_end() == 130
    assert file.read_text() == "let go"


def test_ctrl_c_again_leaves_at_once(terminal, bot: Bot, ann, tmp_path: Path) -> None:
    file = tmp_path / "held"
    screen = terminal("submit", "--to", bot.jid, "hold", file, "--stubborn", **ann)
    begun = time.monotonic()
    written(file, "held")
    starting = time.monotonic() - begun
    screen.sendintr()
    screen.see("Ctrl-C again leaves at once.")
    written(file, "let go")  # and does not end by itself for a while
    begun = time.monotonic()
    screen.sendintr()
    assert screen.see_end() == 130
    assert time.monotonic() - begun < max(3.0, starting)  # on a busy machine all takes longer


def test_ctrl_c_before_there_is_a_job_leaves(terminal, xmpp: Server, ann: dict[str, str]) -> None:
    nobody = xmpp.fresh_user("nobody").jid
    screen = terminal("submit", "--to", nobody, "--wait", "lift", "3", **ann)
    screen.see(f"looking for {nobody}")
    screen.sendintr()
    assert screen.see_end() == 130


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_cancels_the_job_in_a_pipe_too(
    bot: Bot, ann: dict[str, str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    file = tmp_path / "held"
    child = subprocess.Popen(
        [sys.executable, "-m", "jabot", "submit", "--to", bot.jid, "hold", file],
        env=clean_environment(tmp_path) | ann,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    written(file, "held")
    child.send_signal(number)
    out, err = child.communicate(timeout=LIMIT)
    assert (child.returncode, out) == (code, ""), err
    assert f"was cancelled: its submitter had {number.name}" in err
    assert file.read_text() == "let go"
