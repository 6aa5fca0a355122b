"""What `jabot top` makes of presences and answers."""

import pytest

from jabot.cli.top.fleet import Fleet
from jabot.cli.top.rows import Sort
from unit.fleet_told import POOL, Clock, node, standing, status


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def fleet(clock):
    return Fleet([POOL], clock, lambda: 1_000_000.0)


def jid(name, account=POOL):
    return f"{account}/{name}"


def texts(fleet):
    return [event.text for event in fleet.events]


def test_who_is_there_at_first_has_not_come(fleet, clock):
    fleet.seen([node("w1")])
    clock.now += 3
    fleet.seen([node("w1"), node("w2")])
    assert texts(fleet) == []
    clock.now += 5
    fleet.seen([node("w1"), node("w2"), node("w3")])
    assert texts(fleet) == ["w3 has come"]
    assert [row.name for row in fleet.rows()] == ["w1", "w2", "w3"]


def test_who_goes_is_gone_at_once_and_it_is_said_why(fleet, clock):
    fleet.seen([node("w1"), node("w2", running=3), node("w3")])
    fleet.said_farewell(jid("w1"), "jabot down")
    fleet.seen([])
    assert fleet.rows() == []
    assert texts(fleet) == [
        "w1 has left: jabot down",
        "w2 is gone without a farewell, with 3 jobs that ran",
        "w3 is gone without a farewell",
    ]
    assert [event.kind for event in fleet.events] == ["plain", "bad", "bad"]


def test_what_others_write_makes_no_event_longer_than_can_be_read(fleet):
    fleet.seen([node("w1")])
    fleet.said_farewell(jid("w1"), "x" * 10_000)
    fleet.seen([])
    (text,) = texts(fleet)
    assert len(text) == 500
    assert text.endswith("x…")


def test_a_rate_is_what_ended_within_the_last_seconds(fleet, clock):
    fleet.seen([node("w1")])
    fleet.answered(jid("w1"), status(jid("w1"), succeeded=100, failed=20, cpu=5.0))
    (row,) = fleet.rows()
    assert (row.rate, row.cpu, row.memory) == (None, None, 45 << 20)
    clock.now += 0.5  # too short a time to say
    fleet.answered(jid("w1"), status(jid("w1"), succeeded=101, failed=20, cpu=5.1))
    assert fleet.rows()[0].rate is None
    clock.now += 1.5
    fleet.answered(jid("w1"), status(jid("w1"), succeeded=105, failed=21, cpu=5.85))
    (row,) = fleet.rows()
    assert row.rate == 3.0  # of ends of both kinds
    assert row.cpu == pytest.approx(0.5)
    for _ in range(8):
        clock.now += 2
        fleet.answered(jid("w1"), status(jid("w1"), succeeded=105, failed=21))
    assert fleet.rows()[0].rate == 0.0
    clock.now += 16  # nobody has asked since: it is not known any more
    (row,) = fleet.rows()
    assert (row.rate, row.cpu, row.uptime) == (None, None, 76.0)


def test_failures_are_events(fleet):
    fleet.seen([node("w1")])
    told = [
        status(jid("w1"), failed=1, error="ValueError: old"),  # was there before us
        status(jid("w1"), failed=2, error="ValueError: ouch"),
        status(jid("w1"), failed=2, error="ValueError: ouch"),
        status(jid("w1"), failed=5, error="KeyError: 'x'"),
        status(jid("w1"), failed=6),  # who may not see whose they are still hears of it
    ]
    for each in told:
        fleet.answered(jid("w1"), each)
    assert texts(fleet) == [
        "w1: lift failed: ValueError: ouch",
        "w1: lift failed: KeyError: 'x' (and 2 more)",
        "w1: 1 job failed",
    ]


def test_who_does_not_answer_is_silent_until_it_does(fleet, clock):
    fleet.seen([node("w1")])
    fleet.asked(jid("w1"))
    clock.now += 4
    fleet.asked(jid("w1"))  # again: it counts from the first time
    assert fleet.row(jid("w1")).note == ""
    clock.now += 2
    assert fleet.row(jid("w1")).note == "silent for 6.0 s"
    fleet.answered(jid("w1"), None)  # it would not tell, which is an answer
    assert fleet.row(jid("w1")).note == ""


def test_who_stops_says_so_once(fleet):
    fleet.seen([node("w1")])
    for _ in range(2):
        fleet.answered(jid("w1"), status(jid("w1"), stopping=True))
    assert fleet.row(jid("w1")).note == "stopping"
    assert texts(fleet) == ["w1 is stopping, and takes no more jobs"]


