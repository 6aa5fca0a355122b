"""`jabot demo`: the first thing that anybody sees."""

import time
from pathlib import Path

import psutil
import pytest

from people.bot import Bot
from servers import Server

HEAVY = Path(__file__).parents[2] / "examples" / "heavy.py"


def test_without_a_terminal_it_tells_the_story(run) -> None:
    demo = run("demo")
    assert demo.returncode == 0, demo.stderr
    lines = demo.stdout.splitlines()
    said = [line.removeprefix("you> ") for line in lines if line.startswith("you> ")]
    assert said == ["lift", "lift", "dance", "exit"]
    heard = [line.removeprefix("bot> ") for line in lines if line.startswith("bot> ")]
    assert heard[:3] == ["Scheduled heavy job...", "Scheduled heavy job...", "Dunno how to dance"]
    assert heard.count("Done lifting") == 2
    assert heard.index("Done lifting") > 1
    assert "bot is away: jabot down" in lines
    end = lines.index("bot is away: jabot down")
    assert not [line for line in lines[end:] if "Done lifting" in line]
    assert demo.stderr == ""


def test_it_says_what_it_is_told_to(run) -> None:
    demo = run("demo", "--say", "lift seconds=0.1", "--say", "tanz den Größen 💃", "--say", "jobs")
    assert demo.returncode == 0, demo.stderr
    lines = demo.stdout.splitlines()
    assert lines[:2] == ["you> lift seconds=0.1", "bot> Scheduled heavy job..."]
    assert "you> tanz den Größen 💃" in lines
    assert "bot> Dunno how to tanz" in lines
    assert "bot> Done lifting" in lines  # waited for, though nobody said exit
    assert "bot is away: jabot down" in lines


def test_it_leaves_nothing_behind(run, tmp_path: Path) -> None:
    assert run("demo", "--say", "help").returncode == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("leave", ["\x04", "\x03", "exit\r"], ids=["ctrl-d", "ctrl-c", "exit"])
def test_at_a_terminal_it_is_a_chat(terminal, leave: str) -> None:
    demo = terminal("demo")
    demo.see("bot@localhost is online")
    demo.see("you>")
    demo.send("lift seconds=0.1\r")
    demo.see("Scheduled heavy job...")
    demo.see("Done lifting")
    demo.send("dance\r")
    demo.see("Dunno how to dance")
    demo.send(leave)
    demo.see("bot is away: jabot down")
    assert demo.see_end() == 0


def test_at_a_terminal_lines_come_back_with_the_arrow_key(terminal) -> None:
    demo = terminal("demo")
    demo.see("you>")
    demo.send("dance\r")
    demo.see("Dunno how to dance")
    demo.send("\x1b[A\r")
    demo.see("Dunno how to dance")
    demo.send("\x04")
    assert demo.see_end() == 0


def test_the_example_is_short() -> None:
    lines = HEAVY.read_text().splitlines()
    assert len(lines) <= 25
    assert all(len(line) <= 100 for line in lines)


def test_the_demo_s_bot_is_light(
    xmpp: Server, tmp_path: Path, record_property, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed in within a second, and 60 MB when it idles."""
    best, size = 99.0, 0.0
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        began = time.monotonic()
        with Bot(HEAVY, xmpp, xmpp.fresh_user("bot"), folder) as bot:
            best = min(best, time.monotonic() - began)
            assert bot._process is not None
            size = psutil.Process(bot._process.pid).memory_info().rss / 1e6
    record_property("start", f"{best:.2f} s")
    record_property("memory", f"{size:.1f} MB")
    print(f"start {best:.2f} s, memory {size:.1f} MB")
    assert best < 1.0
    assert size < 60
