"""The worker's end, one step at a time."""

from dataclasses import replace

import pytest
from msgspec import Raw

from jabot.errors import BadArguments, Draining
from jabot.protocol import Worker, WorkerSettings, limits
from jabot.protocol.codec import Damaged
from jabot.protocol.events import CancelJob, Report, StartJob
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Heartbeat,
    Hello,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.worker_store import Bounds

C, D = "c@x/1", "c@x/2"
ME, OTHER = "c@x", "m@x"
KEY = (ME, "j")
RESULT = Succeeded("j", 1, Raw(b"7"))


def kept(jobs, size=10**9):
    """The bounds of one account, and none for all together."""
    return Bounds(jobs, size, 10**9, 10**9)


@pytest.fixture
def worker(sent):
    return Worker(sent, WorkerSettings(retention=60.0))


def start(worker, *frames, peer=C, now=0.0):
    return worker.received(peer, ME, frames or [Submit("j", "t")], now)


def test_a_job_is_started_once(worker, sent):
    (event,) = start(worker)
    assert event == StartJob(KEY, C, Submit("j", "t"))
    assert start(worker) == []
    assert sent.take() == [(C, State("j", 1, "available"))]
    worker.started(KEY, 0.0)
    worker.progressed(KEY, 0.0, done=1)
    assert sent.take() == [(C, Progress("j", 1, 1, 1))]
    assert start(worker) == []
    assert sent.take() == [(C, State("j", 1, "running")), (C, Progress("j", 1, 1, 1))]
    worker.succeeded(KEY, Raw(b"7"), 1.0)
    assert sent.take() == [(C, RESULT)]
    assert start(worker) == []
    assert sent.take() == [(C, RESULT)]


def test_an_outcome_is_said_until_it_was_heard(worker, sent):
    start(worker)
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    worker.peer_gone(C)
    sent.clear()
    worker.peer_here(C)
    assert sent.take() == [(C, RESULT)]
    worker.reconnected(slots=8)
    assert sent.take() == [(C, RESULT), (C, Hello([], 8))]
    worker.answered(C, [RESULT], 0.0)
    worker.reconnected()
    assert sent.take() == []
    start(worker, Query("j"))
    assert sent.take() == [(C, RESULT)]


def test_an_outcome_is_kept_for_a_time(worker, sent):
    start(worker)
    worker.succeeded(KEY, Raw(b"7"), 10.0)
    assert worker.next_timer() == 70.0
    worker.answered(C, [RESULT], 50.0)
    assert worker.next_timer() == 110.0
    worker.tick(109.0)
    assert len(worker) == 1
    worker.tick(110.0)
    assert (len(worker), worker.next_timer()) == (0, None)
    start(worker, Query("j", 1))
    assert sent.take()[-1] == (C, State("j", 1, "unknown"))


def test_nothing_is_said_to_who_is_away(worker, sent):
    start(worker)
    worker.peer_gone(C)
    worker.progressed(KEY, 0.0, done=1)
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    assert sent.take() == []
    worker.peer_here(C)
    assert sent.take() == [(C, RESULT)]


def test_anybody_else_sees_and_changes_nothing(worker, sent):
    start(worker)
    assert worker.received("m@x/1", OTHER, [Query("j"), Cancel("j", 1)], 0.0) == []
    assert sent.take() == [("m@x/1", State("j", 0, "unknown")), ("m@x/1", Cancelled("j", 1))]
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    assert sent.take() == [(C, RESULT)]


def test_the_same_id_of_another_account_is_another_job(worker):
    start(worker)
    (event,) = worker.received("m@x/1", OTHER, [Submit("j", "t")], 0.0)
    assert event.key == (OTHER, "j")


def test_another_program_of_the_account_may_ask_and_hears_of_it(worker, sent):
    start(worker)
    start(worker, Query("j"), peer=D)
    sent.clear()
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    assert sorted(peer for peer, _ in sent.take()) == [C, D]


