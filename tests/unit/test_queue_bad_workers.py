"""What workers may say that no queue should stumble over: through all of its parts."""

import asyncio
import random

import pytest
from msgspec import Raw

from jabot.protocol import limits
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Heartbeat,
    Hello,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.options import Lane
from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Finish
from unit.clock import turns
from unit.queue_house import APP, BOT, BOT_TOO, OTHER


async def test_a_result_that_is_too_large(house):
    await house.working("j1")
    await house.tell(BOT, Succeeded("j1", 1, Raw(b'"' + b"x" * limits.PAYLOAD + b'"')))
    (failed,) = house.heard(APP)
    assert (failed.type, failed.code) == ("TooLarge", "too_large")
    assert "the result cannot be kept: 16.0 MiB as JSON" in failed.message
    assert house.answers(BOT)[-1] == ""


async def test_a_result_that_the_store_can_never_keep_fails_the_job(house, monkeypatch):
    await house.working("j1")
    apply = house.shelf._store.apply

    async def picky(verbs):
        if any(type(verb) is Finish and verb.event == "succeed" for verb in verbs):
            raise ValueError("not this")
        return await apply(verbs)

    monkeypatch.setattr(house.shelf._store, "apply", picky)
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"1")))
    (failed,) = house.heard(APP)
    assert failed.message == "its outcome cannot be kept: not this"
    assert house.answers(BOT)[-1] == ""


async def test_an_outcome_that_cannot_be_read_is_committed_before_it_is_answered(house):
    await house.working("j1")
    house.shelf.stuck = asyncio.Event()
    await house.say_raw(BOT, ["succeeded", "j1", "first"])
    assert house.answers(BOT) == []
    house.shelf.stuck.set()
    await turns()
    assert house.answers(BOT) == [""]
    (failed,) = house.heard(APP)
    assert failed.message.startswith("unreadable: ")


@pytest.mark.parametrize(
    "frame",
    [
        Succeeded("j1", 1, Raw(b"5")),
        Failed("j1", 1, "ValueError", "no"),
        Cancelled("j1", 1),
        Rejected("j1", 1, "bad_arguments", "no"),
        Rejected("j1", 0, "protocol", "no"),
    ],
)
async def test_nobody_ends_what_another_has(house, frame):
    await house.working("j1")
    await house.work(BOT_TOO)
    await house.tell(BOT_TOO, frame)
    assert (await house.record("j1")).state is JobState.RUNNING
    assert house.heard(APP) == []


@pytest.mark.parametrize("attempt", [2, 7])
async def test_an_attempt_that_never_was_ends_nothing(house, attempt):
    await house.working("j1")
    await house.tell(BOT, Succeeded("j1", attempt, Raw(b"5")))
    assert (await house.record("j1")).state is JobState.RUNNING


async def test_who_may_not_work_here_ends_nothing_and_is_told_nothing(house):
    await house.working("j1")
    held = house.serving.crew.held("j1")
    await house.tell(OTHER, Heartbeat([("j1", 1)]), Succeeded("j1", 1), State("j1", 1, "unknown"))
    await house.tell(OTHER, Hello([("j1", 1)], 4, Raw(b'{"lift":{}}')))
    assert [frame.code for frame in house.heard(OTHER)] == ["not_allowed"]
    assert house.serving.crew.held("j1") is held
    assert house.serving.crew.get(OTHER) is None


async def test_hello_with_attempts_that_are_not_its_own(house):
    await house.working("j1")
    await house.work(BOT_TOO, held=[("j1", 1), ("j9", 4)])
    assert {frame.id for frame in house.heard(BOT_TOO, Cancel)} == {"j1", "j9"}
    assert house.serving.crew.held("j1").worker == BOT
    assert (await house.record("j1")).worker == BOT


async def test_a_heartbeat_for_what_is_not_its_own_is_answered_with_a_stop(house):
    await house.working("j1")
    await house.work(BOT_TOO)
    await house.tell(BOT_TOO, Heartbeat([("j1", 1)]))
    assert [frame.id for frame in house.heard(BOT_TOO, Cancel)] == ["j1"]
    assert house.heard(BOT, Cancel) == []


async def test_a_heartbeat_before_the_store_has_answered_its_hello_stops_nothing(house):
    """After a restart of the queue, whose store is slow."""
    await house.working("j1")
    held = house.serving.crew.held("j1")
    house.serving.crew.let_go(held)  # as after a restart
    house.shelf.stuck = asyncio.Event()
    await house.work(held=[("j1", 1)])
    await house.tell(BOT, Heartbeat([("j1", 1)]))
    house.shelf.stuck.set()
    await turns()
    assert house.heard(BOT, Cancel) == []
    assert house.serving.crew.held("j1").acked
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.heard(APP) == [Succeeded("j1", 1, Raw(b"5"))]


