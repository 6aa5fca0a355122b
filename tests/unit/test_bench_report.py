"""The benchmark's arithmetic and its page; what it measures is not a matter of unit tests."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # `bench` is run from the repository, it is not installed

from bench import report  # noqa: E402
from bench.closed_loop import WrongResultError, keep_in_flight  # noqa: E402
from bench.command import _parser  # noqa: E402
from bench.figures import Idle, Load, Visit, judged, percentile, spread, summary  # noqa: E402
from bench.subjects import SUBJECTS  # noqa: E402

TEMPLATE = (ROOT / "bench" / "benchmarks.md.template").read_text()


def load(in_flight, jobs_per_s, p50=None):
    same = {"caller": 0.1, "worker": 0.2, "server": 0.3}
    return Load(in_flight, jobs_per_s, same, same, p50, p50 and 2 * p50)


def rounds(*rates, p50=1.0, idle=None):
    """One visit for each rate with 1,000 in flight."""
    return [Visit([load(1, 500.0, p50), load(1000, rate)], idle) for rate in rates]


def results(**visits):
    entries = {
        name: {"label": name} | summary(each) | {"versions": {"thing": "1.0"}}
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

    def test_tables_are_even(self):
        """A subject that takes fewer in flight than another has a dash there."""
        more = [Visit([*visit.loads, load(30_000, 5.0)]) for visit in rounds(1)]
        head, rows = report.loads_table(results(direct=more, spade=rounds(1)))
        assert head == ["in flight", "1", "1,000", "30,000"]
        assert rows[1][-1] == "–"
        assert {len(row) for row in rows} == {len(head)}

    def test_every_subject_is_explained(self):
        for subject in SUBJECTS:
            assert f"**{re.split('[ ,]', subject.label)[0]}" in TEMPLATE.replace("**Raw", "**raw")


class TestCommand:
    @pytest.mark.parametrize("names", ["direct,nats", "nats_core,direct", " nats , direct"])
    def test_subjects_have_short_names_and_an_order(self, names):
        chosen = _parser().parse_args(["--only", names]).only
        assert [subject.name for subject in chosen] == ["direct", "nats_core"]

    @pytest.mark.parametrize("arguments", [["--only", "direct,rabbit"], ["--rounds", "0"]])
    def test_what_makes_no_sense_is_refused(self, arguments, capsys):
        with pytest.raises(SystemExit) as left:
            _parser().parse_args(arguments)
        assert left.value.code == 2
        assert arguments[1] in capsys.readouterr().err

    def test_all_that_peers_install_is_pinned(self):
        for subject in SUBJECTS:
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