def test_an_address_that_passes_to_another_account_hears_nothing_more(worker, sent):
    start(worker)
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    worker.peer_gone(C)
    sent.clear()
    worker.received(C, OTHER, [], 0.0)
    assert sent.take() == []


def test_cancel(worker, sent):
    start(worker)
    assert start(worker, Cancel("j", 1, "why"), Cancel("j", 0)) == [CancelJob(KEY, "why")]
    assert start(worker, Query("j")) == []
    assert sent.take() == [(C, State("j", 1, "running"))]
    worker.cancelled(KEY, 0.0, "why")
    assert sent.take() == [(C, Cancelled("j", 1, "why"))]


def test_a_cancel_that_comes_first(worker, sent):
    assert start(worker, Cancel("j", 1)) == []
    assert start(worker) == []
    assert sent.take() == [(C, Cancelled("j", 1))] * 2


def test_a_refusal_is_remembered(worker, sent):
    start(worker)
    worker.reject(KEY, BadArguments("reps: no"), 0.0)
    assert start(worker) == []
    assert sent.take() == [(C, Rejected("j", 1, "bad_arguments", "reps: no"))] * 2


def test_a_refusal_is_for_one_attempt(worker, sent):
    start(worker)
    worker.reject(KEY, Draining("bye"), 0.0)
    assert start(worker) == []
    assert sent.take() == [(C, Rejected("j", 1, "draining", "bye"))] * 2
    assert len(start(worker, Submit("j", "t", attempt=2))) == 1


def test_a_worker_that_stops_rejects_and_knows_what_it_has(worker, sent):
    start(worker)
    worker.draining = True
    assert start(worker, Submit("j", "t"), Submit("k", "t")) == []
    assert [type(frame) for _, frame in sent.take()] == [State, Rejected]
    worker.draining = False
    assert start(worker, Submit("k", "t")) == []  # a late copy of what was refused
    assert sent.take()[0][1].code == "draining"
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    assert sent.take() == [(C, RESULT)]


def test_attempts(worker, sent):
    start(worker)
    assert start(worker, Submit("j", "t", attempt=2)) == []  # it runs: that is the second one now
    assert sent.take() == [(C, State("j", 2, "available"))]
    assert isinstance(start(worker)[0], Report)
    worker.failed(KEY, 0.0, kind="E", message="m")
    assert sent.take() == [(C, Failed("j", 2, "E", "m"))]
    start(worker, Query("j", 3))
    assert sent.take() == [(C, State("j", 3, "unknown"))]
    assert isinstance(start(worker, Submit("j", "t", attempt=3))[0], StartJob)
    worker.answered(C, [Failed("j", 2, "E", "m")], 0.0)  # late, and of the last attempt
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    assert sent.take() == [(C, Succeeded("j", 3, Raw(b"7")))]
    assert start(worker, Submit("j", "t", attempt=4)) == []
    assert sent.take() == [(C, Succeeded("j", 4, Raw(b"7")))]


def test_a_later_cancel_stops_a_later_submit(worker, sent):
    start(worker)
    worker.failed(KEY, 0.0, kind="E", message="m")
    sent.clear()
    assert start(worker, Cancel("j", 2), Submit("j", "t", attempt=2)) == []
    assert sent.take() == [(C, Cancelled("j", 2))] * 2


def test_one_account_has_only_so_many_jobs(sent):
    worker = Worker(sent, WorkerSettings(jobs_per_account=2))
    start(worker, *(Submit(f"{n}", "t") for n in range(3)))
    assert [frame.code for _, frame in sent.take()] == ["too_many_jobs"]
    assert len(worker.received("m@x/1", OTHER, [Submit("j", "t")], 0.0)) == 1
    worker.succeeded((ME, "0"), Raw(b"7"), 0.0)
    sent.clear()
    assert start(worker, Submit("3", "t")) == []  # nobody has that outcome yet
    worker.answered(C, [Succeeded("0", 1, Raw(b"7"))], 0.0)
    assert start(worker, Submit("3", "t")) == []
    assert len(start(worker, Submit("3", "t", attempt=2))) == 1


