"""The caller's end of a job that a queue has: one step at a time."""

import pytest
from msgspec import Raw

from jabot.errors import (
    BadArguments,
    Draining,
    JobCancelled,
    JobTimeout,
    LocalProtocolError,
    NobodyThere,
    TaskFailed,
    TooManyJobs,
    UnknownJob,
)
from jabot.protocol import Caller, Leftover, Request
from jabot.protocol.events import JobAccepted, JobEnded, JobNeedsWorker, JobStepped
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

Q, P, W = "queue@x/1", "queue@x/2", "other@x/1"
QUEUE = "queue@x"
OPTIONS = {"options": Raw(b'{"key":"k"}'), "for_queue": Raw(b'{"key":"k","retry":{"attempts":3}}')}
NOTHING = Leftover([], [])


@pytest.fixture
def caller(sent):
    return Caller(sent)


def retry_never_asked(runs, error):
    raise AssertionError("a queue decides about retries")


def offered(caller, peer=Q, movable=True, **given):
    given = OPTIONS | {"retry": retry_never_asked} | given
    caller.submit(Request("j", "t", movable=movable, **given), 0.0)
    caller.place("j", peer, 0.0, durable=True)


def accepted(caller, sent, **given):
    offered(caller, **given)
    caller.answered(Q, [frame for _, frame in sent.take()], 0.0)


def lose(caller, peer=Q, now=1.0, leftover=NOTHING):
    """Its presence goes, and the grace is over."""
    return caller.peer_gone(peer, leftover, now) + caller.tick(now + 0.5)


def needs(events):
    (event,) = [event for event in events if isinstance(event, JobNeedsWorker)]
    return event


def end_of(events):
    (event,) = [event for event in events if isinstance(event, JobEnded)]
    return event


def result_of(events):
    return bytes(end_of(events).result)


def test_what_a_queue_is_told_and_a_plain_worker_is_not(caller, sent):
    offered(caller)
    ((peer, frame),) = sent.take()
    assert (peer, frame.attempt, frame.options) == (Q, 1, OPTIONS["for_queue"])
    caller.submit(Request("plain", "t", **OPTIONS), 0.0, W)
    ((_, frame),) = sent.take()
    assert frame.options == OPTIONS["options"]


def test_what_was_accepted_is_asked_for_at_another_node(caller, sent):
    accepted(caller, sent)
    event = needs(lose(caller))
    assert (event.id, event.queue, event.kept, event.since) == ("j", QUEUE, True, 1.5)
    assert isinstance(event.error, NobodyThere)
    assert event.avoid == {Q}
    caller.place("j", P, 2.0, durable=True)
    assert sent.take() == [(P, Query("j", 1))]
    assert caller.received(P, [State("j", 2, "running")], 2.1) == []
    assert result_of(caller.received(P, [Succeeded("j", 2, Raw(b"7"))], 3.0)) == b"7"
    assert (len(caller), caller.next_timer(), caller.in_flight(P)) == (0, None, 0)


def test_what_was_never_accepted_is_offered_again(caller, sent):
    offered(caller)
    sent.take()
    event = needs(lose(caller))
    assert (event.queue, event.kept, event.since) == (QUEUE, False, 1.5)
    caller.place("j", P, 2.0, durable=True)
    ((peer, frame),) = sent.take()
    assert (peer, frame.id, frame.attempt) == (P, "j", 1)
    assert caller.answered(P, [frame], 2.1) == [JobAccepted("j", P, 1)]
    assert needs(lose(caller, P, 3.0)).since == 3.5  # it had one in between


def test_what_the_queue_does_not_know_any_more_is_offered_again(caller, sent):
    accepted(caller, sent)
    caller.connection_lost({})
    assert caller.reconnected(1.0) == []
    assert sent.take() == [(Q, Query("j", 1))]
    assert caller.received(Q, [State("j", 1, "unknown")], 1.1) == []
    ((peer, frame),) = sent.take()
    assert (peer, type(frame), frame.options) == (Q, Submit, OPTIONS["for_queue"])
    assert caller.received(Q, [State("j", 1, "unknown")], 1.2) == []  # a late copy
    assert sent.take() == []
    assert caller.answered(Q, [frame], 1.3) == [JobAccepted("j", Q, 1)]


