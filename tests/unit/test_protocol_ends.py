"""The caller's and the worker's end, one step at a time."""

from dataclasses import replace

import pytest
from msgspec import Raw

from jabot.errors import (
    BadArguments,
    Draining,
    JobCancelled,
    JobTimeout,
    LocalProtocolError,
    NobodyThere,
    NotAllowed,
    RemoteProtocolError,
    TaskFailed,
    TooLarge,
    UnknownJob,
    WorkerLost,
)
from jabot.protocol import (
    Caller,
    Leftover,
    Request,
    Worker,
    WorkerSettings,
    limits,
)
from jabot.protocol.codec import Damaged
from jabot.protocol.events import (
    CancelJob,
    JobAccepted,
    JobEnded,
    JobNeedsWorker,
    JobStepped,
    Report,
    StartJob,
)
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
from jabot.protocol.refusals import REFUSALS
from jabot.protocol.worker_store import Bounds

W, X, C, D = "w@x/1", "w@x/2", "c@x/1", "c@x/2"
ME, OTHER = "c@x", "m@x"
KEY = (ME, "j")
RESULT = Succeeded("j", 1, Raw(b"7"))
NOTHING = Leftover([], [])


def kept(jobs, size=10**9):
    """The bounds of one account, and none for all together."""
    return Bounds(jobs, size, 10**9, 10**9)


@pytest.fixture
def caller(sent):
    return Caller(sent)


@pytest.fixture
def worker(sent):
    return Worker(sent, WorkerSettings(retention=60.0))


def retry(times, delay=0.0):
    return lambda made, error: delay if made <= times else None


def offered(caller, peer=W, **options):
    caller.submit(Request("j", "t", **options), 0.0, peer)


def accepted(caller, sent, **options):
    offered(caller, **options)
    caller.answered(W, [frame for _, frame in sent.take()], 0.0)


def error_of(events):
    (ended,) = [event for event in events if isinstance(event, JobEnded)]
    assert ended.result is None
    return ended.error


# -- the caller ------------------------------------------------------------------------------------


def test_a_job_that_goes_well(caller, sent):
    offered(caller, args=Raw(b"[1]"), timeout=9.0, meta={"traceparent": "00"})
    assert sent.take() == [
        (W, Submit("j", "t", Raw(b"[1]"), Raw(b"{}"), 1, 9.0, {"traceparent": "00"}))
    ]
    assert caller.in_flight(W) == 1
    assert caller.answered(W, [Submit("j", "t")], 0.1) == [JobAccepted("j", W, 1)]
    steps = [Progress("j", 1, 1, 1.0, 3.0), Progress("j", 1, 3, 3.0, 3.0), Progress("j", 1, 2, 2.0)]
    assert caller.received(W, steps, 0.2) == [
        JobStepped("j", 1.0, 3.0, None),
        JobStepped("j", 3.0, 3.0, None),
    ]
    assert caller.received(W, [RESULT, RESULT], 0.3) == [JobEnded("j", Raw(b"7"))]
    assert caller.received(W, [RESULT, Failed("j", 1, "E", "")], 0.4) == []
    assert (len(caller), caller.next_timer(), caller.in_flight(W)) == (0, None, 0)


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_its_error(caller, code):
    offered(caller)
    error = error_of(caller.received(W, [Rejected("j", 1, code, "why")], 0.0))
    assert type(error) is REFUSALS[code]
    assert str(error) == "why"
    assert caller.answered(W, [Submit("j", "t")], 0.0) == []


def test_an_unknown_refusal_or_failure_is_understood_as_far_as_can_be(caller):
    offered(caller)
    error = error_of(caller.received(W, [Rejected("j", 1, "new", "why")], 0.0))
    assert isinstance(error, RemoteProtocolError)
    offered(caller)
    error = error_of(caller.received(W, [Failed("j", 1, "E", "m", "tb", "new")], 0.0))
    assert isinstance(error, TaskFailed)
    assert (str(error), error.type, error.message, error.traceback) == ("E: m", "E", "m", "tb")