def test_the_next_job_of_a_queue_comes_before_the_answer_to_the_last_outcome(sent):
    """It keeps to the slots, and one is free as soon as its outcome is said."""
    worker = Worker(sent, WorkerSettings(jobs_per_account=2, jobs_per_queue=4))
    queue, other = ("jobs@x/1", "jobs@x"), ("jobs@x/2", "jobs@x")
    worker.attach(None, queue[0], Hello([], 2))
    assert len(worker.received(*queue, [Submit("0", "t"), Submit("1", "t")], 0.0)) == 2
    worker.succeeded((queue[1], "0"), Raw(b"7"), 0.0)
    sent.clear()
    assert [event.key for event in worker.received(*queue, [Submit("2", "t")], 0.0)] == [
        (queue[1], "2")
    ]
    assert sent.take() == []

    def refused(peer, job):
        assert worker.received(*peer, [Submit(job, "t")], 0.0) == []
        ((to, frame),) = sent.take()
        return to, frame.id, frame.code

    # Another node of it is not the one that we work with, and even that one has a bound.
    assert refused(other, "3") == (other[0], "3", "too_many_jobs")
    worker.received(*queue, [Submit("4", "t")], 0.0)
    assert refused(queue, "5") == (queue[0], "5", "too_many_jobs")
    worker.answered(queue[0], [Succeeded("0", 1, Raw(b"7"))], 0.0)
    worker.attach(queue[0], other[0], Hello([], 2))
    sent.clear()
    assert len(worker.received(*other, [Submit("6", "t")], 0.0)) == 1
    assert refused(queue, "7") == (queue[0], "7", "too_many_jobs")


def test_refusals_do_not_fill_the_memory(sent):
    worker = Worker(sent, WorkerSettings(jobs_per_account=1, kept=kept(10)))
    start(worker, *(Submit(f"{n}", "t") for n in range(1000)))
    start(worker, *(Cancel(f"c{n}", 1) for n in range(1000)))
    assert len(worker) == 11
    worker.tick(900.0)
    assert len(worker) == 1


def test_what_is_kept_is_bounded(sent):
    worker = Worker(sent, WorkerSettings(kept=kept(10, 3000), owed=kept(1000, 10_000)))
    for number in range(100):
        start(worker, Submit(f"{number}", "t"))
        worker.succeeded((ME, f"{number}"), Raw(b"7"), 0.0)
        worker.answered(C, [Succeeded(f"{number}", 1, Raw(b"7"))], 0.0)
    assert len(worker) == 10
    large = Raw(b'"' + b"x" * 2000 + b'"')
    for number in range(100, 200):
        start(worker, Submit(f"{number}", "t"))
        worker.succeeded((ME, f"{number}"), large, 0.0)
    assert len(worker) == 10 + 4


def test_the_usual_bounds_are_those_of_the_page(sent):
    worker = Worker(sent)
    for number in range(limits.KEPT + 5):
        start(worker, Submit(f"{number}", "t"))
        worker.succeeded((ME, f"{number}"), Raw(b"7"), 0.0)
        worker.answered(C, [Succeeded(f"{number}", 1, Raw(b"7"))], 0.0)
    assert len(worker) == limits.KEPT
    worker, large = Worker(sent), Raw(b'"' + b"x" * (8 * limits.MIB) + b'"')
    for number in range(20):
        start(worker, Submit(f"{number}", "t"))
        worker.succeeded((ME, f"{number}"), large, 0.0)
    assert len(worker) == 15  # with a sixteenth one it would be a little more than 128 MiB
    worker.answered(C, [Succeeded(f"{number}", 1, large) for number in range(20)], 0.0)
    assert len(worker) == 3


