"""`jabot chat`: in a pipe and at a terminal."""

import pytest

from people.bot import Bot
from servers import Server

PROGRAM = """
import asyncio
from jabot import Context, Node

node = Node(allow={"*@localhost": "*"}, manage=["*@localhost"])

@node.task(done="Lifted {result}")
async def lift(reps: int = 3, *, ctx: Context) -> int:
    for rep in range(reps):
        ctx.progress(rep + 1, reps)
        await asyncio.sleep(0.5)
    return reps

@node.task(done="{result}")
def bell() -> str:
    return "ding \\x07\\x1b[31m dong\\nsecond line"
"""


@pytest.mark.also_prosody
def test_in_a_pipe_it_says_each_line_and_waits_for_the_end(
    run, bot: Bot, ann: dict[str, str]
) -> None:
    chat = run("chat", bot.jid, text="lift 2\n\ndance\nbell\n", **ann)
    assert chat.returncode == 0, chat.stderr
    name = bot.jid.partition("@")[0]
    lines = chat.stdout.splitlines()
    assert lines[0] == "you> lift 2"
    assert lines[1].startswith(f"{name}> Scheduled lift, job ")
    assert lines[2:4] == ["you> dance", f"{name}> Dunno how to dance"]
    assert f"{name}> Lifted 2" in lines
    # What a terminal could take for a command never gets there.
    assert f"{name}> ding \ufffd\ufffd[31m dong" in lines
    assert " " * len(f"{name}> ") + "second line" in lines


@pytest.mark.not_on("ejabberd")  # ten seconds in which no server has anything to do
def test_in_a_pipe_nobody_is_waited_for_for_ever(run, xmpp: Server, ann: dict[str, str]) -> None:
    nobody = xmpp.fresh_user("nobody").jid
    chat = run("chat", nobody, text="lift\nlift\n", **ann)
    assert chat.returncode == 3
    assert f"{nobody} did not answer within 10 s" in chat.stderr
    assert chat.stdout.count("you> lift") == 1


def test_a_bad_address_or_a_wrong_password_is_told_in_one_line(
    run, bot: Bot, ann: dict[str, str]
) -> None:
    chat = run("chat", "a@b@c", text="lift\n", **ann)
    assert chat.returncode == 2
    assert chat.stderr.splitlines()[-1].startswith(
        "Error: Invalid value for 'JID': 'a@b@c' is not an address"
    )
    chat = run("chat", bot.jid, text="lift\n", **ann | {"JABOT_PASSWORD": "Geheimnis"})
    assert chat.returncode == 1
    assert "Error: " in chat.stderr
    assert "with this password" in chat.stderr
    assert "Geheimnis" not in chat.stderr + chat.stdout
    assert "Traceback" not in chat.stderr


@pytest.mark.parametrize("leave", ["\x04", "\x03"], ids=["ctrl-d", "ctrl-c"])
def test_at_a_terminal_it_shows_what_comes(
    terminal, bot: Bot, ann: dict[str, str], leave: str
) -> None:
    chat = terminal("chat", bot.jid, **ann)
    chat.see("Ctrl-D leaves")
    chat.see("you>")
    chat.send("lift 4\r")
    chat.see("Scheduled lift")
    chat.see(r"\d%")  # progress, below the prompt; of that line only what changes is drawn
    chat.see("Lifted 4")
    chat.send("tanz 💃\r")
    chat.see("Dunno how to tanz")
    chat.send(leave)
    assert chat.see_end() == 0


def test_at_a_terminal_the_farewell_is_seen(terminal, bot: Bot, ann: dict[str, str]) -> None:
    chat = terminal("chat", bot.jid, **ann)
    chat.see("you>")
    chat.send("exit\r")
    chat.see("Leaving.")
    chat.see(f"{bot.jid.partition('@')[0]} is away: jabot down")
    chat.send("\x04")
    assert chat.see_end() == 0
    assert bot.await_end() == 0
