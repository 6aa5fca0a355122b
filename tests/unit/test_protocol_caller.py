"""The caller's end, one step at a time."""

import pytest
from msgspec import Raw

from jabot.errors import (
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
from jabot.protocol import Caller, Leftover, Request, limits
from jabot.protocol.codec import Damaged
from jabot.protocol.events import JobAccepted, JobEnded, JobNeedsWorker, JobStepped, Report
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Hello,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.refusals import REFUSALS

W, X = "w@x/1", "w@x/2"
RESULT = Succeeded("j", 1, Raw(b"7"))
NOTHING = Leftover([], [])


@pytest.fixture
def caller(sent):
    return Caller(sent)


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


def test_a_worker_that_spoke_while_it_left_is_asked_again(caller, sent):
    """Its presence went before, or never came: nobody will tell that it has gone."""
    accepted(caller, sent)
    caller.connection_lost({})
    caller.reconnected(60.0)
    caller.answered(W, [frame for _, frame in sent.take()], 60.1)
    caller.received(W, [State("j", 1, "running")], 60.1)
    assert caller.next_timer() == 70.0
    assert caller.tick(70.0) == []
    assert sent.take() == [(W, Query("j", 1))]
    caller.bounced(W, [Query("j", 1)], 70.1)
    assert isinstance(error_of(caller.tick(70.6)), WorkerLost)


def test_a_worker_that_answers_after_its_farewell_is_asked_again(caller, sent):
    accepted(caller, sent)
    caller.peer_gone(W, NOTHING, 1.0)
    caller.answered(W, [Submit("j", "t")], 1.1)
    assert sent.take() == [(W, Query("j", 1))]
    caller.answered(W, [Query("j", 1)], 1.2)
    assert caller.tick(11.1) == []
    assert sent.take() == [(W, Query("j", 1))]
    caller.bounced(W, [Query("j", 1)], 11.2)
    assert isinstance(error_of(caller.tick(11.7)), WorkerLost)


def test_only_one_question_is_open_to_a_worker_that_does_not_show_itself(caller, sent):
    """It may be frozen, and its server wait for it: the link asks again by itself."""
    accepted(caller, sent)
    caller.submit(Request("k", "t"), 0.0, W)
    sent.clear()
    caller.connection_lost({})
    caller.reconnected(60.0)
    assert len(sent.take()) == 2
    caller.tick(70.0)
    assert sent.take() == []
    caller.answered(W, [Query("j", 1), Submit("k", "t")], 71.0)
    caller.tick(80.0)
    caller.tick(90.0)
    assert sent.take() == [(W, Query("j", 1))]
    caller.cancel("j", 91.0)
    caller.received(W, [Cancelled("j", 1)], 92.0)
    caller.tick(100.0)
    assert sent.take()[1:] == [(W, Query("k", 1))]


def test_a_question_that_is_not_of_interest_any_more_is_not_open(caller, sent):
    accepted(caller, sent, timeout=65.0)
    caller.submit(Request("k", "t"), 0.0, W)
    caller.answered(W, [Submit("k", "t")], 0.1)
    caller.connection_lost({})
    caller.reconnected(40.0)
    caller.answered(W, [frame for _, frame in sent.take()], 40.1)
    caller.tick(50.0)
    assert sent.take() == [(W, Query("j", 1))]
    caller.tick(65.0)
    caller.tick(75.0)
    assert sent.take()[1:] == [(W, Query("k", 1))]


def test_a_last_word_between_two_connections_leaves_no_timer_behind(caller, sent):
    accepted(caller, sent)
    caller.peer_gone(W, NOTHING, 1.0)
    caller.connection_lost({})
    caller.received(W, [RESULT], 2.0)
    caller.reconnected(3.0)
    assert caller.next_timer() is None


@pytest.mark.parametrize("moment", [63.0, 73.0])
def test_a_worker_that_shows_itself_is_asked_no_more(caller, sent, moment):
    accepted(caller, sent)
    caller.connection_lost({})
    caller.reconnected(60.0)
    caller.tick(moment)
    caller.peer_here(W, moment)
    sent.clear()
    assert caller.tick(100.0) == []
    assert (sent, caller.next_timer()) == ([], None)


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
