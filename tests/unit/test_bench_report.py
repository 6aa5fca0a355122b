"""The benchmark's arithmetic and its page; what it measures is not a matter of unit tests."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # `bench` is run from the repository, it is not installed

from bench import report  # noqa: E402
from bench.closed_loop import WrongResultError, keep_in_flight, keep_window  # noqa: E402
from bench.command import _parser  # noqa: E402
from bench.durable.figures import Crash, DurableVisit, crash_from, durable_summary, starts_ms  # noqa: E402
from bench.durable.jobs import Entry  # noqa: E402
from bench.figures import Idle, Load, Visit, judged, percentile, spread, summary, too_slow_rooms  # noqa: E402
from bench.subjects import ALL, DURABLE  # noqa: E402

TEMPLATE = (ROOT / "bench" / "benchmarks.md.template").read_text()


def load(in_flight, jobs_per_s, p50=None):
    same = {"caller": 0.1, "worker": 0.2, "server": 0.3}
    return Load(in_flight, jobs_per_s, same, same, p50, p50 and 2 * p50)


def rounds(*rates, p50=1.0, idle=None):
    """One visit for each rate with 1,000 in flight."""
    return [Visit([load(1, 500.0, p50), load(1000, rate)], idle) for rate in rates]


def durable(*rates, recoveries=()):
    """One visit for each rate, with a crash in the first ones."""
    crashes = [Crash(seconds, 41, 4, int(seconds is None), 1) for seconds in recoveries]
    crashes += [None] * (len(rates) - len(crashes))
    return [
        DurableVisit([load(1000, rate)], start_p50_ms=2.0, start_p99_ms=8.0, crash=crash)
        for rate, crash in zip(rates, crashes, strict=True)
    ]


def entry_of(visits):
    if isinstance(visits[0], DurableVisit):
        return durable_summary(visits, "synced", 90.0)
    return summary(visits)


def results(**visits):
    entries = {
        name: {"label": name} | entry_of(each) | {"versions": {"thing": "1.0"}}
        for name, each in visits.items()
    }
    about = {
        "cpu": "a CPU",
        "cores": 2,
        "memory_gb": 8.0,
        "system": "Linux 6",
        "python": "3.11",
        "date": "2026-01-01",
        "busy_cores": 0.1,
        "rounds": 2,
        "quick": False,
    }
    return entries | {"about": about | {"targets": judged(entries)}}


class TestFigures:
    @pytest.mark.parametrize(
        ("percent", "expected"), [(50, 50), (99, 99), (100, 100), (99.5, 100), (1, 1)]
    )
    def test_a_percentile_is_one_of_the_values(self, percent, expected):
        assert percentile(range(100, 0, -1), percent) == expected

    def test_the_percentiles_of_one_value_are_that_value(self):
        assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0

    def test_a_spread_keeps_the_rounds_in_order(self):
        assert spread([3.0, 1.0, 2.00004]) == {
            "median": 2.0,
            "low": 1.0,
            "high": 3.0,
            "rounds": [3.0, 1.0, 2.0],
        }

    def test_a_summary_has_the_headline_and_the_round_trip(self):
        entry = summary(rounds(1000.0, 3000.0, 2000.0, p50=0.5))
        assert entry["jobs_per_s"] == 2000.0
        assert (entry["rtt_p50_ms"], entry["rtt_p99_ms"]) == (0.5, 1.0)
        assert entry["in_flight"]["1000"]["cpu_s_per_1000"]["server"] == 0.3
        assert "idle" not in entry

    def test_without_the_headline_load_there_is_no_headline(self):
        assert "jobs_per_s" not in summary([Visit([load(1, 500.0, 1.0)])])


class TestTargets:
    def test_ratios_are_taken_within_each_round(self):
        """A slow second half of the run is slow for both, and changes nothing."""
        found = judged(results(direct=rounds(3000, 300), nats_core=rounds(1000, 100)))
        assert [each["rounds"] for each in found] == [[3.0, 3.0]]
        assert found[0]["met"]

    def test_a_target_missed_is_said_to_be(self):
        (found,) = judged(results(direct=rounds(1400), spade=rounds(100)))
        assert (found["median"], found["wanted"], found["met"]) == (14.0, "≥ 15", False)

    def test_the_round_trip_may_be_as_long_as_wanted_and_no_longer(self):
        floor = rounds(1, p50=1.0)
        assert judged(results(direct=rounds(1, p50=1.7), raw_echo=floor))[0]["met"]
        assert not judged(results(direct=rounds(1, p50=1.71), raw_echo=floor))[0]["met"]

    def test_an_idle_worker_must_stay_below(self):
        found = judged(results(direct=rounds(1, idle=Idle(1.0, 59.9))))
        assert [each["met"] for each in found] == [False, True]

    def test_what_was_not_measured_is_not_judged(self):
        assert judged(results(nats_core=rounds(1), spade=rounds(1))) == []


def test_rooms_that_take_longer_than_they_may_are_named():
    quick = {"nodes": 10, "join_s": 60.0, "broadcast_as_guest_s": 2.0, "broadcast_most_s": 2.0}
    assert too_slow_rooms([quick]) == []
    slow = quick | {"nodes": 200, "join_s": 60.1, "broadcast_most_s": 2.5}
    assert too_slow_rooms([quick, slow]) == [
        "200 nodes: join_s is 60.1, and may be 60",
        "200 nodes: broadcast_most_s is 2.5, and may be 2",
    ]


class TestDurable:
    def journal(self, *lines):
        return [Entry(*line) for line in lines]

    def test_the_time_to_the_next_attempt_is_that_of_the_job_that_was_held(self):
        journal = self.journal(
            (0, "start", "first", 1_000),
            (1, "start", "first", 2_000),
            (1, "start", "second", 1_000_003_000),
            (0, "start", "second", 2_000_003_000),
            (0, "end", "second", 2_000_004_000),
            (1, "end", "second", 2_000_004_000),
        )
        assert crash_from(journal, [0, 1], 0, "first", 3_000) == Crash(2.0, 2, 2, 0, 0)

    def test_what_nobody_ran_again_is_unfinished(self):
        journal = self.journal((0, "start", "first", 1), (1, "start", "second", 2))
        journal += self.journal((1, "end", "second", 3))
        assert crash_from(journal, [0, 1, 2], 0, "first", 2) == Crash(None, 3, 1, 2, 0)

    def test_a_job_ran_twice_when_it_ended_twice(self):
        """It was done, but the queue had not heard so."""
        once = self.journal((1, "start", "first", 1), (1, "end", "first", 2))
        again = self.journal((1, "start", "second", 9), (1, "end", "second", 10))
        assert crash_from(once + again, [1], 0, "first", 5) == Crash(None, 1, 0, 0, 1)

    def test_jobs_beside_those_of_the_test_do_not_count(self):
        journal = self.journal((1000, "start", "first", 1))
        assert crash_from(journal, [], 0, "first", 2) == Crash(None, 0, 0, 0, 0)

    def test_starts_are_told_in_milliseconds(self):
        assert starts_ms([3_000_000, 1_000_000, 2_000_000]) == (2.0, 3.0)

    def test_the_entry_of_a_queue(self):
        entry = durable_summary(durable(100, 200, 300, recoveries=(1.0, 3.0)), "synced", 90.0)
        assert entry["jobs_per_s"] == 200.0
        assert (entry["durable"]["start_p50_ms"], entry["durable"]["start_p99_ms"]) == (2.0, 8.0)
        assert entry["durable"]["recovery"] == {
            "cap_s": 90.0,
            "seconds": [1.0, 3.0],
            "median_s": 2.0,
            "jobs": 82,
            "cut": 8,
            "unfinished": 0,
            "ran_twice": 2,
        }

    def test_one_crash_without_a_next_attempt_leaves_no_median(self):
        entry = durable_summary(durable(1, 1, recoveries=(1.0, None)), "synced", 90.0)
        assert entry["durable"]["recovery"]["median_s"] is None

    def test_the_page_keeps_the_two_kinds_apart(self):
        found = results(
            direct=rounds(1, idle=Idle(0.2, 41.0)),
            queue=durable(2500, recoveries=(29.5,)),
            other=durable(400, recoveries=(None,)),
            third=durable(300),
        )
        assert [row[0] for row in report.overview_table(found)[1]] == ["direct"]
        assert [row[0::4] for row in report.durable_table(found)[1]] == [
            ["queue", "29.5 s"],
            ["other", "not within 90 s"],
            ["third", "–"],
        ]
        assert [row[0] for row in report.crashes_table(found)[1]] == ["queue", "other"]
        page = report.page_text(found, TEMPLATE)
        assert "2,500 (2,500–2,500)" in page
        assert not re.search(r"\$\w", page)

    def test_a_run_without_queues_says_so(self):
        page = report.page_text(results(direct=rounds(1)), TEMPLATE)
        assert "No durable subject was measured" in page

    def test_targets_of_the_queue_are_judged_as_soon_as_it_is_measured(self):
        peers = {"nats_jetstream": durable(1000), "procrastinate": durable(100)}
        assert judged(results(**peers)) == []
        own = {"durable_sqlite": durable(2600), "durable_postgres": durable(499)}
        verdicts = judged(results(**peers, **own))
        assert [(each["median"], each["met"]) for each in verdicts] == [(2.6, True), (4.99, False)]


class TestPage:
    def test_the_page_has_every_figure(self):
        found = results(
            raw_echo=rounds(8000, 8200, p50=0.41),
            direct=rounds(20000, 20400, p50=0.62, idle=Idle(0.2, 41.0)),
            nats_core=rounds(9000, 9100),
        )
        page = report.page_text(found, TEMPLATE)
        for text in ("20,200 (20,000–20,400)", "0.62 ms", "0.2 % of a core and 41 MB", "a CPU"):
            assert text in page
        assert not re.search(r"\$\w", page)

    def test_a_fleet_is_on_the_page_when_it_was_measured(self):
        found = results(queue=durable(100))
        assert "No fleet was measured" in report.page_text(found, TEMPLATE)
        names = [name for _, name, _, _ in report._FLEET]
        small = dict.fromkeys(names, 0.0125) | {"nodes": 10, "busy_cores": 0.1}
        large = dict.fromkeys(names, 2.5) | {"nodes": 200, "busy_cores": 0.4}
        found["about"] |= {"fleet": {"rooms": [small, large]}}
        page = report.page_text(found, TEMPLATE)
        for text in (
            "| nodes | 10 | 200 |",
            "| all joined and met, s | 0.0 | 2.5 |",
            "| broadcast until the last reply, median, ms | 12 | 2,500 |",
            "| CPU of a broadcast: caller, ms | 0 | 2 |",
            "up to 0.4 cores busy",
        ):
            assert text in page

    def test_syncs_and_a_backlog_are_on_the_page_when_they_were_measured(self):
        found = results(queue=durable(100))
        page = report.page_text(found, TEMPLATE)
        assert "were not counted" in page
        assert "was not measured" in page
        rates = {"submit": 9000.0, "dispatch": 4000.0, "submit_cpu_us": 30.2, "dispatch_cpu_us": 44}
        backlog = {
            "jobs": 1_000_000,
            "empty": rates,
            "full": rates | {"submit": 8100.0},
            "ratio": {"submit": 0.9, "dispatch": 1.0},
            "memory_mb": 104.7,
            "restart_s": 0.891,
        }
        found["about"] |= {"syncs": [(100, 50, 50)], "backlog": {"sqlite": backlog}}
        page = report.page_text(found, TEMPLATE)
        for row in (
            "| 100 | 50 | 50 |",
            "| sqlite, 1,000,000 jobs | 9,000 | 8,100 | 0.90 | 30 → 30 "
            "| 4,000 | 4,000 | 1.00 | 44 → 44 | 105 MB | 0.89 s |",
        ):
            assert row in page

    def test_tables_are_even(self):
        """A subject that takes fewer in flight than another has a dash there."""
        more = [Visit([*visit.loads, load(30_000, 5.0)]) for visit in rounds(1)]
        head, rows = report.loads_table(results(direct=more, spade=rounds(1)))
        assert head == ["in flight", "1", "1,000", "30,000"]
        assert rows[1][-1] == "–"
        assert {len(row) for row in rows} == {len(head)}

    def test_every_subject_is_explained(self):
        for subject in ALL:
            assert f"**{re.split('[ ,]', subject.label)[0]}" in TEMPLATE.replace("**Raw", "**raw")


class TestCommand:
    @pytest.mark.parametrize("names", ["direct,nats", "nats_core,direct", " nats , direct"])
    def test_subjects_have_short_names_and_an_order(self, names):
        chosen = _parser().parse_args(["--only", names]).only
        assert [subject.name for subject in chosen] == ["direct", "nats_core"]

    def test_the_queues_have_a_name_together(self):
        chosen = _parser().parse_args(["--only", "durable,direct"]).only
        assert [subject.name for subject in chosen] == ["direct", *(each.name for each in DURABLE)]

    @pytest.mark.parametrize("arguments", [["--only", "direct,rabbit"], ["--rounds", "0"]])
    def test_what_makes_no_sense_is_refused(self, arguments, capsys):
        with pytest.raises(SystemExit) as left:
            _parser().parse_args(arguments)
        assert left.value.code == 2
        assert arguments[1] in capsys.readouterr().err

    def test_all_that_peers_install_is_pinned(self):
        for subject in ALL:
            path = subject.requirements()
            for line in path.read_text().splitlines() if path else ():
                assert line.startswith("#") or "==" in line


class TestClosedLoop:
    async def test_so_many_are_in_flight_and_no_more(self):
        running, most = 0, 0

        async def call(value):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return value

        measured = await keep_in_flight(call, in_flight=7, seconds=0.0)
        assert (most, measured.jobs, measured.latencies) == (7, 7, [])

    async def test_one_at_a_time_has_a_latency_for_each(self):
        async def call(value):
            return value

        measured = await keep_in_flight(call, in_flight=1, seconds=0.0)
        assert (measured.jobs, len(measured.latencies)) == (1, 1)

    async def test_a_wrong_result_ends_it(self):
        async def call(value):
            return value + 1

        with pytest.raises(ExceptionGroup) as raised:
            await keep_in_flight(call, in_flight=1, seconds=0.0)
        assert raised.group_contains(WrongResultError)

    def test_a_caller_that_blocks_waits_for_the_oldest(self):
        """All are waited for in the end, in the order in which they were submitted."""
        submitted = []

        def submit(value):
            submitted.append(value)
            return value

        def result(job):
            assert job == len(done)
            done.append(job)
            return job

        done = []
        measured = keep_window(submit, result, in_flight=5, seconds=0.0)
        assert (measured.jobs, submitted, done) == (5, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