def test_an_account_pushes_out_only_its_own_outcomes(sent):
    """What is forgotten may run a second time."""
    worker = Worker(sent, WorkerSettings(kept=kept(10, 50_000), owed=kept(1000, 5000)))
    bob, eve = ("b@x/1", "b@x"), ("e@x/1", "e@x")
    for number in "01":
        worker.received(*bob, [Submit(number, "t")], 0.0)
        worker.succeeded((bob[1], number), Raw(b"7"), 0.0)
    worker.answered(bob[0], [Succeeded("0", 1, Raw(b"7"))], 0.0)  # that of "1" is owed
    worker.received(*eve, [Cancel(f"{number}", 1) for number in range(1000)], 0.0)
    for number in range(2000, 2100):
        worker.received(*eve, [Submit(f"{number}", "t")], 0.0)
        worker.succeeded((eve[1], f"{number}"), Raw(b'"' + b"x" * 500 + b'"'), 0.0)
    assert len(worker) == 2 + 10 + 7
    sent.clear()
    assert worker.received(*bob, [Submit("0", "t"), Submit("1", "t")], 0.0) == []
    assert [frame.result for _, frame in sent.take()] == [Raw(b"7")] * 2


@pytest.mark.parametrize("bound", [{"all_jobs": 30}, {"all_bytes": 30 * 200}])
def test_where_all_accounts_together_have_too_much_the_largest_one_loses(sent, bound):
    worker = Worker(sent, WorkerSettings(kept=replace(kept(20), **bound)))
    for number in range(20):
        worker.received("a@x/1", "a@x", [Cancel(f"{number}", 1)], 0.0)
    for account in range(20):
        worker.received(f"b{account}@x/1", f"b{account}@x", [Cancel("j", 1)], 0.0)
    assert len(worker) == 30
    sent.clear()
    for account in range(20):
        assert worker.received(f"b{account}@x/1", f"b{account}@x", [Submit("j", "t")], 0.0) == []
    assert {type(frame) for _, frame in sent.take()} == {Cancelled}
    events = worker.received("a@x/1", "a@x", [Submit("9", "t"), Submit("10", "t")], 0.0)
    assert [event.key[1] for event in events] == ["9"]


def test_listeners_are_bounded(sent):
    worker = Worker(sent, WorkerSettings(listeners=2))
    for number in range(5):
        start(worker, Query("j") if number else Submit("j", "t"), peer=f"c@x/{number}")
    sent.clear()
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    assert [peer for peer, _ in sent.take()] == ["c@x/3", "c@x/4"]


def test_an_unreadable_submit_is_rejected_and_an_unknown_frame_passed_over(worker, sent):
    (report,) = start(worker, Damaged("submit", "j", "no array"))
    assert "no array" in report.text
    (peer, frame) = sent.take()[0]
    assert (peer, frame.id, frame.attempt, frame.code) == (C, "j", 0, "protocol")
    assert isinstance(start(worker, Damaged("new", "", "x", known=False))[0], Report)
    start(worker)
    start(worker, Damaged("submit", "j", "no array"))
    assert sent.take() == []  # the job is there: this is no word about it


def test_results_that_cannot_be_sent_fail_the_job(worker, sent):
    start(worker)
    worker.succeeded(KEY, Raw(b'"' + b"x" * limits.PAYLOAD + b'"'), 0.0)
    frame = sent.take()[0][1]
    assert (frame.type, frame.code) == ("TooLarge", "too_large")


def test_long_texts_are_shortened(worker, sent):
    start(worker)
    worker.failed(KEY, 0.0, kind="E", message="m" * 10_000, traceback="a" * 99_999 + "z")
    frame = sent.take()[0][1]
    assert (len(frame.message), len(frame.traceback)) == (limits.TEXT, limits.TRACEBACK)
    assert frame.traceback.endswith("z")


