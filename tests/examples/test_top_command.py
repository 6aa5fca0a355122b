"""`jabot top`, as somebody at a terminal has it: from signing in to the exit code."""

import signal
import socket

from people.bot import Bot

PROGRAM = """
from jabot import Node

node = Node(allow={"*@localhost": "*"}, concurrency=4)

@node.task
def lift(reps: int = 30) -> int:
    return reps
"""

_BACK = "\x1b[?1049l"  # the terminal has its old screen again


def test_it_shows_the_nodes_until_it_is_left(terminal, bot: Bot, ann: dict[str, str]) -> None:
    ways = [
        (lambda screen: screen.send("q"), 0),
        (lambda screen: screen.sendintr(), 0),  # Ctrl-C
        (lambda screen: screen.kill(signal.SIGTERM), 143),
        (lambda screen: screen.kill(signal.SIGHUP), 129),
    ]
    screens = [terminal("top", bot.jid, **ann) for _ in ways]
    for screen in screens:
        screen.see("1 node, 0 of 4 slots taken")
        screen.see(bot.full.partition("/")[2])
    for screen, (leave, code) in zip(screens, ways, strict=True):
        leave(screen)
        assert screen.see_end() == code
        assert _BACK in screen.before
        assert "Traceback" not in screen.before
    assert bot.is_running


def test_an_interrupt_while_it_signs_in(terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        account = {"JABOT_JID": "ann@localhost", "JABOT_PASSWORD": "secret"}
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        screen = terminal("top", JABOT_SERVER=server, **account)
        screen.see("signing in as ann@localhost")
        screen.sendintr()
        assert screen.see_end() == 130
        assert "Traceback" not in screen.before
