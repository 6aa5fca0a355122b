"""`jabot publish` and `jabot follow`: JSON a line, exit codes, and Ctrl-C."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from chatting import Program, account_environment, program
from servers import Server


@pytest.fixture
def stem(xmpp: Server) -> str:
    """Topics that no other test has."""
    return xmpp.fresh_user("stem").jid.partition("@")[0]


def follower(xmpp: Server, folder: Path, *words: str) -> Any:
    environment = account_environment(xmpp, xmpp.fresh_user("plot"))
    return program([sys.executable, "-m", "jabot", "follow", *words], folder, environment)


async def lines(running: Program, count: int) -> list[dict[str, Any]]:
    await running.printed(rf"(?s)(.*\n){{{count}}}")
    return [json.loads(line) for line in running.out.splitlines()]


async def test_the_newest_first_then_each_as_it_comes_and_ctrl_c(
    xmpp: Server, run, ann: dict[str, str], stem: str, tmp_path: Path
) -> None:
    topic = f"{stem}/hall"
    for number in (1, 2):
        words = ["room=attic", f"celsius={number}.5", "--keep", "5", "--subscriber", "*"]
        done = run("publish", topic, *words, **ann)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        published = done.stdout.strip()
    async with follower(xmpp, tmp_path, f"{stem}/*", f"{stem}-no") as following:
        (first,) = await lines(following, 1)
        assert first["payload"] == {"room": "attic", "celsius": 2.5}
        assert (first["topic"], first["id"], first["retained"]) == (topic, published, True)
        assert first["publisher"].startswith(ann["JABOT_JID"])
        assert run("publish", topic, '["\x9b", null]', **ann).returncode == 0
        second = (await lines(following, 2))[1]
        assert (second["payload"], second["retained"]) == (["\x9b", None], False)
        assert second["at"] > first["at"]
        following.send(signal.SIGINT)
        assert await following.ended() == 130
        assert (following.log, len(following.out.splitlines())) == ("", 2)
    assert "\x9b" not in following.out
    async with follower(xmpp, tmp_path, topic, "--history", "2", "--count", "2") as following:
        assert await following.ended() == 0
        assert [line["retained"] for line in await lines(following, 2)] == [True, True]


def test_what_is_another_s(xmpp: Server, run, ann: dict[str, str], stem: str) -> None:
    eve = account_environment(xmpp, xmpp.fresh_user("eve"))
    assert run("publish", stem, "--", "-5", **ann).returncode == 0
    done = run("publish", stem, "1", **eve)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"Error: you may not publish to {stem}: its owner has to allow it\n"


def test_a_terminal_has_colours(terminal, run, ann: dict[str, str], stem: str) -> None:
    assert run("publish", stem, "x", **ann).returncode == 0
    screen = terminal("follow", stem, **ann)
    screen.see(r"\x1b\[[0-9;]*m\"x\"")
    screen.sendintr()
    assert screen.see_end() == 130