def test_a_node_that_spoke_while_it_left_is_asked_again_and_then_another(caller, sent):
    accepted(caller, sent)
    caller.connection_lost({})
    caller.reconnected(1.0)
    caller.answered(Q, [frame for _, frame in sent.take()], 1.1)
    assert caller.tick(11.0) == []
    assert sent.take() == [(Q, Query("j", 1))]
    caller.bounced(Q, [Query("j", 1)], 11.1)
    assert needs(caller.tick(11.6)).kept
    caller.place("j", P, 12.0, durable=True)
    assert sent.take() == [(P, Query("j", 1))]


def test_what_is_unknown_after_a_lost_offer_is_offered_again(caller, sent):
    offered(caller)
    ((_, submit),) = sent.take()
    lose(caller, leftover=Leftover([submit], []))
    caller.place("j", P, 2.0, durable=True)
    ((_, submit),) = sent.take()
    caller.answered(P, [submit], 2.1)
    caller.received(P, [State("j", 1, "unknown")], 2.2)
    assert [type(frame) for _, frame in sent.take()] == [Submit]


def test_a_queue_may_say_unknown_without_an_attempt(caller, sent):
    accepted(caller, sent)
    caller.received(Q, [State("j", 0, "unknown")], 1.0)
    ((_, frame),) = sent.take()
    assert type(frame) is Submit


def test_nothing_is_too_late_from_any_node_of_the_queue(caller, sent):
    accepted(caller, sent)
    assert caller.received(Q, [Progress("j", 2, 1, 1.0)], 0.5) == [JobStepped("j", 1.0, None, None)]
    lose(caller)
    caller.place("j", P, 2.0, durable=True)
    assert caller.received(Q, [Progress("j", 1, 9, 9.0)], 2.1) == []  # of an earlier attempt
    assert caller.received(P, [Progress("j", 2, 1, 1.0)], 2.1) == []  # told already
    step = JobStepped("j", 2.0, None, None)
    assert caller.received("queue@x/3", [Progress("j", 2, 2, 2.0)], 2.2) == [step]
    caller.received(W, [Succeeded("j", 2)], 2.3)
    assert len(caller) == 1
    assert result_of(caller.received(Q, [Succeeded("j", 1, Raw(b"1"))], 2.4)) == b"1"


def test_what_a_node_said_before_it_went_does_not_give_it_the_job_again(caller, sent):
    offered(caller)
    lose(caller)
    caller.place("j", P, 2.0, durable=True)
    ((_, _), (_, frame)) = sent.take()
    step = JobStepped("j", 1.0, None, None)
    assert caller.received(Q, [Progress("j", 1, 1, 1.0)], 2.1) == [step]
    assert (caller.in_flight(Q), caller.in_flight(P)) == (0, 1)
    assert caller.answered(P, [frame], 2.2) == [JobAccepted("j", P, 1)]


def test_the_outcome_may_come_while_a_node_is_looked_for(caller, sent):
    accepted(caller, sent)
    lose(caller)
    assert result_of(caller.received(P, [Succeeded("j", 1, Raw(b"1"))], 2.0)) == b"1"
    assert (len(caller), caller.next_timer()) == (0, None)


def test_what_one_node_said_late_is_not_said_of_the_offer_to_another(caller, sent):
    offered(caller)
    lose(caller)
    caller.place("j", P, 2.0, durable=True)
    late = [Rejected("j", 1, "draining"), State("j", 1, "unknown"), State("j", 1, "running")]
    assert caller.received(Q, late, 2.1) == []
    caller.refused(Q, [Submit("j", "t")], BadArguments("no"), 2.2)
    assert len(caller) == 1


def test_a_failure_is_the_queues_last_word(caller, sent):
    accepted(caller, sent)
    error = end_of(caller.received(Q, [Failed("j", 3, "E", "m")], 1.0)).error
    assert isinstance(error, TaskFailed)


@pytest.mark.parametrize(
    ("code", "kind"), [("bad_arguments", BadArguments), ("draining", Draining)]
)
def test_a_refusal(caller, sent, code, kind):
    offered(caller)
    events = caller.received(Q, [Rejected("j", 1, code)], 0.1)
    if code == "bad_arguments":
        assert isinstance(end_of(events).error, kind)
        return
    event = needs(events)
    assert (event.queue, event.avoid, event.since) == ("", {Q}, 0.1)  # it surely has it not
    caller.place("j", P, 5.0, durable=True)
    events = caller.received(P, [Rejected("j", 1, code)], 5.1)
    assert (needs(events).avoid, needs(events).since) == ({Q, P}, 0.1)
    assert isinstance(end_of(caller.give_up("j", needs(events).error)).error, kind)


