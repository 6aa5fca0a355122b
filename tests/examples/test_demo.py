"""`jabot demo`: the first thing that anybody sees."""

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
    """It computes for less than a second until it is ready, and idles under 60 MB.

    Not how long it takes by the clock: that is also about what else the machine does.
    """
    with Bot(HEAVY, xmpp, xmpp.fresh_user("bot"), tmp_path) as bot:
        assert bot._process is not None
        process = psutil.Process(bot._process.pid)
        times, size = process.cpu_times(), process.memory_info().rss / 1e6
    work = times.user + times.system
    record_property("start", f"{work:.2f} s of work")
    record_property("memory", f"{size:.1f} MB")
    assert work < 1.0
    assert size < 60
