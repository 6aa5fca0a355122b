"""What `jabot top` shows, and what its keys do: on a made-up terminal, without a network."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from jabot import NodeJob, NodeStatus
from jabot.cli.top.columns import Columns, node_columns, size
from jabot.cli.top.feed import Feed as RealFeed
from jabot.cli.top.picker import Picker
from jabot.cli.top.screen import Top
from jabot.queue.answers import JobLine, TaskLine
from jabot.status import LastError
from unit.answering import Answering
from unit.fleet_told import POOL, Feed, job, node, standing, status

W1, W2 = f"{POOL}/w1", f"{POOL}/w2"


def picture(app):
    """What the terminal shows, as lines."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def text(app):
    return "\n".join(picture(app))


async def sees(app, pilot, shown):
    """Wait until it is on the screen."""
    async with asyncio.timeout(20):
        while shown not in text(app):
            await pilot.pause(0.01)


async def settle(app, pilot):
    """Bring the screen up to date, as it does by itself in a second."""
    app._tick()
    await pilot.pause()


@pytest.fixture
def feed():
    feed = Feed(node("w1", running=3, waiting=2), node("w2", slots=8, labels={"gpu": "a100"}))
    for succeeded in (0, 5):
        feed.clock.now += 2
        feed.fleet.answered(W1, status(W1, succeeded=succeeded, cpu=succeeded / 10, uptime=7200))
    return feed