def test_a_batch_that_finds_nobody_moves_the_job(caller, sent):
    offered(caller)
    ((_, frame),) = sent.take()
    event = needs(caller.bounced(Q, [frame], 0.1))
    assert (event.queue, event.avoid) == ("", {Q})
    caller.place("j", P, 0.2, durable=True)
    assert [peer for peer, _ in sent.take()] == [P]


def test_one_that_takes_nothing_now_may_have_it_and_another_is_looked_for(caller, sent):
    offered(caller)
    ((_, frame),) = sent.take()
    event = needs(caller.put_off(Q, [frame], 0.1))
    assert (event.queue, event.kept) == (QUEUE, False)
    assert not caller.wants(Q, frame)


def test_a_job_in_a_queue_goes_to_no_plain_worker(caller, sent):
    accepted(caller, sent)
    lose(caller)
    with pytest.raises(LocalProtocolError, match="may be in the queue queue@x"):
        caller.place("j", "queue@x/worker", 2.0)


def test_a_job_for_one_node_of_a_queue_goes_to_any_other_once_it_may_be_there(caller, sent):
    accepted(caller, sent, movable=False)
    assert needs(lose(caller)).queue == QUEUE
    caller.place("j", P, 2.0, durable=True)
    assert needs(lose(caller, P, 3.0)).queue == QUEUE


def test_one_that_is_not_there_at_all(caller, sent):
    offered(caller, movable=False)
    ((_, frame),) = sent.take()
    assert caller.bounced(Q, [frame], 0.1) == []
    assert isinstance(end_of(caller.tick(1.0)).error, NobodyThere)


def test_giving_up_says_that_it_may_run(caller, sent):
    offered(caller)
    event = needs(lose(caller))
    error = end_of(caller.give_up("j", event.error)).error
    assert isinstance(error, NobodyThere)
    assert "it may run all the same" in str(error)
    assert caller.next_timer() is None


def test_its_time_is_over_while_a_node_is_looked_for(caller, sent):
    accepted(caller, sent, timeout=5.0)
    lose(caller)
    assert isinstance(end_of(caller.tick(5.0)).error, JobTimeout)


def test_a_cancel_waits_for_a_node_of_the_queue(caller, sent):
    accepted(caller, sent)
    lose(caller)
    assert caller.cancel("j", 2.0, "enough") == []
    assert len(caller) == 1
    caller.place("j", P, 3.0, durable=True)
    assert sent.take() == [(P, Cancel("j", 2, "enough"))]
    error = end_of(caller.received(P, [Cancelled("j", 1)], 3.1)).error
    assert isinstance(error, JobCancelled)


def test_a_cancel_of_what_no_queue_has_is_at_once(caller, sent):
    offered(caller)
    caller.received(Q, [Rejected("j", 1, "draining")], 0.1)
    assert isinstance(end_of(caller.cancel("j", 0.2)).error, JobCancelled)


def test_a_cancel_outlives_the_node_that_was_told(caller, sent):
    accepted(caller, sent)
    caller.cancel("j", 0.5, "enough")
    sent.take()
    event = needs(lose(caller))
    assert (event.queue, event.kept) == (QUEUE, True)
    caller.place("j", P, 2.0, durable=True)
    assert sent.take() == [(P, Cancel("j", 3, "enough"))]
    assert result_of(caller.received(P, [Succeeded("j", 1, Raw(b"1"))], 2.1)) == b"1"


def test_a_cancel_of_an_offer_that_one_node_is_too_late_for(caller, sent):
    offered(caller)
    lose(caller)
    caller.place("j", P, 2.0, durable=True)
    caller.cancel("j", 2.0)
    assert (
        caller.received(P, [Rejected("j", 1, "draining")], 2.1) == []
    )  # the first one may have it
    assert isinstance(
        end_of(caller.received(P, [State("j", 2, "unknown")], 2.2)).error, JobCancelled
    )


def test_a_second_time_out_of_the_line_loses_nothing(caller, sent):
    accepted(caller, sent)
    for begin in (10.0, 30.0):
        caller.connection_lost({})
        caller.reconnected(begin)
        assert sent.take() == [(Q if begin == 10.0 else P, Query("j", 1))]
        event = needs(lose(caller, Q if begin == 10.0 else P, begin + 10.0))
        assert event.kept
        caller.place("j", P, begin + 12.0, durable=True)
        sent.take()


