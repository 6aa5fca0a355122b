"""Jobs whose worker vanishes, or takes nothing for now: which one has them next."""

import pytest

from jabot.errors import Draining, JobTimeout, NobodyThere, TaskFailed, WorkerLost
from jabot.protocol.frames import Failed, Rejected
from jabot.tasks import Retry
from unit.calling import NODE, taken
from unit.clock import turns
from unit.linked import BOT, OTHER


async def test_a_worker_that_vanishes(caller, clock):
    job, _ = await taken(caller)
    caller.see(BOT, "unavailable")
    await clock.advance(0.4)
    assert job.status == "unknown"
    await clock.advance(0.2)
    with pytest.raises(WorkerLost):
        await job


async def test_a_job_moves_to_another_worker(caller, clock):
    job, _ = await taken(caller, retries=Retry(attempts=2, backoff=0))
    caller.see(OTHER, node=NODE)
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    ((peer, frame),) = await caller.offered()
    assert (peer, frame.attempt, frame.id) == (OTHER, 2, job.id)
    assert (job.peer, job.attempt) == (OTHER, 2)
    caller.see(OTHER, "unavailable")
    await clock.advance(0.6)
    with pytest.raises(WorkerLost):
        await job


async def test_one_that_has_failed_it_is_asked_again_when_there_is_no_other(caller, clock):
    job, _ = await taken(caller, retries=Retry(attempts=2, backoff=0))
    caller.say(BOT, Failed(job.id, 1, "E", ""))
    await clock.advance(0.9)
    assert await caller.offered() == []
    await clock.advance(0.2)
    ((peer, frame),) = await caller.offered()
    assert (peer, frame.attempt) == (BOT, 2)
    caller.say(BOT, Failed(job.id, 2, "E", ""))
    with pytest.raises(TaskFailed):
        await job


async def test_a_job_that_is_handed_back_waits_a_minute_for_another_worker(caller, clock):
    job, _ = await taken(caller)
    caller.say(BOT, Rejected(job.id, 1, "draining", "bye"))
    caller.see(BOT, "unavailable")
    await clock.advance(59)
    assert job.status == "unknown"
    await clock.advance(2)
    with pytest.raises(Draining, match="bye"):
        await job


async def put_off(caller, peer):
    """The one batch that is under way comes back."""
    await turns()
    ((to, _, number),) = caller.batches()
    assert to == peer
    caller.answer(peer, number, "resource-constraint")


async def test_a_job_that_a_node_gave_back_goes_to_another_one_at_once(caller, clock):
    caller.see(BOT, node=NODE)
    submitting = caller.submit()
    await turns()
    caller.see(BOT, node=NODE)
    caller.see(OTHER, node=NODE | {"running": "1"})
    began = clock.now
    await put_off(caller, BOT)
    ((peer, submit),) = await caller.offered()
    assert (peer, submit.attempt, clock.now) == (OTHER, 2, began)
    await submitting
    await clock.advance(10)
    assert await caller.offered() == []  # it went to nobody else


async def test_a_job_that_its_only_node_gave_back_was_not_lost(caller, clock):
    """It may be given away again without a retry, for nothing ran."""
    submitting = caller.submit(to=BOT)
    await put_off(caller, BOT)
    caller.see(BOT, "unavailable")
    await clock.advance(1)
    with pytest.raises(NobodyThere, match="was not sent"):
        await submitting


async def test_a_job_that_a_node_gave_back_goes_there_again_when_no_other_will_do(caller, clock):
    submitting = caller.submit(to=BOT)
    await put_off(caller, BOT)
    await clock.advance(3.1)
    ((peer, submit),) = await caller.offered()
    assert (peer, submit.attempt) == (BOT, 1)
    await submitting


async def test_a_job_stays_doubtful_when_only_its_second_copy_came_back(caller, clock):
    submitting = caller.submit(to=BOT)
    await turns()
    caller.take()
    await clock.advance(30.1)  # no answer to the first one
    await put_off(caller, BOT)
    caller.see(BOT, "unavailable")
    await clock.advance(1)
    with pytest.raises(WorkerLost):
        await (await submitting)


async def test_what_was_waited_is_off_the_time_that_a_node_is_told(caller, clock):
    """The error speaks of the whole of it."""
    caller.drop()
    submitting = caller.submit(timeout=5)
    await clock.advance(2)
    caller.back()
    await turns()
    caller.see(BOT, node=NODE)
    ((_, frame),) = await caller.offered()
    assert frame.timeout == pytest.approx(3)
    job = await submitting
    await clock.advance(3.1)
    with pytest.raises(JobTimeout, match="after 5 s"):
        await job
