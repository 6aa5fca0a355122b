"""Attempts of jobs in a store: who may end one, and what a later one finds."""

from msgspec import Raw
from stores import BOOM, NODE, WORKER, json

from jabot.protocol.states import JobState
from jabot.queue.store.records import Failure
from jabot.queue.store.verbs import Adopt, Finish, Orphans


async def test_an_end_is_kept_once(queue):
    await queue.add("a")
    await queue.claim()
    first, second = await queue.do(
        Finish("a", 1, "succeed", 3.0, result=Raw(b"1")),
        Finish("a", 1, "fail", 3.0, failure=BOOM),
    )
    assert (first.stands, first.state) == (True, JobState.SUCCEEDED)
    assert (second.stands, second.state) == (False, JobState.SUCCEEDED)
    assert not (await queue.finish("a", result=Raw(b"2"))).stands
    job = await queue.look("a")
    assert (json(job.result), job.failure, job.ended, job.worker) == (1, None, 3.0, None)


async def test_a_stale_attempt_changes_nothing(queue):
    await queue.add("a")
    await queue.claim()
    await queue.finish("a", "retry", at=0.0, failure=BOOM)
    (job,) = await queue.claim(worker="bot@example.org/2")
    assert (job.attempt, job.runs) == (2, 2)
    for attempt in (0, 1, 3):
        stale = await queue.finish("a", attempt=attempt)
        assert (stale.stands, stale.state) == (False, JobState.RUNNING)
    assert not (await queue.finish("a", attempt=2, worker=WORKER)).stands
    assert (await queue.finish("a", attempt=2, worker="bot@example.org/2")).stands
    unknown = await queue.finish("zz")
    assert (unknown.stands, unknown.state) == (False, None)


async def test_an_end_by_a_node_that_has_it_no_more_changes_nothing(queue):
    await queue.add("a")
    await queue.claim()
    other = "queue@example.org/2"
    assert not (await queue.finish("a", "retry", node=other)).stands
    await queue.do(Adopt(other, WORKER, [("a", 1)], 0.0))
    assert not (await queue.finish("a", "retry", node=NODE)).stands
    assert (await queue.finish("a", "retry", node=other)).stands


async def test_a_retry_waits_for_its_moment(queue):
    await queue.add("a")
    await queue.claim(now=1.0)
    done = await queue.finish("a", "retry", at=7.0, now=2.0, failure=BOOM, outcome="timeout")
    assert (done.state, done.ready) == (JobState.RETRYABLE, [])
    assert await queue.claimed(now=9.0) == []
    moved = await queue.due(6.9)
    assert (moved.ready, moved.next) == ([], 7.0)
    moved = await queue.due(7.0)
    assert (moved.ready, moved.next) == (["lift"], None)
    (job,) = await queue.claim()
    (line,) = job.history
    assert (line.number, line.worker, line.started, line.ended) == (1, WORKER, 1.0, 2.0)
    assert (line.outcome, line.error) == ("timeout", "ValueError: boom")


async def test_a_retry_at_once_is_ready_at_once(queue):
    await queue.add("a")
    await queue.claim()
    done = await queue.finish("a", "retry", at=2.0, now=2.0)
    assert (done.state, done.ready) == (JobState.AVAILABLE, ["lift"])


async def test_a_released_attempt_does_not_count(queue):
    await queue.add("a")
    await queue.claim()
    done = await queue.finish("a", "release")
    assert (done.state, done.ready) == (JobState.AVAILABLE, ["lift"])
    (job,) = await queue.claim()
    assert (job.attempt, job.runs) == (2, 1)
    assert [line.outcome for line in job.history] == ["released"]


async def test_the_history_keeps_the_newest_twenty(queue):
    await queue.add("a")
    for number in range(1, 26):
        await queue.claim()
        await queue.finish("a", "retry", attempt=number, at=0.0)
    assert [line.number for line in (await queue.look("a")).history] == list(range(6, 26))


async def test_a_dead_letter_keeps_its_reason(queue):
    await queue.add("a")
    await queue.claim()
    failure = Failure("ValueError", "böse", "Traceback ...", "task")
    assert (await queue.finish("a", "fail", failure=failure)).state is JobState.FAILED
    job = await queue.look("a")
    assert (job.failure, job.result, [line.outcome for line in job.history]) == (
        failure,
        None,
        ["failed"],
    )


async def test_adopt_keeps_the_attempts_that_stand(queue):
    await queue.add(*"abcd")
    await queue.claim(3)
    await queue.claim(1, worker="bot@example.org/2")
    await queue.finish("b")
    held = [("a", 1), ("b", 1), ("c", 2), ("d", 1), ("zz", 1)]
    kept = await queue.do(Adopt("queue@example.org/2", WORKER, held, 5.0))
    assert [(job.id, job.attempt, job.node) for job in kept] == [("a", 1, "queue@example.org/2")]
    assert (await queue.look("a")).node == "queue@example.org/2"
    assert (await queue.look("c")).node == NODE


async def test_orphans_are_taken_over(queue):
    await queue.add(*"abc")
    await queue.claim(2)
    await queue.finish("a")
    mine = await queue.do(Orphans(NODE, 5.0, 1.0))
    assert [(job.id, job.worker, job.attempt) for job in mine] == [("b", WORKER, 1)]