@pytest.mark.parametrize("code", ["draining", "too_many_jobs"])
def test_a_busy_or_stopping_worker_is_passed_over(caller, sent, code):
    offered(caller, movable=True)
    refusal = Rejected("j", 1, code, "bye")
    (event,) = caller.received(W, [refusal], 0.0)
    assert (event.id, event.attempt, event.avoid) == ("j", 2, {W})
    assert type(event.error) is REFUSALS[code]
    sent.clear()
    caller.place("j", X, 1.0)
    assert sent.take() == [(X, Submit("j", "t", attempt=2))]
    assert not caller.wants(W, Submit("j", "t"))
    assert caller.wants(X, Submit("j", "t", attempt=2))
    assert isinstance(caller.received(W, [RESULT], 1.0)[0], Report)  # it is W's no more
    assert caller.received(X, [RESULT], 1.0)[0].peer == X  # nor is this word about the new offer
    result = Succeeded("j", 2, Raw(b"7"))
    # The outcome came before the answer to the submit: it says that the job was taken, too.
    assert caller.received(X, [result], 1.0) == [
        JobAccepted("j", X, 2),
        JobEnded("j", Raw(b"7")),
    ]


def test_a_refusal_is_no_run_for_the_policy(caller):
    runs = []
    offered(caller, movable=True, retry=lambda made, error: runs.append(made))
    caller.received(W, [Rejected("j", 1, "draining")], 0.0)
    caller.place("j", X, 0.0)
    caller.answered(X, [Submit("j", "t")], 0.0)  # an answer to the other offer
    assert error_of(caller.received(X, [Failed("j", 2, "E", "")], 0.0)[1:])
    assert runs == [1]


def test_nobody_is_there_for_a_waiting_job(caller):
    caller.submit(Request("j", "t"), 0.0)
    assert isinstance(error_of(caller.give_up("j", NobodyThere("x"))), NobodyThere)
    assert caller.give_up("j", NobodyThere("x")) == []


def test_a_vanished_worker_is_lost_after_the_grace(caller, sent):
    accepted(caller, sent)
    assert caller.peer_gone(W, NOTHING, 1.0) == []
    assert caller.next_timer() == 1.5
    assert caller.tick(1.4) == []
    assert isinstance(error_of(caller.tick(1.5)), WorkerLost)


def test_an_absence_is_over_with_the_last_job_of_who_is_away(caller, sent):
    accepted(caller, sent, timeout=0.2)
    caller.peer_gone(W, NOTHING, 0.0)
    assert isinstance(error_of(caller.tick(0.2)), JobTimeout)
    caller.bounced(W, [Cancel("j", 1)], 0.3)
    assert caller.next_timer() is None
    accepted(caller, sent)
    assert caller.tick(0.5) == []


def test_a_worker_that_comes_back_within_it_is_asked(caller, sent):
    accepted(caller, sent)
    caller.peer_gone(W, NOTHING, 1.0)
    assert caller.peer_here(W, 1.3) == []
    assert sent.take() == [(W, Query("j", 1))]
    assert caller.next_timer() is None
    assert caller.received(W, [State("j", 1, "running")], 1.4) == []
    assert caller.received(W, [RESULT], 2.0) == [JobEnded("j", Raw(b"7"))]


def test_a_retry_goes_elsewhere_with_the_next_attempt(caller, sent):
    accepted(caller, sent, retry=retry(1, 2.0))
    caller.peer_gone(W, NOTHING, 0.0)
    assert caller.tick(0.5) == []
    assert caller.next_timer() == 2.5
    (event,) = caller.tick(2.5)
    assert isinstance(event, JobNeedsWorker)
    assert (event.attempt, event.avoid) == (2, {W})
    caller.place("j", W, 3.0)  # though it may be the only one there is
    assert sent.take() == [(W, Submit("j", "t", attempt=2))]
    assert isinstance(caller.received(W, [RESULT], 3.1)[0], Report)
    failed = Failed("j", 2, "ValueError", "no")
    assert isinstance(error_of(caller.received(W, [failed], 3.2)), TaskFailed)


def test_a_policy_that_raises_is_no_retry(caller, sent):
    accepted(caller, sent, retry=lambda made, error: 1 / 0)
    report, ended = caller.received(W, [Failed("j", 1, "E", "")], 0.0)
    assert "ZeroDivisionError" in report.text
    assert isinstance(ended.error, TaskFailed)


def test_what_surely_never_arrived_moves_without_a_retry(caller, sent):
    offered(caller, movable=True)
    (event,) = caller.bounced(W, [Submit("j", "t")], 0.0)
    assert isinstance(event.error, NobodyThere)
    caller.place("j", X, 0.0)
    (event,) = caller.peer_gone(X, Leftover([], [Submit("j", "t", attempt=2)]), 0.0)
    assert event.avoid == {W, X}


def test_what_may_have_arrived_does_not(caller, sent):
    offered(caller, movable=True)
    caller.unanswered(W, [Submit("j", "t")])
    assert caller.bounced(W, [Submit("j", "t")], 1.0) == []
    assert isinstance(error_of(caller.tick(1.5)), WorkerLost)


