"""The caller's side over a made-up session: from a submit to what ends the job."""

import asyncio
import gc
from dataclasses import dataclass

import pytest
from msgspec import Raw

from jabot.calls.calls import closed
from jabot.calls.options import Call, options
from jabot.errors import (
    ConnectionFailed,
    JobCancelled,
    JobTimeout,
    RemoteProtocolError,
    TooLarge,
    UnknownJob,
    UnknownTask,
    WorkerLost,
)
from jabot.protocol.frames import Cancel, Failed, Progress, Query, Rejected, State, Succeeded
from jabot.tasks import Retry, Step
from unit.calling import NODE, POOL, taken
from unit.clock import turns
from unit.linked import BOT


async def test_a_job_from_the_greeting_to_the_result(caller):
    submitting = caller.submit()
    await turns()
    assert caller.greetings() == [("hello", POOL)]
    assert caller.take() == []
    caller.see(BOT, node=NODE)
    ((_, frame),) = await caller.offered()
    job = await submitting
    assert (frame.id, frame.task, job.peer, job.attempt) == (job.id, "lift", BOT, 1)
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    assert await job == 7
    assert len(caller.calls) == 0


async def test_a_time_limit_while_it_waits(caller, clock):
    submitting = caller.submit(wait=True, timeout=5)
    await clock.advance(4.9)
    assert not submitting.done()
    await clock.advance(0.2)
    with pytest.raises(JobTimeout):
        await submitting


async def test_what_is_not_said_while_offline(caller, clock):
    """Nobody is there only when somebody could have answered."""
    submitting, listing = caller.submit(), asyncio.ensure_future(caller.calls.nodes(POOL))
    await clock.advance(1)
    caller.drop()
    late = caller.submit()
    await clock.advance(60)
    assert not submitting.done()
    assert not listing.done()
    caller.greetings()
    caller.back()
    await turns()
    assert caller.greetings() == [("hello", POOL)]
    caller.see(BOT, node=NODE)
    assert len(await caller.offered()) == 2
    await submitting
    await late
    await clock.advance(0.4)
    assert [peer.jid for peer in await listing] == [BOT]


async def test_a_job_survives_a_reconnect(caller, clock):
    job, _ = await taken(caller)
    caller.drop()
    await clock.advance(100)
    caller.back()
    await turns()
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Query(job.id, 1)])
    caller.answer(BOT, number)
    caller.say(BOT, State(job.id, 1, "running"))
    await clock.advance(100)
    assert job.status == "unknown"
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    assert await job == 7


async def test_leaving_while_outcomes_still_come(caller, caplog):
    job, _ = await taken(caller)
    other = caller.submit(wait=True, to="nobody@localhost")
    listing = asyncio.ensure_future(caller.calls.nodes("nobody@localhost"))
    await turns()
    caller.calls.close(closed("the client"))
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    await turns()
    assert caller.take()[-1] == (BOT, "")  # the worker need not say it again
    for ended in (job, other):
        with pytest.raises(ConnectionFailed, match="the client was closed"):
            await ended
    await asyncio.gather(listing, return_exceptions=True)
    with pytest.raises(ConnectionFailed):
        await caller.submit()
    assert "Traceback" not in caplog.text


async def test_a_callback_that_cancels_others_which_need_a_worker(caller, clock):
    """All of them are lost in one and the same moment."""
    first, _ = await taken(caller, "40")
    others = [
        (await taken(caller, "40", retries=Retry(attempts=3, backoff=0)))[0] for _ in range(3)
    ]
    first.errback(lambda _: [job.cancel("the first one failed") for job in others])
    last, _ = await taken(caller, "40")
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    for job in others:
        with pytest.raises(JobCancelled, match="the first one failed"):
            await job
    with pytest.raises(WorkerLost):
        await last
    assert len(caller.calls) == 0


async def test_what_cannot_be_submitted_leaves_nothing_behind(caller):
    caller.see(BOT, node=NODE)
    await taken(caller)
    before = len(caller.calls)
    big = Raw(b'["' + b"x" * (17 * 2**20) + b'"]')
    with pytest.raises(TooLarge):
        await caller.calls.submit(Call("lift", big), options(POOL))
    assert len(caller.calls) == before


async def test_a_quick_refusal_is_raised_and_a_quick_failure_is_the_jobs(caller):
    caller.see(BOT, node=NODE)
    for frame, error in (
        (lambda job_id: Rejected(job_id, 1, "unknown_task", "no"), UnknownTask),
        (lambda job_id: Failed(job_id, 1, "E", "big", "", "too_large"), None),
    ):
        submitting = caller.submit()
        await turns()
        caller.see(BOT, node=NODE)
        await turns()
        ((_, (offered,), _),) = caller.batches()
        caller.say(BOT, frame(offered.id))
        if error is not None:
            with pytest.raises(error):
                await submitting
        else:
            with pytest.raises(TooLarge):
                await (await submitting)


