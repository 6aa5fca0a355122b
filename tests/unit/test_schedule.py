"""When a timer is due."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.errors import ConfigError
from jabot.schedule import Cron, Every, parse_duration

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (2.5, 2.5),
        (1, 1.0),
        ("2.5s", 2.5),
        ("100ms", 0.1),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        (" 10 s ", 10),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "5", "s", "1x", "-1s", "0s", "1s?", "?1s", "1 s 2", "1,5s", "9" * 400 + "s"),
        *(0, -1, float("inf"), float("nan")),
    ],
)
def test_what_is_no_duration(text):
    with pytest.raises(ConfigError):
        parse_duration(text)


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_parts_of_a_duration_add_up(number, unit):
    assert parse_duration(f"{number}{unit} {number}{unit}") == pytest.approx(
        2 * parse_duration(f"{number}{unit}")
    )


@given(st.floats(0.001, 1e5), st.floats(0, 1e7))
def test_every_is_due_at_whole_intervals_after_the_start(seconds, elapsed):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    now = start + timedelta(seconds=elapsed)
    delay = Every(seconds).delay(now, start)
    assert 0 < delay <= seconds
    ticks = ((now - start).total_seconds() + delay) / seconds
    assert ticks == pytest.approx(round(ticks), abs=1e-6 * max(1, ticks))


def delays(cron, now):
    """The delay to the next time, and that time in UTC."""
    delay = cron.delay(now, now)
    return now.astimezone(UTC) + timedelta(seconds=delay)


def test_cron_in_a_time_zone():
    now = datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert delays(Cron("0 3 * * *", BERLIN), now) == datetime(2024, 6, 2, 1, tzinfo=UTC)
    assert delays(Cron("0 3 * * *", UTC), now) == datetime(2024, 6, 2, 3, tzinfo=UTC)


def test_cron_with_seconds():
    now = datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert Cron("*/10 * * * * *", UTC).delay(now, now) == 10


def test_cron_is_never_due_at_once_even_at_its_very_time():
    now = datetime(2024, 6, 1, 3, tzinfo=UTC)
    assert Cron("0 3 * * *", UTC).delay(now, now) == 86400


def test_cron_without_a_next_time_is_never_due():
    now = datetime(2024, 6, 1, 3, tzinfo=UTC)
    line = "0 0 */31 * MON#5"  # the first of a month is never its fifth Monday
    assert Cron(line, UTC).delay(now, now) == float("inf")


@pytest.fixture
def machine_in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield None
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=["named", "the machine's"])
def berlin(request, machine_in_berlin):
    """The zone as `Cron` gets it: Berlin, or None on a machine in Berlin."""
    return BERLIN if request.param == "named" else None


def times(line, zone, start, count):
    """The next times of a cron line in UTC, each found from the one before."""
    found, now = [], start
    for _ in range(count):
        now = delays(Cron(line, zone), now.astimezone())
        found.append(now)
    return found


def test_a_time_that_summer_time_skips_runs_right_after_the_change(berlin):
    # 2024-03-31 02:00 became 03:00 (01:00 UTC).
    start = datetime(2024, 3, 30, 12, tzinfo=UTC)
    assert times("30 2 * * *", berlin, start, 2) == [
        datetime(2024, 3, 31, 1, 0, tzinfo=UTC),
        datetime(2024, 4, 1, 0, 30, tzinfo=UTC),
    ]


def test_a_time_after_the_change_is_that_of_the_wall_clock(berlin):
    start = datetime(2024, 3, 30, 12, tzinfo=UTC)
    assert times("0 5 * * *", berlin, start, 1) == [datetime(2024, 3, 31, 3, tzinfo=UTC)]
    start = datetime(2024, 10, 26, 12, tzinfo=UTC)
    assert times("0 5 * * *", berlin, start, 1) == [datetime(2024, 10, 27, 4, tzinfo=UTC)]


def test_a_time_that_comes_twice_runs_once(berlin):
    # 2024-10-27 03:00 (01:00 UTC) became 02:00.
    start = datetime(2024, 10, 26, 12, tzinfo=UTC)
    found = times("30 2 * * *", berlin, start, 2)
    assert [t.date().day for t in found] == [27, 28]
    assert found[1] == datetime(2024, 10, 28, 1, 30, tzinfo=UTC)


def test_the_hour_that_comes_twice_has_all_its_quarters_twice(berlin):
    start = datetime(2024, 10, 26, 23, 50, tzinfo=UTC)  # 01:50 of summer time
    expected = [datetime(2024, 10, 27, tzinfo=UTC) + timedelta(minutes=15 * n) for n in range(10)]
    assert times("*/15 * * * *", berlin, start, 10) == expected


@pytest.mark.parametrize(
    "line", ["", "* * * *", "60 * * * *", "* 24 * * *", "* * * * * * *", "a b c d e", "0 0 31 2 *"]
)
def test_a_bad_cron_line_is_refused_when_it_is_written(line):
    with pytest.raises(ConfigError, match="cron line"):
        Cron(line)