def test_a_copy_that_is_still_on_its_way_may_arrive(caller, sent):
    offered(caller, movable=True)
    caller.bounced(W, [Query("other")], 0.0)  # somebody else's frames found nobody
    caller.peer_here(W, 0.1)
    assert sent.take() == [(W, Submit("j", "t"))] * 2
    assert caller.bounced(W, [Submit("j", "t")], 0.2) == []
    assert isinstance(error_of(caller.tick(0.7)), WorkerLost)


def test_what_was_sent_after_it_had_gone_comes_back_by_itself(caller):
    """However long the server takes to say so, within bounds: it surely never ran."""

    def ends(events):
        return [(event.id, type(event.error)) for event in events]

    caller.submit(Request("before", "t"), 0.0, W)
    caller.peer_gone(W, Leftover([Submit("before", "t")], []), 0.1)
    for job in ("back", "back later", "never back", "stopped"):
        caller.submit(Request(job, "t"), 0.2, W)
    assert caller.cancel("stopped", 0.3) == []
    assert ends(caller.tick(0.6)) == [("before", WorkerLost), ("stopped", JobCancelled)]
    for job, moment in (("back", 3.0), ("back later", 7.0)):
        assert caller.bounced(W, [Submit(job, "t")], moment) == []
        assert caller.next_timer() == moment
        assert ends(caller.tick(moment)) == [(job, NobodyThere)]
    assert caller.tick(10.5) == []
    assert caller.next_timer() == pytest.approx(10.6)
    assert ends(caller.tick(10.61)) == [("never back", WorkerLost)]
    assert caller.next_timer() is None


def test_what_was_sent_after_it_had_gone_goes_again_when_it_is_back(caller, sent):
    accepted(caller, sent)
    caller.peer_gone(W, NOTHING, 0.0)
    caller.submit(Request("k", "t"), 0.1, W)
    assert isinstance(error_of(caller.tick(0.5)), WorkerLost)
    sent.clear()
    assert caller.peer_here(W, 5.0) == []
    assert sent.take() == [(W, Submit("k", "t"))]
    assert caller.next_timer() is None
    # The first one may have arrived by now: it is no job that surely never ran.
    assert caller.bounced(W, [Submit("k", "t")], 6.0) == []
    assert isinstance(error_of(caller.tick(6.5)), WorkerLost)


def test_a_job_for_one_address_where_nobody_is(caller):
    offered(caller)
    assert caller.bounced(W, [Submit("j", "t")], 0.0) == []
    assert isinstance(error_of(caller.tick(0.5)), NobodyThere)


def test_a_cancel(caller, sent):
    accepted(caller, sent)
    assert caller.cancel("j", 1.0, "changed my mind") == []
    assert sent.take() == [(W, Cancel("j", 1, "changed my mind"))]
    assert caller.cancel("j", 1.1) == []
    error = error_of(caller.received(W, [Cancelled("j", 1)], 1.2))
    assert isinstance(error, JobCancelled)
    assert str(error) == "t j was cancelled: changed my mind"
    assert caller.cancel("j", 1.3) == []


def test_a_result_that_beats_the_cancel_counts(caller, sent):
    accepted(caller, sent)
    caller.cancel("j", 1.0)
    assert caller.received(W, [RESULT], 1.2) == [JobEnded("j", Raw(b"7"))]


def test_a_cancelled_job_is_not_retried(caller, sent):
    accepted(caller, sent, retry=retry(9))
    caller.cancel("j", 1.0)
    assert isinstance(error_of(caller.received(W, [Failed("j", 1, "E", "")], 1.0)), TaskFailed)


def test_a_timeout_tells_the_worker(caller, sent):
    accepted(caller, sent, timeout=5.0)
    assert caller.next_timer() == 5.0
    error = error_of(caller.tick(5.0))
    assert isinstance(error, JobTimeout)
    assert isinstance(error, TimeoutError)
    assert sent.take() == [(W, Cancel("j", 1, "its time is over"))]
    assert caller.received(W, [RESULT], 6.0) == []


