"""Who has which job, and for how long: with a made-up clock."""

import pytest
from msgspec import Raw

from jabot.protocol.options import NO_OPTIONS
from jabot.protocol.states import JobState
from jabot.queue.crew import Crew
from jabot.queue.store.records import Record, kind_of

A, B = "bot@x/a", "bot@x/b"


def record(job_id="j1", attempt=1, worker=A, **more):
    return Record(
        job_id,
        "app@x",
        "lift",
        JobState.RUNNING,
        Raw(b"[]"),
        Raw(b"{}"),
        NO_OPTIONS,
        {},
        0.0,
        0.0,
        None,
        attempt,
        attempt,
        0,
        worker=worker,
        **more,
    )


def hello(crew, jid=A, slots=4, labels=None):
    return crew.hello(jid, jid.partition("/")[0], slots, {"lift": NO_OPTIONS}, labels or {})


@pytest.fixture
def crew():
    return Crew(lease=15, grace=1)


def test_a_silent_worker_loses_its_jobs_when_the_lease_is_over(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    assert crew.next() == 15
    assert crew.overdue(14.9) == []
    assert crew.overdue(15) == [(held, "gave no sign for 15 s")]


def test_what_is_still_being_sent_is_not_lost_to_one_that_lives(crew):
    hello(crew)
    sent = crew.hold(record("j1"), now=0)
    taken = crew.hold(record("j2"), now=0, acked=True)
    crew.spare(A, now=10)
    assert crew.overdue(16) == [(taken, "gave no sign for 15 s")]
    crew.let_go(taken)
    for now in range(20, 400, 5):
        crew.spare(A, now)
    assert crew.overdue(299) == []
    assert crew.overdue(300) == [(sent, "gave no sign for 15 s")]  # after 20 leases it is
    crew.hold(record("j3"), now=400)
    crew.gone(A, now=401)
    crew.spare(A, now=410)
    assert "j3" in {held.id for held, _ in crew.overdue(415)}


def test_a_heartbeat_renews_what_it_names_and_nothing_else(crew):
    hello(crew)
    crew.hold(record("j1"), now=0)
    crew.hold(record("j2"), now=0)
    assert crew.renew(A, [("j1", 1)], now=10) == []
    assert [held.id for held, _ in crew.overdue(20)] == ["j2"]


@pytest.mark.parametrize("pair", [("j1", 2), ("j9", 1)])
def test_a_heartbeat_for_another_attempt_renews_nothing(crew, pair):
    hello(crew)
    crew.hold(record("j1", attempt=1), now=0)
    assert crew.renew(A, [pair], now=10) == [pair]
    assert [held.id for held, _ in crew.overdue(15)] == ["j1"]


def test_nobody_renews_what_another_has(crew):
    hello(crew)
    hello(crew, B)
    crew.hold(record("j1"), now=0)
    assert crew.renew(B, [("j1", 1)], now=10) == [("j1", 1)]


def test_a_worker_that_went_has_the_grace_to_come_back(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    crew.gone(A, now=5)
    assert crew.next() == 6
    assert crew.overdue(5.9) == []
    assert crew.overdue(6) == [(held, "vanished")]


def test_nobody_looks_all_the_time_while_the_end_of_a_job_is_on_its_way(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    crew.gone(A, now=5)
    crew.ends(held)
    assert crew.next() is None
    crew.hold(record("j2"), now=5)
    assert crew.next() == 6


def test_it_keeps_what_it_says_it_has_when_it_is_back(crew):
    hello(crew)
    crew.hold(record(), now=0)
    crew.gone(A, now=5)
    hello(crew)
    assert crew.missing(A, [("j1", 1)]) == []
    assert crew.overdue(6) == []


def test_what_it_does_not_speak_of_when_it_is_back_is_missing(crew):
    hello(crew)
    crew.hold(record(), now=0)
    crew.gone(A, now=5)
    hello(crew)
    assert [held.id for held in crew.missing(A, [])] == ["j1"]


def test_what_is_on_its_way_to_it_is_not_missing(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    assert crew.missing(A, []) == []
    held.acked = True
    assert crew.missing(A, []) == [held]


def test_what_ends_just_now_is_neither_missing_nor_overdue(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    held.acked = True
    crew.ends(held)
    assert crew.missing(A, []) == []
    assert crew.overdue(100) == []


def test_while_the_queue_stands_still_nobodys_time_passes(crew):
    hello(crew)
    hello(crew, B)
    held = crew.hold(record("j1"), now=0)
    left = crew.hold(record("j2", worker=B), now=0)
    crew.gone(B, now=5)
    crew.excuse(100)
    assert crew.overdue(105.9) == []
    assert crew.overdue(106) == [(left, "vanished")]
    crew.let_go(left)
    assert crew.overdue(114.9) == []
    assert crew.overdue(115) == [(held, "gave no sign for 15 s")]


def test_a_job_of_a_worker_that_was_never_seen_is_lost_with_its_lease(crew):
    """After a restart of the queue: the worker may still come."""
    held = crew.hold(record(), now=0)
    assert crew.overdue(14) == []
    assert crew.overdue(15) == [(held, "gave no sign for 15 s")]


def test_a_worker_that_let_a_lease_run_out_gets_nothing_before_it_speaks(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    assert crew.overdue(15)
    crew.let_go(held)
    assert crew.openings(["lift"]) == []
    crew.heard(A)
    assert len(crew.openings(["lift"])) == 1


def test_an_absent_worker_gets_nothing(crew):
    hello(crew)
    crew.hold(record(), now=0)
    crew.gone(A, now=1)
    assert crew.openings(["lift"]) == []


def test_credit_is_what_is_free(crew):
    worker = hello(crew, slots=4)
    crew.hold(record("j1"), now=0)
    worker.claiming = 2
    assert crew.openings(["lift"]) == [(worker, ["lift"], 1)]
    worker.claiming = 3
    assert crew.openings(["lift"]) == []


def test_an_attempt_that_has_ended_takes_no_slot_any_more(crew):
    worker = hello(crew, slots=2)
    held, other = crew.hold(record("j1"), now=0), crew.hold(record("j2"), now=0)
    crew.ends(held)
    crew.ends(held)
    assert worker.free == 1
    crew.goes_on(held)
    assert worker.free == 0
    crew.ends(held)
    crew.let_go(held)
    assert worker.free == 1
    crew.let_go(other)
    assert worker.free == 2


def test_nobody_gets_all_where_others_are_free(crew):
    first, second = hello(crew, A, slots=8), hello(crew, B, slots=8)
    crew.hold(record(), now=0)
    assert [(w.jid, most) for w, _, most in crew.openings(["lift"])] == [(B, 2), (A, 1)]
    assert first.free == 7
    assert second.free == 8


def test_only_who_has_the_task_and_the_labels_gets_a_job(crew):
    hello(crew, A, labels={"gpu": "a100"})
    hello(crew, B)
    kind = kind_of("lift", {"gpu": ["h100", "a100"]})
    assert [worker.jid for worker, _, _ in crew.openings([kind])] == [A]
    assert crew.openings(["dance"]) == []


def test_a_name_that_ends_in_a_space_is_another_task(crew):
    hello(crew)
    assert crew.openings(["lift "]) == []
    assert len(crew.openings(["lift"])) == 1


def test_a_kind_names_what_is_needed_whatever_the_order():
    assert kind_of("lift", {}) == "lift"
    assert kind_of("lift", {"b": ["2", "1"], "a": ["x"]}) == kind_of(
        "lift", {"a": ["x"], "b": ["1", "2"]}
    )


def test_an_old_hold_that_is_let_go_takes_nothing_with_it(crew):
    hello(crew)
    old = crew.hold(record("j1", attempt=1), now=0)
    new = crew.hold(record("j1", attempt=2), now=0)
    crew.let_go(old)
    assert crew.held("j1") is new
    assert crew.at(A) == [new]
    assert crew.at(B) == []


def test_a_worker_that_is_away_may_have_the_next_attempt_of_its_only_job(crew):
    """Another node of the queue gave it that, and died."""
    hello(crew)
    crew.hold(record("j1", attempt=1), now=0)
    crew.offline()
    held = crew.hold(record("j1", attempt=2), now=1)
    assert crew.at(A) == [held]
    assert crew.next() == 16
    assert crew.overdue(16) == [(held, "gave no sign for 15 s")]


def test_what_is_given_back_is_forgotten(crew):
    hello(crew)
    held = crew.hold(record(), now=0)
    crew.let_go(held)
    assert crew.held("j1") is None
    assert crew.next() is None
    crew.gone(A, now=1)
    assert crew.get(A) is None