def test_without_a_connection_all_stays_as_it_was(fleet, clock):
    fleet.seen([node("w1"), node("w2", running=1), node("w3")])
    fleet.lost()
    fleet.lost()
    assert [(row.name, row.fresh) for row in fleet.rows()] == [
        ("w1", False),
        ("w2", False),
        ("w3", False),
    ]
    fleet.back()
    fleet.seen([])  # nobody has answered yet
    assert len(fleet.rows()) == 3
    assert fleet.row(jid("w1")).note == "not back yet"
    fleet.seen([node("w1")])
    assert [row.fresh for row in fleet.rows()] == [True, False, False]
    fleet.seen([])  # and this one goes meanwhile
    assert [row.name for row in fleet.rows()] == ["w2", "w3"]
    clock.now += 5
    fleet.seen([node("w3")])
    assert [row.name for row in fleet.rows()] == ["w3"]
    assert texts(fleet) == [
        "the connection to the server is lost",
        "the connection is back, after 0 ms",
        "w1 is gone without a farewell",
        "w2 has not come back, with 1 job that ran",
    ]


def test_filters_look_at_addresses_labels_and_tasks(fleet):
    fleet.seen([node("w1", labels={"gpu": "a100"}), node("w2", labels={"gpu": "t4"}), node("x3")])

    def found(words):
        return [row.name for row in fleet.rows(words)]

    assert found("") == ["w1", "w2", "x3"]
    assert found("W") == ["w1", "w2"]
    assert found("gpu=a") == ["w1"]
    assert found("lift gpu= 2") == ["w2"]
    assert found("nothing") == []


def test_rows_are_sorted_and_equals_stand_still(fleet, clock):
    fleet.seen([node("w1", running=1), node("w2", running=4, waiting=2), node("w3", running=1)])
    for count in (0, 10):
        clock.now += 2
        fleet.answered(jid("w3"), status(jid("w3"), succeeded=count))

    def order(sort, **how):
        return [row.name for row in fleet.rows(sort=sort, **how)]

    assert order(Sort.NODE) == ["w1", "w2", "w3"]
    assert order(Sort.LOAD) == ["w2", "w1", "w3"]
    assert order(Sort.LOAD, reverse=True) == ["w3", "w1", "w2"]
    assert order(Sort.RATE) == ["w3", "w1", "w2"]  # what is not known comes last


def test_names_are_as_long_as_they_have_to_be(clock):
    for addresses, name in [
        (["bot@localhost"], "w1"),
        (["bot@localhost", "jobs@localhost"], "bot/w1"),
        (["bot@localhost", "jobs@example.org"], "bot@localhost/w1"),
    ]:
        assert Fleet(addresses, clock, clock).name("bot@localhost/w1") == name


def test_totals_of_nodes(fleet, clock):
    fleet.seen([node("w1", running=1, waiting=2), node("w2", running=4)])
    assert fleet.totals().rate is None
    for count in (0, 6):
        clock.now += 2
        fleet.answered(jid("w1"), status(jid("w1"), succeeded=count))
    totals = fleet.totals()
    assert (totals.nodes, totals.running, totals.slots, totals.waiting) == (2, 5, 8, 2)
    assert (totals.rate, totals.whole) == (3.0, False)  # w2 was not asked


def test_a_queue_and_its_workers_are_not_counted_twice(clock):
    fleet = Fleet([POOL, "jobs@localhost"], clock, lambda: 1_000_000.0)
    queues = [node(name, running=5, slots=8, account="jobs@localhost", queue=True) for name in "ab"]
    fleet.seen(queues)
    fleet.stood("jobs@localhost", standing("jobs@localhost", available=40, failed=1, ended=120))
    totals = fleet.totals()
    assert (totals.running, totals.slots, totals.waiting, totals.rate) == (10, 16, 40, 2.0)
    row = fleet.row("jobs@localhost/a")
    assert (row.name, row.queue, row.waiting, row.rate) == ("jobs/a", True, 40, 2.0)
    assert row.load == 5 / 8  # what waits is on disk, and no load of its workers

    fleet.seen([*queues, node("w1", running=2, waiting=1)])
    totals = fleet.totals()
    assert (totals.running, totals.slots, totals.waiting, totals.rate) == (2, 4, 41, None)
    fleet.stood("jobs@localhost", standing("jobs@localhost", failed=3))
    assert texts(fleet) == ["jobs: 2 jobs of lift failed"]
    clock.now += 16
    assert fleet.row("jobs@localhost/a").rate is None