async def test_a_small_terminal_shows_all_of_it(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        lines = picture(app)
        assert len(lines) == 24
        assert all(len(line) <= 80 for line in lines)
        assert re.fullmatch(rf" jabot top  {POOL} +\d\d:\d\d:\d\d", lines[0])
        assert lines[1] == " 2 nodes, 3 of 12 slots taken, 2 waiting, 2.5 jobs/s in view"
        assert lines[3].split() == ["NODE", "LOAD", "WAIT", "JOBS/S", "CPU", "MEM", "UP"]
        assert " ".join(lines[4].split()) == "w1 ━━━━━━━━━━ 3 of 4 2 2.5 25% 45M 2 h"
        assert " ".join(lines[5].split()) == "w2 ────────── 0 of 8 0 - - - -"
        assert lines[17:19] == [" EVENTS", " nothing yet"]
        assert lines[23].startswith(" / filter   s sort: node   Enter jobs ")
        assert feed.asked[:2] == [W1, W2]  # those in view are asked how they are


async def test_only_nodes_in_view_are_asked(feed):
    feed.peers = [node(f"w{number:03}") for number in range(200)]
    feed.look()
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        feed.asked.clear()
        app._ask()
        assert feed.asked == [f"{POOL}/w{number:03}" for number in range(len(feed.asked))]
        assert len(feed.asked) < 24
        await pilot.press("end")
        feed.asked.clear()
        app._ask()
        assert feed.asked[-1] == f"{POOL}/w199"


async def test_only_rows_in_sight_are_laid_out(feed, monkeypatch):
    laid_out, line = set(), Columns.line

    def noted(columns, row, style=""):
        laid_out.add(row.jid)
        return line(columns, row, style)

    monkeypatch.setattr(Columns, "line", noted)
    feed.peers = [node(f"w{number:03}") for number in range(200)]
    feed.look()
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        assert laid_out == set(app.query_one("#nodes", Picker).in_sight)
        await pilot.press("end")
        await sees(app, pilot, "w199")


async def test_the_choice_stays_with_its_node(feed):
    feed.peers = [node(f"w{number:02}") for number in range(40)]
    feed.look()
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        picker = app.query_one("#nodes", Picker)
        await pilot.press(*["down"] * 20)
        assert picker.chosen == f"{POOL}/w20"
        top = picker.in_sight[0]
        feed.peers = feed.peers[:5] + feed.peers[6:20] + [node("w20")] + feed.peers[21:]
        await settle(app, pilot)
        assert picker.chosen == f"{POOL}/w20"
        assert picker.in_sight[0] in (top, f"{POOL}/w{int(top[-2:]) + 1:02}")
        feed.peers = [peer for peer in feed.peers if peer.jid != f"{POOL}/w20"]
        await settle(app, pilot)
        assert picker.chosen == f"{POOL}/w21"  # the one that took its place
        await pilot.press("home", "k")
        assert picker.chosen == f"{POOL}/w00"
        await pilot.press("pagedown", "G", "pageup", "j")
        feed.peers = []
        await settle(app, pilot)
        assert picker.chosen is None
        await pilot.press("down", "enter", "pageup")  # nothing to choose, and no harm


async def test_a_filter_is_typed_and_taken_back(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"gpu=")
        await settle(app, pilot)
        assert "w2" in text(app)
        assert "w1" not in text(app)
        await pilot.press("enter")
        assert "filter: gpu=" in text(app)
        await pilot.press("slash", *"zq")  # a q that is typed leaves nothing
        await settle(app, pilot)
        assert "no node fits gpu=zq; Esc shows all" in text(app)
        await pilot.press("escape")
        await settle(app, pilot)
        assert "w1" in text(app)
        assert app.is_running


async def test_sorting(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        picker = app.query_one("#nodes", Picker)
        await pilot.press("S")
        assert picker.in_sight == [W2, W1]
        await pilot.press("S", "s")
        assert picker.in_sight == [W1, W2]
        assert "sort: load" in text(app)
        await pilot.press("s", "s", "s", "s")
        assert "sort: node" in text(app)


async def test_the_jobs_of_a_node_and_stopping_one(feed):
    feed.listed[W1] = [
        job("0199-aaaa1111", progress="3 of 10 (30%)"),
        job("0199-bbbb2222", caller="bob@localhost"),
        job("0199-cccc3333", state="available", since=None),
    ]
    feed.foreign = {"0199-bbbb2222"}
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await sees(app, pilot, "3 of 10 (30%)")
        shown = text(app)
        assert shown.startswith(f" {W1}  3 of 4 slots taken\n vm, process 7, jabot 0.1.0, up 2 h,")
        assert re.search(r"aaaa1111 +lift +ann@localhost +running", shown)
        await pilot.press("down", "c")
        await sees(app, pilot, "Stop lift bbbb2222 of bob@localhost?")
        await pilot.press("enter", "x", "n")  # only y is a yes
        await sees(app, pilot, "c stop the job")
        assert feed.cancelled == []
        await pilot.press("c")
        await sees(app, pilot, "y yes")
        await pilot.press("y")
        await sees(app, pilot, "lift bbbb2222 could not be stopped: it is not yours")
        await pilot.press("up", "c")
        await sees(app, pilot, "y yes")
        await pilot.press("y")
        await sees(app, pilot, "lift aaaa1111 is told to stop")
        assert feed.cancelled == [(W1, "0199-aaaa1111")]
        await pilot.press("escape")
        await sees(app, pilot, "EVENTS")


async def test_a_question_waits_however_often_the_jobs_are_looked_at(feed):
    feed.listed[W1] = [job("0199-aaaa1111")]
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        await sees(app, pilot, "aaaa1111")
        screen = app.screen
        await pilot.press("c")
        await sees(app, pilot, "Stop lift")
        screen._load()
        await pilot.pause()
        await pilot.press("y")
        await sees(app, pilot, "is told to stop")
        assert feed.cancelled == [(W1, "0199-aaaa1111")]


async def test_a_node_without_jobs_says_why(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await sees(app, pilot, "none of yours; what others have here is shown to who manages it")
        await pilot.press("escape", "down", "enter")
        await sees(app, pilot, "no jobs")
        assert "labels gpu=a100" in text(app)
        feed.peers = []
        await settle(app, pilot)
        app.screen._show()
        await sees(app, pilot, f"{W2}  is gone")


async def test_a_lost_connection_is_said_and_rows_are_kept(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        feed.online = False
        await settle(app, pilot)
        assert "trying again. This is how it was." in text(app)
        assert "w1 " in text(app)
        assert "the connection to the server is lost" in text(app)
        feed.online = True
        await settle(app, pilot)
        assert "trying again" not in text(app)
        assert "the connection is back" in text(app)


async def test_a_connection_that_has_ended_for_good_is_not_waited_for(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        feed.online, feed.closed = False, "signed in elsewhere\x1b and " + "so on " * 20
        await settle(app, pilot)
        head = picture(app)[1]
        assert head.startswith(" The connection has ended: signed in elsewhere\ufffd and so on")
        assert head.endswith("… This is how it was.")
        assert "trying again" not in text(app)
        assert "w1 " in text(app)
        assert "there will be no connection any more: signed in elsewhere" in text(app)
    feed = Feed()
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        feed.online, feed.closed = False, "signed in elsewhere"
        await settle(app, pilot)
        assert "the connection has ended: signed in elsewhere" in picture(app)[4]


async def test_nobody_there_says_why():
    feed = Feed()
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        assert "looking for nodes ..." in text(app)
        why = "nobody at bot@localhost answers: is it online, and does it allow ann@localhost?"
        feed.notes = [why]
        await settle(app, pilot)
        assert why.split()[-1] in text(app)  # all of it, on as many lines as it takes
        feed.peers = [node("w1")]
        await settle(app, pilot)
        assert "nobody at bot@localhost answers" in text(app)  # of one address of several


async def test_what_others_write_does_no_harm(feed):
    feed.peers = [node("\x1b[2J\x9bw\n1" + "x" * 200, labels={"a": "\x1b]0;x\x07"})]
    feed.look()
    (peer,) = feed.peers
    bad = status(peer.jid, failed=1, error="\x1b[31m\nred[b]", fields={"x": "\x1b[1m\x9b"})
    feed.fleet.answered(peer.jid, status(peer.jid))
    feed.fleet.answered(peer.jid, bad)
    feed.listed[peer.jid] = [job("\x1b[0m", "\x1bt", "\x9bc", state="\x1b]0;x", progress="[b]\x1b")]
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("e", "escape", "enter", "c"):
            await settle(app, pilot)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text(app))
            await pilot.press(key)
        await sees(app, pilot, "Stop")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text(app))


async def test_the_largest_numbers_that_a_node_may_tell_are_drawn(feed):
    long, many = 249e9, 2**53 - 1
    for times in (0, 1):
        feed.clock.now += 2
        counts = {"succeeded": times * many, "failed": times * many, "cpu": times * long}
        told = status(W1, uptime=long, memory=many, **counts)
        told = msgspec.structs.replace(told, last_error=LastError("lift", "ouch", long))
        feed.fleet.answered(W1, msgspec.convert(msgspec.to_builtins(told), NodeStatus))
    feed.listed[W1] = [job("0199-aaaa1111", since=long), job("0199-bbbb2222", since=0.0)]
    app = Top(feed)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(app, pilot)
        assert " 8P" in text(app)
        await pilot.press("enter")
        await sees(app, pilot, "bbbb2222")
        assert "lift failed: ouch" in text(app)


@pytest.mark.parametrize(
    "absurd",
    [
        {"memory": 10**400},
        {"memory": -1},
        {"uptime": 1e300},
        {"cpu": 1e300},
        {"succeeded": 10**400},
        {"failed": 1e300},
        {"pid": 10**400},
        {"last_error": {"task": "lift", "message": "ouch", "at": 1e300}},
    ],
    ids=lambda absurd: next(iter(absurd)),
)
async def test_what_tells_absurd_numbers_has_told_nothing(feed, absurd):
    told = msgspec.to_builtins(status(W2)) | absurd
    app = Answering(told)
    await RealFeed(app, [POOL], feed.fleet)._status_of(W2)
    assert app.asked == ["node.status"]
    assert feed.fleet.status(W2) is None
    assert feed.fleet.row(W2).note == ""


@pytest.mark.parametrize(
    ("kind", "absurd"),
    [
        (NodeJob, {"since": 1e300}),
        (JobLine, {"started": 1e300}),
        (TaskLine, {"states": {"available": 10**400}}),
        (TaskLine, {"ended_last_minute": 10**400}),
    ],
)
def test_absurd_numbers_of_jobs_are_refused(kind, absurd):
    line = {"id": "1", "owner": "ann@localhost", "task": "lift", "state": "running"}
    whole = {
        NodeJob: msgspec.to_builtins(job("1")),
        JobLine: line | {"created": 0.0, "due": 0.0},
        TaskLine: {"states": {}},
    }[kind]
    msgspec.convert(whole, kind)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(whole | absurd, kind)


async def test_help_and_events(feed):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await sees(app, pilot, "after a question")
        assert text(app).count("│") == 2 * 18  # nothing is folded
        await pilot.press("escape")
        feed.peers = []
        for number in range(40):
            feed.fleet._note("plain", f"event {number}")
        await pilot.press("e")
        await sees(app, pilot, "event 39")
        assert "event 5\n" not in text(app)
        await pilot.press("home", "escape")
        assert app.screen is app.screen_stack[0]


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving(feed, key):
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
    assert not app.return_code


async def test_a_wide_terminal_has_longer_bars_and_more_events(feed):
    for number in range(20):
        feed.fleet._note("plain", f"event {number}")
    app = Top(feed)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(app, pilot)
        assert "━" * 20 in text(app)
        assert "event 9\n" in text(app)


async def test_a_queue(feed):
    feed.peers.append(node("q", running=5, slots=8, queue=True))
    feed.look()
    feed.fleet.stood(POOL, standing(POOL, available=12_345, ended=600))
    app = Top(feed)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(app, pilot)
        (line,) = [line for line in picture(app) if line.startswith(" q queue")]
        assert " ".join(line.split()[2:]) == "━━━━━━──── 5 of 8 12k 10.0 - - -"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [(None, "-"), (0, "0K"), (412 << 10, "412K"), (45 << 20, "45M"), (1288490189, "1.2G")],
)
def test_sizes(octets, shown):
    assert size(octets) == shown


def test_of_a_long_name_both_ends_are_kept(feed):
    feed.peers = [node("a-machine-with-a-very-long-name-indeed-4711-x8f3")]
    feed.look()
    line = node_columns(78).line(feed.fleet.rows()[0]).plain
    name = line.split("  ")[0]
    assert name.startswith("a-mach")
    assert name.endswith("-4711-x8f3")
    assert "…" in name


def test_a_narrow_terminal_leaves_out_the_last_columns(feed):
    columns = node_columns(50)
    assert columns.heading.plain.split()[:2] == ["NODE", "LOAD"]
    assert "UP" not in columns.heading.plain
    assert columns.line(feed.fleet.rows()[0]).cell_len <= 50


async def test_the_picture_on_the_page_about_the_fleet_is_true():
    page = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")
    block = re.search(r"```\n( jabot top .*?)```", page, re.DOTALL)
    gone = node("yard-0799-77aa", running=1)
    feed = Feed(
        node("hall-4711-x8f3", running=4, waiting=2), node("hall-4712-01c7", running=3), gone
    )
    feed.clock.now += 60
    yard = node("yard-0815-9b2e")
    feed.peers.append(yard)
    feed.look()
    jids = [peer.jid for peer in (*feed.peers[:2], yard)]
    told = zip(jids, (45, 44, 41), (7198, 7198, 718), (6, 2, 0), (0.5, 0.24, 0), strict=True)
    for jid, memory, uptime, done, cpu in told:
        feed.fleet.answered(jid, status(jid, memory=memory << 20, uptime=uptime))
        feed.clock.now += 2
        error = None if done != 2 else "ValueError: too heavy"
        more = {"failed": 1, "error": error} if error else {}
        feed.fleet.answered(
            jid, status(jid, done, memory=memory << 20, uptime=uptime + 2, cpu=cpu, **more)
        )
    feed.peers.remove(gone)
    feed.look()
    app = Top(feed)
    async with app.run_test(size=(80, 16)) as pilot:
        await settle(app, pilot)

        def timeless(lines):
            return [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in lines if line.strip()]

        assert timeless(picture(app)) == timeless(block[1].splitlines())