async def test_a_cancelled_submitter(caller):
    submitting = caller.submit()
    await turns()
    caller.see(BOT, node=NODE)
    await turns()
    ((_, (offered,), number),) = caller.batches()
    submitting.cancel()
    await turns()
    assert [frames for _, frames, _ in caller.batches()] == [
        [Cancel(offered.id, 1, "its submitter gave up")]
    ]
    caller.answer(BOT, number)
    with pytest.raises(asyncio.CancelledError):
        await submitting


async def test_the_time_of_a_job_counts_from_the_submit(caller, clock):
    caller.drop()
    submitting = caller.submit(timeout=1)
    await clock.advance(1.1)
    with pytest.raises(JobTimeout):
        await submitting


async def test_what_a_callback_does_harms_no_other_job(caller, clock):
    """It cancels a job that is told of behind its own in the same batch."""
    one, _ = await taken(caller)
    two, _ = await taken(caller)
    one.callback(lambda _: two.cancel())
    one.callback(lambda _: 1 / 0)
    three, _ = await taken(caller)
    caller.say(
        BOT,
        Succeeded(one.id, 1, Raw(b"1")),
        Failed(two.id, 1, "E", "no"),
        Succeeded(three.id, 1, Raw(b"3")),
    )
    assert (await one, await three) == (1, 3)


async def test_a_result_type_that_raises_fails_its_own_job_only(caller):
    @dataclass
    class Picky:
        n: int

        def __post_init__(self):
            raise KeyError(self.n)

    picky, _ = await taken(caller)
    picky._result_type = Picky
    other, _ = await taken(caller)
    caller.say(BOT, Succeeded(picky.id, 1, Raw(b'{"n": 1}')), Succeeded(other.id, 1, Raw(b"7")))
    assert await other == 7
    with pytest.raises(RemoteProtocolError):
        await picky


async def attaching(caller):
    """Two who ask for the same job: the second one while the first one waits for an answer."""
    first = asyncio.ensure_future(caller.calls.attach("x1", options(POOL)))
    await turns()
    caller.see(BOT, node=NODE)
    await caller.clock.advance(0.4)
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Query("x1")])
    caller.answer(BOT, number)
    second = asyncio.ensure_future(caller.calls.attach("x1", options(POOL)))
    await turns()
    assert not first.done()
    assert not second.done()
    return first, second


async def test_all_who_ask_for_a_job_wait_for_the_same_answer(caller):
    first, second = await attaching(caller)
    caller.say(BOT, State("x1", 1, "running"))
    job = await first
    assert await second is job
    assert await caller.calls.attach("x1", options(POOL)) is job
    caller.say(BOT, Succeeded("x1", 1, Raw(b"7")))
    assert await job == 7


async def test_all_who_ask_for_a_job_hear_that_nobody_knows_it(caller):
    first, second = await attaching(caller)
    caller.say(BOT, State("x1", 0, "unknown"))
    for asking in (first, second):
        with pytest.raises(UnknownJob, match="x1"):
            await asking


async def test_one_who_asks_for_a_job_and_gives_up_harms_nobody(caller):
    first, second = await attaching(caller)
    first.cancel()
    await turns()
    caller.say(BOT, State("x1", 1, "running"))
    assert (await second).peer == BOT


async def test_a_reader_that_nobody_else_holds_reads_to_the_end(caller):
    job, _ = await taken(caller)
    seen = []

    async def read():
        async for step in job.progress:
            seen.append(step)
        seen.append("end")

    asyncio.create_task(read())  # noqa: RUF006 - that is what it is about
    await turns()
    gc.collect()
    caller.say(BOT, Progress(job.id, 1, 1, 1.0))
    await turns()
    gc.collect()
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    await turns()
    assert seen == [Step(1), "end"]


async def test_to_look_at_the_progress_changes_nothing(caller):
    job, _ = await taken(caller)
    for _ in range(3):
        assert hasattr(job, "progress")
    assert job._readers == ()
    steps, others = aiter(job.progress), aiter(job.progress)
    assert len(job._readers) == 2
    caller.say(BOT, Progress(job.id, 1, 1, 1.0))
    assert await anext(steps) == Step(1)
    del others  # as when an `async for` is left
    caller.say(BOT, Progress(job.id, 1, 2, 2.0))
    assert len(job._readers) == 1
    late = aiter(job.progress)
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    for reader in (steps, late, job.progress):
        assert [step async for step in reader] == [Step(2)]
    assert job._readers == ()
