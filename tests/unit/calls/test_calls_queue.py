"""The caller's side with a queue: which node gets a job, what is told to it, who is waited for."""

import asyncio
import json

import pytest
from msgspec import Raw

from jabot.calls.options import options
from jabot.errors import ConfigError, JobTimeout, NobodyThere, QueueNeeded
from jabot.protocol.frames import Query, State, Submit, Succeeded
from jabot.tasks import Retry
from unit.calling import NODE, POOL
from unit.clock import turns
from unit.linked import BOT, OTHER

QUEUE = {"queue": "1", "running": "0", "slots": "4", "version": "v"}
THIRD = "bot@localhost/host-3"


async def submitted(caller, node=None, to=POOL, **given):
    submitting = caller.submit(to, **given)
    await turns()
    caller.see(BOT, node=node or QUEUE)
    return submitting


async def taken(caller, **given):
    """A job that the queue at BOT has."""
    submitting = await submitted(caller, **given)
    ((peer, frame),) = await caller.offered()
    assert peer == BOT
    return await submitting, frame


async def asked(caller):
    """The frames that were sent since the last call, and the batches are answered."""
    await turns()
    found = []
    for peer, frames, number in caller.batches():
        found += [(peer, frame) for frame in frames]
        caller.answer(peer, number)
    await turns()
    return found


async def test_a_queue_is_told_what_its_caller_leaves_to_it(caller):
    job, frame = await taken(caller, retries=2, where={"gpu": "a100"}, key="k")
    told = json.loads(bytes(frame.options))
    assert (told["key"], told["where"], told["retry"]["attempts"]) == ("k", {"gpu": ["a100"]}, 3)
    caller.say(BOT, Succeeded(job.id, 2, Raw(b"7")))
    assert await job == 7


async def test_a_plain_worker_is_not_told_what_its_caller_does_itself(caller):
    submitting = await submitted(caller, NODE | {"labels": "gpu=a100"}, where={"gpu": "a100"})
    ((_, frame),) = await caller.offered()
    assert bytes(frame.options) == b"null"
    await submitting


@pytest.mark.parametrize("to", [POOL, BOT])
async def test_a_plain_worker_is_not_asked_for_what_only_a_queue_can(caller, to):
    submitting = await submitted(caller, NODE, to, unique=True, rate="5/s")
    assert await caller.offered() == []
    with pytest.raises(QueueNeeded, match="lift was asked for with unique, concurrency or rate"):
        await submitting
    assert len(caller.calls) == 0


async def test_a_policy_that_cannot_travel(caller):
    submitting = await submitted(caller, retries=Retry(3, on=lambda error: True))
    with pytest.raises(ConfigError, match="which a queue cannot be told"):
        await submitting
    assert await caller.offered() == []


async def test_a_queue_goes_before_the_workers_of_its_account(caller, clock):
    submitting = caller.submit()
    await turns()
    caller.see(OTHER, node=NODE | {"running": "4"})
    caller.see(BOT, node=QUEUE | {"running": "40"})
    await clock.advance(0.2)
    assert [peer for peer, _ in await caller.offered()] == [BOT]
    await submitting


async def test_another_node_is_asked_when_one_vanishes(caller, clock):
    job, _ = await taken(caller)
    caller.see(OTHER, node=QUEUE)
    caller.see(THIRD, node=NODE)
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    assert await asked(caller) == [(OTHER, Query(job.id, 1))]
    caller.say(OTHER, State(job.id, 1, "unknown"))
    ((peer, frame),) = await asked(caller)
    assert (peer, type(frame), job.status) == (OTHER, Submit, "unknown")
    caller.say(OTHER, Succeeded(job.id, 1, Raw(b"7")))
    assert await job == 7


@pytest.mark.parametrize("to", [POOL, BOT])
async def test_what_was_accepted_is_waited_for_as_long_as_it_takes(caller, clock, to):
    caller.calls.directory.watch(to)
    caller.see(BOT, node=QUEUE)
    submitting = caller.submit(to)
    assert len([frame for _, frame in await asked(caller) if isinstance(frame, Submit)]) == 1
    job = await submitting
    caller.see(BOT, "unavailable")
    await clock.advance(3600)
    assert await asked(caller) == []
    assert job.status == "unknown"
    caller.see(OTHER, node=NODE)  # a worker of the same account
    await clock.advance(2)
    assert await asked(caller) == []
    caller.see(THIRD, node=QUEUE)
    await clock.advance(2)
    assert await asked(caller) == [(THIRD, Query(job.id, 1))]


async def test_its_time_limit_ends_the_wait(caller, clock):
    job, _ = await taken(caller, timeout=100)
    caller.see(BOT, "unavailable")
    await clock.advance(101)
    with pytest.raises(JobTimeout):
        await job
    assert len(caller.calls) == 0


async def test_what_was_never_accepted_is_waited_for_a_minute(caller, clock):
    submitting = await submitted(caller)
    await turns()
    assert len(caller.batches()) == 1  # which is not answered
    caller.see(BOT, "unavailable")
    await clock.advance(59)
    assert not submitting.done()
    await clock.advance(3)
    with pytest.raises(NobodyThere, match="it may run all the same"):
        await submitting


async def test_a_minute_is_a_minute_however_often_it_is_put_off(caller, clock):
    submitting = await submitted(caller)
    for _ in range(70):
        await turns()
        for peer, _, number in caller.batches():
            caller.answer(peer, number, "resource-constraint")
        await clock.advance(1)
    with pytest.raises(NobodyThere):
        await submitting


async def test_a_cancel_finds_the_next_node(caller, clock):
    job, _ = await taken(caller)
    caller.see(BOT, "unavailable")
    await clock.advance(1)
    job.cancel("enough")
    await clock.advance(300)
    assert job.status == "unknown"
    caller.see(OTHER, node=QUEUE)
    ((peer, frame),) = await asked(caller)
    assert (peer, frame.id, frame.reason) == (OTHER, job.id, "enough")


async def test_asking_by_id_outlives_the_node_that_was_asked(caller, clock):
    caller.calls.directory.watch(POOL)
    caller.see(BOT, node=QUEUE)
    attaching = asyncio.ensure_future(caller.calls.attach("j", options(POOL)))
    await clock.advance(0.5)
    assert await asked(caller) == [(BOT, Query("j"))]
    caller.see(BOT, "unavailable")
    await clock.advance(1)
    caller.see(OTHER, node=QUEUE)
    await clock.advance(1)
    assert await asked(caller) == [(OTHER, Query("j"))]
    caller.say(OTHER, Succeeded("j", 1, Raw(b"7")))
    assert await (await attaching) == 7