def test_heartbeats(worker, sent):
    start(worker, Submit("j", "t", attempt=3))
    worker.heartbeat(C)
    assert sent.take() == [(C, Heartbeat([("j", 3)]))]


def test_what_the_runner_says_too_late_means_nothing(worker, sent):
    start(worker)
    worker.failed(KEY, 0.0, kind="E", message="")
    sent.clear()
    worker.progressed(KEY, 0.0, done=1)
    worker.succeeded(KEY, Raw(b"7"), 0.0)
    worker.succeeded((ME, "nobody's"), Raw(b"7"), 0.0)
    assert sent.take() == []


def test_many_questions_do_not_make_many_copies_of_a_large_outcome(worker, sent):
    start(worker)
    big = Raw(b'"' + b"x" * 20_000 + b'"')
    worker.succeeded(KEY, big, 0.0)
    for _ in range(50):
        worker.received(C, "c@x", [Query("j")], 1.0)
    ((to, told),) = sent.take()
    assert (to, told.result) == (C, big)
    worker.answered(C, [told], 1.0)
    worker.received(C, "c@x", [Query("j"), Query("j")], 2.0)
    assert len(sent.take()) == 1  # asked anew by somebody who has it


# -- a queue's node, which gives the same job again ----------------------------------------------


def test_an_attempt_after_a_stopped_one_begins_when_that_has_ended(worker, sent):
    start(worker)
    worker.started(KEY, 0.0)
    assert start(worker, Cancel("j", 1, "over")) == [CancelJob(KEY, "over")]
    again = Submit("j", "t", attempt=2)
    assert start(worker, again, again) == []
    sent.clear()
    worker.cancelled(KEY, 1.0, "over")
    assert worker.anew() == [StartJob(KEY, C, again)]
    assert sent.take() == []  # nobody wants to hear of the first one
    worker.succeeded(KEY, Raw(b"7"), 2.0)
    assert sent.take() == [(C, Succeeded("j", 2, Raw(b"7")))]


def test_one_that_comes_to_its_end_all_the_same_is_not_run_again(worker, sent):
    start(worker)
    start(worker, Cancel("j", 1), Submit("j", "t", attempt=2))
    worker.succeeded(KEY, Raw(b"7"), 1.0)
    assert worker.anew() == []
    assert sent.take()[-1] == (C, Succeeded("j", 2, Raw(b"7")))


def test_the_one_that_waits_can_be_called_off(worker, sent):
    start(worker)
    start(worker, Cancel("j", 1), Submit("j", "t", attempt=2))
    assert start(worker, Cancel("j", 2, "enough")) == []  # it is being stopped already
    worker.failed(KEY, 1.0, kind="E", message="")
    assert worker.anew() == []
    assert (sent.take()[-1][1].attempt, worker.anew()) == (2, [])


def test_one_that_waits_is_handed_back_by_a_worker_that_stops(worker, sent):
    start(worker)
    start(worker, Cancel("j", 1), Submit("j", "t", attempt=2))
    worker.draining = True
    worker.failed(KEY, 1.0, kind="E", message="")
    assert worker.anew() == []
    frame = sent.take()[-1][1]
    assert (frame.id, frame.attempt, frame.code) == ("j", 2, "draining")


def test_a_job_that_was_cancelled_may_be_given_again(worker, sent):
    start(worker, Cancel("j", 1))  # of an attempt that never came
    (event,) = start(worker, Submit("j", "t", attempt=2))
    assert event.submit.attempt == 2
    assert start(worker, Submit("j", "t")) == [Report(C, "attempt 1 of job j is over")]


def test_many_attempts_are_several_heartbeats(worker, sent):
    start(worker, *(Submit(f"j{n}", "t") for n in range(limits.HEARTBEAT)))
    worker.heartbeat(C)
    assert len(sent.take()) == 1
    start(worker, Submit("one more", "t"))
    worker.heartbeat(C)
    assert [len(frame.held) for _, frame in sent.take()] == [limits.HEARTBEAT, 1]