async def test_a_job_that_takes_longer_than_a_lease_to_be_sent(house, clock):
    await house.work()
    house.takes_nothing.add(BOT)
    noise = random.Random(1).randbytes(700_000).hex().encode()
    await house.submit("j1", args=Raw(b'["' + noise + b'"]'))
    assert house.heard(BOT) == []  # it has eight parts of it, and answers none
    for _ in range(6):
        await clock.advance(4)
        await house.tell(BOT, Heartbeat([]))
    house.takes_nothing.clear()
    assert [frame.attempt for frame in await house.settled(BOT)] == [1]
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.heard(APP, Succeeded) == [Succeeded("j1", 1, Raw(b"5"))]


async def test_a_worker_that_claims_more_slots_than_anybody_has(house):
    for number in range(30):
        await house.submit(f"j{number}")
    await house.work(slots=2**52)
    assert len(house.heard(BOT, Submit)) == 30
    assert house.serving.crew.get(BOT).slots <= 100_000


async def test_tasks_that_cannot_be_read(house):
    await house.tell(BOT, Hello([], 4, Raw(b'{"lift":{"priority":"high"}}')))
    (frame,) = house.heard(BOT)
    assert (frame.id, frame.code) == ("hello", "bad_arguments")
    await house.submit("j1")
    assert house.heard(BOT) == []


async def test_a_worker_that_has_not_the_task_gets_no_more_of_it(house):
    await house.working("j1")
    await house.tell(BOT, Rejected("j1", 1, "unknown_task", "there is no task lift here"))
    assert house.heard(BOT) == []
    record = await house.record("j1")
    assert (record.state, record.runs) == (JobState.AVAILABLE, 0)


async def test_a_worker_that_takes_nothing_gets_nothing_before_it_says_hello(house):
    await house.working("j1")
    await house.tell(BOT, Rejected("j1", 1, "draining", "I am stopping"))
    assert house.heard(BOT) == []
    await house.work()
    assert [frame.attempt for frame in house.heard(BOT, Submit)] == [2]


async def unanswered(house, peer):
    """The id of the one batch that a peer has not answered."""
    house.takes_nothing.add(peer)
    house.heard(peer)
    ((_, batch),) = house._unanswered
    house._unanswered.clear()
    return batch


async def test_a_worker_that_refuses_what_it_is_sent_gets_no_more(house):
    await house.work()
    house.heard(BOT)
    await house.submit("j1")
    house.answer(BOT, await unanswered(house, BOT), "bad-request")
    await turns()
    record = await house.record("j1")
    assert (record.state, record.runs) == (JobState.AVAILABLE, 0)
    await house.submit("j2")
    assert house.heard(BOT) == []
    await house.work()
    assert {frame.id for frame in house.heard(BOT, Submit)} == {"j1", "j2"}


async def test_a_batch_that_comes_back_releases_only_what_its_worker_has_not(house, clock):
    await house.work()
    house.heard(BOT)
    await house.submit("j1")
    batch = await unanswered(house, BOT)
    await house.tell(BOT, Heartbeat([("j1", 1)]))  # it came before that
    house.answer(BOT, batch, "service-unavailable")
    await turns()
    assert (await house.record("j1")).state is JobState.RUNNING
    await clock.advance(2)
    assert [attempt.outcome for attempt in (await house.record("j1")).history] == ["lost"]


async def test_the_next_of_a_rate_is_begun_when_its_time_has_come(house, clock):
    await house.work()
    for job in ("j1", "j2", "j3"):
        await house.submit(job, lane=Lane("slow", rate=0.5))
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j1"]
    await clock.advance(1.9)
    assert house.heard(BOT) == []
    await clock.advance(0.2)
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j2"]
    await clock.advance(2.1)
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j3"]


async def test_a_worker_that_was_silent_and_speaks_is_given_jobs_again(house, clock):
    await house.work()
    house.serving.crew.get(BOT).silent = True
    await house.submit("j1")
    assert house.heard(BOT) == []
    await house.tell(BOT, Heartbeat([]))
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j1"]


@pytest.mark.parametrize(
    "state", [State("j1", 1, "running"), State("j1", 2, "unknown"), State("j2", 1, "unknown")]
)
async def test_only_that_it_does_not_know_the_attempt_loses_it(house, state):
    await house.working("j1")
    await house.tell(BOT, state)
    assert (await house.record("j1")).state is JobState.RUNNING
    assert house.serving.crew.held("j1").attempt == 1