def test_re_attaching(caller, sent):
    caller.attach("j", [Q, P], 0.0, durable=True)
    assert sent.take() == [(Q, Query("j")), (P, Query("j"))]
    assert lose(caller, Q, 1.0) == []
    event = needs(lose(caller, P, 2.0))
    assert (event.queue, event.kept) == (QUEUE, False)
    caller.place("j", P, 3.0, durable=True)
    assert sent.take() == [(P, Query("j"))]
    assert caller.received(P, [State("j", 1, "running")], 3.1) == [JobAccepted("j", P, 1)]
    assert needs(lose(caller, P, 4.0)).kept
    caller.place("j", Q, 5.0, durable=True)
    assert sent.take() == [(Q, Query("j", 1))]
    error = end_of(caller.received(Q, [State("j", 1, "unknown")], 5.1)).error
    assert isinstance(error, UnknownJob)


def test_re_attaching_to_what_nobody_knows(caller, sent):
    caller.attach("j", [Q], 0.0, durable=True)
    assert isinstance(end_of(caller.received(Q, [State("j", 0, "unknown")], 0.1)).error, UnknownJob)


def test_a_cancel_that_came_before_the_submit_goes_again(caller, sent):
    offered(caller)
    ((_, submit),) = sent.take()
    caller.cancel("j", 0.1)
    ((_, first),) = sent.take()
    assert caller.received(Q, [State("j", first.attempt, "unknown")], 0.2) == []
    assert caller.answered(Q, [submit], 0.3) == []
    ((_, second),) = sent.take()
    assert second.attempt > first.attempt
    assert caller.received(Q, [State("j", first.attempt, "unknown")], 0.4) == []  # late
    error = end_of(caller.received(Q, [State("j", second.attempt, "unknown")], 0.5)).error
    assert isinstance(error, JobCancelled)


@pytest.mark.parametrize("how", ["bounced", "put_off"])
def test_a_cancel_goes_again_when_the_submit_came_back(caller, sent, how):
    offered(caller)
    ((_, submit),) = sent.take()
    caller.cancel("j", 0.1)
    sent.take()
    assert getattr(caller, how)(Q, [submit], 0.2) == []
    assert [type(frame) for _, frame in sent.take()] == [Cancel]


def test_a_submit_without_an_answer_is_asked_for_when_it_is_known_to_have_arrived(caller, sent):
    offered(caller)
    ((_, submit),) = sent.take()
    caller.received(Q, [Progress("j", 1, 1)], 0.1)
    caller.unanswered(Q, [submit])
    assert sent.take() == [(Q, Query("j", 1))]
    assert not caller.wants(Q, submit)


def test_a_node_that_takes_its_word_back(caller, sent):
    accepted(caller, sent)
    event = needs(caller.received(Q, [Rejected("j", 1, "draining")], 1.0))
    assert (event.queue, event.kept) == (QUEUE, False)
    caller.place("j", P, 2.0, durable=True)
    assert [type(frame) for _, frame in sent.take()] == [Submit]


# -- what one of its nodes may not have told -------------------------------------------------------


def test_when_another_node_goes_it_asks_its_own(caller, sent):
    """That one may have ended the job, and died before it could say so."""
    accepted(caller, sent)
    caller.node_gone(P, 1.0)
    assert sent.take() == [(Q, Query("j", 1))]
    caller.node_gone("other@x/9", 1.0)
    caller.node_gone(Q, 1.0)  # of that, `peer_gone` tells
    assert sent.take() == []


def test_a_queue_that_is_in_doubt_is_asked(caller, sent):
    accepted(caller, sent)
    caller.received(P, [Hello([])], 1.0)
    assert sent.take() == [(Q, Query("j", 1))]
    caller.received(Q, [Hello([])], 1.0)
    assert sent.take() == [(Q, Query("j", 1))]
    caller.received(W, [Hello([])], 1.0)
    assert sent.take() == []


def test_nobody_is_asked_for_what_is_on_its_way_or_called_off(caller, sent):
    offered(caller)
    sent.take()
    caller.node_gone(P, 1.0)
    assert sent.take() == []
    caller.answered(Q, [Submit("j", "t")], 1.0)
    caller.cancel("j", 1.0)
    sent.take()
    caller.node_gone(P, 1.0)
    assert sent.take() == []


def test_too_many_jobs_are_too_many_at_each_node(caller, sent):
    offered(caller)
    refused = caller.received(Q, [Rejected("j", 1, "too_many_jobs", "1000 of yours")], 1.0)
    (ended,) = [event for event in refused if isinstance(event, JobEnded)]
    assert isinstance(ended.error, TooManyJobs)
    assert str(ended.error) == "1000 of yours"
