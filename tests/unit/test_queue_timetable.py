"""When schedules are due: summer time, missed times, and what cannot be understood."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cronsim import CronSim
from msgspec import Raw

from jabot.errors import ConfigError
from jabot.protocol.options import JobOptions
from jabot.queue import timetable
from jabot.queue.store.records import Schedule
from jabot.queue.timetable import MISSED, MOST, Firing

BERLIN = ZoneInfo("Europe/Berlin")


def schedule(**fields):
    plain = JobOptions()
    return Schedule("nightly", "app@example.org", "lift", Raw(b"[]"), Raw(b"{}"), plain, **fields)


def moment(text, *, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def berlin(line, start, count):
    """The next times after one, on the clocks of Berlin."""
    cron = schedule(cron=line, zone="Europe/Berlin")
    first = timetable.first(cron, moment(start))
    with_next = schedule(cron=line, zone="Europe/Berlin", next=first)
    times = timetable.upcoming(with_next, count)
    return [f"{datetime.fromtimestamp(each, BERLIN):%m-%d %H:%M %Z}" for each in times]


@pytest.mark.parametrize(
    ("line", "start", "times"),
    [
        # The hour from two to three is left out on March 29, 2026.
        ("30 2 * * *", "2026-03-28T03:00", ["03-29 03:00 CEST", "03-30 02:30 CEST"]),
        ("*/30 * * * *", "2026-03-29T01:15", ["03-29 01:30 CET", "03-29 03:00 CEST"]),
        # It comes twice on October 25: once is enough for what is due once.
        ("30 2 * * *", "2026-10-24T03:00", ["10-25 02:30 CEST", "10-26 02:30 CET"]),
        (
            "*/30 * * * *",
            "2026-10-25T02:15",
            ["10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET", "10-25 03:00 CET"],
        ),
        ("0 3 * * *", "2026-10-24T12:00", ["10-25 03:00 CET", "10-26 03:00 CET"]),
    ],
)
def test_a_cron_line_over_a_change_of_summer_time(line, start, times):
    assert berlin(line, start, len(times)) == times


def test_an_interval_takes_no_notice_of_summer_time():
    start = moment("2026-03-29T00:00")
    daily = schedule(every=86_400.0, next=start, zone="Europe/Berlin")
    assert timetable.upcoming(daily, 2) == [start, start + 86_400.0]


def test_the_times_of_a_cron_line_are_whole_seconds():
    nightly = schedule(cron="0 0 * * *")
    for start in (1_795_678_997.979729, 1_795_678_997.0000002, 1_795_651_199.9999998):
        first = timetable.first(nightly, start)
        assert first % 86_400 == 0
        assert timetable.upcoming(schedule(cron="0 0 * * *", next=first), 2)[1] - first == 86_400


def test_an_interval_does_not_drift():
    each = schedule(every=10.0, next=1000.0)
    assert timetable.firing(each, 1000.7) == Firing(True, 1010.0)
    assert timetable.firing(each, 1009.9) == Firing(True, 1010.0)
    late = timetable.firing(each, 1075.0)  # by more than a minute: those between are left out
    assert late.next == 1080.0


@pytest.mark.parametrize(
    ("missed", "submits", "following"),
    [("once", True, 1200.0), ("skip", False, 1200.0), ("all", True, 1010.0)],
)
def test_what_is_done_about_times_that_were_missed(missed, submits, following):
    each = schedule(every=10.0, next=1000.0, missed=missed)
    assert timetable.firing(each, 1195.0) == Firing(submits, following)


@pytest.mark.parametrize("missed", ["once", "skip", "all"])
def test_up_to_a_minute_late_is_not_missed(missed):
    each = schedule(every=10.0, next=1000.0, missed=missed)
    assert timetable.firing(each, 1000.0 + MISSED) == Firing(True, 1010.0)
    assert timetable.firing(each, 1000.0 + MISSED + 0.001).submit == (missed != "skip")


def made_up_for(each, now):
    """The missed times for which jobs run."""
    ran = []
    while each.next <= now:
        firing = timetable.firing(each, now)
        assert firing.left_out == (each.missed == "all" and not firing.submit)
        ran += [each.next] if firing.submit else []
        each = msgspec.structs.replace(each, next=firing.next)
    return ran


def test_no_more_than_a_thousand_missed_times_are_made_up_for():
    """The newest ones, and half of them at least."""
    week = 1000.0 + 7 * 86_400
    ran = made_up_for(schedule(every=1.0, next=1000.0, missed="all"), week)
    assert MOST / 2 <= len(ran) <= MOST
    assert ran == [week - left for left in range(len(ran) - 1, -1, -1)]
    exactly = schedule(every=10.0, next=1000.0, missed="all")
    assert len(made_up_for(exactly, 1000.0 + 10 * (MOST - 1))) == MOST
    assert len(made_up_for(exactly, 1000.0 + 10 * MOST)) < MOST


def test_a_cron_line_whose_times_come_all_at_once_is_held_to_that_too():
    now, first, next_day = map(moment, ("2026-06-03T00:00", "2026-06-01T12:59:59", "2026-06-02T12"))
    busy = schedule(cron="* * 12 * * *", zone="Europe/Berlin", next=first, missed="all")
    assert timetable.firing(busy, now) == Firing(True, next_day)  # the last one of its day
    firing = timetable.firing(msgspec.structs.replace(busy, next=next_day), now)
    assert (firing.submit, firing.left_out) == (False, True)
    assert MOST / 2 <= moment("2026-06-02T13:00") - firing.next <= MOST
    again = timetable.firing(msgspec.structs.replace(busy, next=firing.next), now)
    assert again == Firing(True, firing.next + 1)


def test_the_line_is_not_read_again_for_each_time_that_was_missed(monkeypatch):
    read, steps = [], []

    class Counted(CronSim):
        def __init__(self, *given):
            read.append(given)
            super().__init__(*given)

        def __next__(self):
            steps.append(self.dt)
            return super().__next__()

    monkeypatch.setattr("jabot.schedule.CronSim", Counted)
    week = moment("2026-06-08T00:00")
    busy = schedule(cron="* * * * * *", next=moment("2026-06-01T00:00"), missed="all")
    assert timetable.firing(busy, week).left_out
    assert len(read) < 20
    assert len(steps) < 2 * MOST


def test_missed_times_of_a_cron_line():
    noon = moment("2026-06-01T12:00")
    for missed, following in [("once", "2026-06-05T12:00"), ("all", "2026-06-02T12:00")]:
        daily = schedule(cron="0 12 * * *", zone="Europe/Berlin", next=noon, missed=missed)
        firing = timetable.firing(daily, moment("2026-06-04T18:00"))
        assert firing == Firing(True, moment(following))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "a cron line or an interval"),
        ({"cron": "0 3 * * *", "every": 5.0}, "a cron line or an interval"),
        ({"every": 0.5}, "at least 1 s"),
        ({"every": float("nan")}, "at least 1 s"),
        ({"every": float("inf")}, "at least 1 s"),
        ({"cron": "0 25 * * *"}, "'0 25 \\* \\* \\*'"),
        ({"cron": "0 0 30 2 *"}, "'0 0 30 2 \\*'"),
        ({"cron": "0 3 * * *", "zone": "Mars/Olympus"}, "'Mars/Olympus'"),
        ({"cron": "0 3 * * *", "zone": "../../etc/passwd"}, "passwd"),
        ({"cron": "0 3 * * *", "zone": ""}, "time zone ''"),
    ],
)
def test_what_cannot_be_understood_is_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        timetable.check(schedule(**fields))


def test_a_zone_that_is_no_more():
    gone = schedule(cron="0 3 * * *", zone="Mars/Olympus", next=1000.0)
    with pytest.raises(ConfigError, match="Mars/Olympus"):
        timetable.firing(gone, 1000.0)