def test_a_lost_connection_loses_nothing(caller, sent):
    accepted(caller, sent)
    caller.submit(Request("k", "t"), 0.0, W)
    caller.submit(Request("l", "t"), 0.0, W)
    caller.cancel("l", 0.0)
    sent.clear()
    caller.connection_lost({W: Leftover([Submit("k", "t")], [])})
    assert caller.next_timer() is None
    assert caller.reconnected(60.0) == []
    assert sent.take() == [(W, Query("j", 1)), (W, Submit("k", "t")), (W, Cancel("l", 1))]
    caller.bounced(W, [Query("j", 1)], 61.0)  # it may be reconnecting itself
    assert caller.next_timer() == 70.0
    caller.peer_here(W, 63.0)
    assert len(sent.take()) == 3
    lost = error_of(caller.received(W, [State("j", 1, "unknown")], 64.0))
    assert isinstance(lost, WorkerLost)


def test_without_a_connection_frames_are_not_piled_up(caller, sent):
    caller.connection_lost({})
    offered(caller)
    assert sent.take() == []
    caller.reconnected(1.0)
    assert sent.take() == [(W, Submit("j", "t"))]


@pytest.mark.parametrize(
    "frame",
    [
        RESULT,
        Failed("j", 1, "E", ""),
        Cancelled("j", 1),
        Rejected("j", 1, "not_allowed"),
        Progress("j", 1, 9),
        State("j", 1, "unknown"),
        Damaged("succeeded", "j", "x"),
    ],
)
def test_a_frame_from_whom_the_job_was_not_given_to_changes_nothing(caller, sent, frame):
    accepted(caller, sent)
    assert all(isinstance(event, Report) for event in caller.received(X, [frame], 0.0))
    assert caller.received(W, [RESULT], 0.0) == [JobEnded("j", Raw(b"7"))]


def test_an_unreadable_outcome_ends_the_job(caller, sent):
    accepted(caller, sent)
    error = error_of(caller.received(W, [Damaged("succeeded", "j", "too deep")], 0.0))
    assert isinstance(error, RemoteProtocolError)
    assert "too deep" in str(error)


def test_a_batch_that_is_refused_ends_what_was_in_it(caller):
    offered(caller)
    error = error_of(caller.refused(W, [Submit("j", "t")], NotAllowed("no"), 0.0))
    assert isinstance(error, NotAllowed)


def test_re_attaching(caller, sent):
    caller.attach("j", [W, X], 0.0)
    assert sent.take() == [(W, Query("j")), (X, Query("j"))]
    assert caller.received(W, [State("j", 0, "unknown")], 0.1) == []
    assert caller.received(X, [State("j", 2, "running")], 0.1) == [JobAccepted("j", X, 2)]
    assert caller.received(X, [State("j", 0, "unknown")], 0.1) == []  # an older answer
    result = Succeeded("j", 2, Raw(b"7"))
    assert caller.received(X, [result], 0.2) == [JobEnded("j", Raw(b"7"))]


def test_re_attaching_to_what_nobody_knows(caller):
    caller.attach("j", [W, X], 0.0)
    caller.received(W, [State("j", 0, "unknown")], 0.1)
    caller.peer_gone(X, NOTHING, 0.2)
    assert isinstance(error_of(caller.tick(0.7)), UnknownJob)


def test_hello_tells_what_a_worker_has_no_more(caller, sent):
    accepted(caller, sent)
    caller.received(W, [Hello([("j", 1)])], 0.0)
    assert sent.take() == []
    caller.received(W, [Hello([])], 0.0)
    assert sent.take() == [(W, Query("j", 1))]


@pytest.mark.parametrize(
    "request_",
    [
        Request("", "t"),
        Request("i" * 65, "t"),
        Request("j", ""),
        Request("j", "\ud800"),
        Request("j", "t", Raw(b'["\xff"]')),
        Request("j", "t", meta={"k": "v" * 2000}),
        Request("j", "t", meta={"k" * 65: "v"}),
        Request("j", "t", meta={str(n): "" for n in range(33)}),
    ],
)
def test_what_no_worker_would_take_is_not_sent(caller, sent, request_):
    with pytest.raises(LocalProtocolError):
        caller.submit(request_, 0.0, W)
    assert (len(caller), sent) == (0, [])


def test_too_large_or_too_deep_is_not_sent(caller):
    for args in (b'["' + b"x" * limits.PAYLOAD + b'"]', b"[" * 101 + b"]" * 101):
        with pytest.raises(TooLarge):
            caller.submit(Request("j", "t", Raw(args)), 0.0, W)


def test_an_id_is_used_once(caller):
    offered(caller)
    for again in (lambda: offered(caller), lambda: caller.attach("j", [W], 0.0)):
        with pytest.raises(LocalProtocolError, match="under way"):
            again()
    with pytest.raises(LocalProtocolError, match="waits for no worker"):
        caller.place("j", W, 0.0)


# -- the worker ------------------------------------------------------------------------------------


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
