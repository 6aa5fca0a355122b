"""What a node does for a queue that it works for: how many jobs, for whom, and how they end."""

import json

import pytest
from msgspec import Raw

from jabot.errors import JobCancelled
from jabot.protocol import limits
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Heartbeat,
    Hello,
    State,
    Submit,
    Succeeded,
)
from unit.clock import turns
from unit.employed import ANN, ONE, QUEUE, TWO, Scene, submit

# -- slots -------------------------------------------------------------------------------------


async def test_slots_that_others_take_are_not_offered(working):
    await working.gives(ANN, Submit("mine", "hold"))
    await working.clock.advance(1)
    ((peer, hello),) = await working.hear()
    assert (peer, hello.slots) == (ONE, 1)
    await working.gives(ONE, submit("a"))  # its own jobs count at the queue
    await working.clock.advance(2)
    assert await working.hear() == []
    working.ends("mine")
    await working.clock.advance(1)
    hellos = [frame for peer, frame in await working.hear() if peer == ONE]
    assert [(hello.slots, hello.held) for hello in hellos] == [(2, [("a", 1)])]


async def test_slots_are_not_told_for_each_job(working):
    for number in range(50):
        await working.gives(ANN, Submit(f"m{number}", "fail", timeout=0.01))
        await working.clock.advance(0.1)
    hellos = [f for p, f in await working.hear() if p == ONE and isinstance(f, Hello)]
    assert len(hellos) <= 6


async def test_a_node_that_stops_says_so_before_it_hands_back(working):
    await working.gives(ONE, submit("a"), submit("b"), submit("waits"))
    working.runner.draining = True
    working.employment.news()
    working.intake.drain()
    hello, handed_back = await working.hear()
    assert (hello[1].slots, len(hello[1].held)) == (0, 3)
    assert (handed_back[1].id, handed_back[1].code) == ("waits", "draining")
    working.see(ONE, "unavailable")  # also to the next one
    assert [f.slots for p, f in await working.hear() if p == TWO and isinstance(f, Hello)] == [0]


async def test_a_hello_that_would_wait_is_said_later(working):
    await working.gives(ONE, submit("a"))
    for _ in range(limits.WINDOW):
        working.began[0].progress(1)
        await turns()
    unanswered = working.batches()
    assert len(unanswered) == limits.WINDOW
    await working.gives(ANN, Submit("mine", "hold"))
    await working.clock.advance(3)
    assert [frame for peer, frame in await working.hear(answer=False) if peer == ONE] == []
    for peer, _, number in unanswered:
        working.answer(peer, number)
    await working.clock.advance(0.2)
    hellos = [f for p, f in await working.hear() if p == ONE and isinstance(f, Hello)]
    assert [(hello.slots, hello.held) for hello in hellos] == [(1, [("a", 1)])]


# -- jobs --------------------------------------------------------------------------------------


async def test_a_job_is_told_who_asked_first(working):
    parents = Raw(json.dumps([3, {"rows": 4}]).encode())
    await working.gives(ONE, submit(attempt=4, parents=parents))
    (ctx,) = working.began
    assert (str(ctx.caller), str(ctx.via), ctx.attempt) == (ANN, QUEUE, 4)
    assert ctx.parents == [3, {"rows": 4}]
    await working.gives(ANN, Submit("mine", "hold"))
    direct = working.began[1]
    assert (str(direct.caller), direct.via, direct.parents) == (ANN, None, [])


@pytest.mark.parametrize(
    ("peer", "frame", "code"),
    [
        (ANN, submit(caller="boss@localhost/x"), "not_allowed"),
        (TWO, submit(), "draining"),  # another node of the queue
        (ONE, submit(caller="a@b@c/"), "protocol"),
        (ONE, submit(parents=Raw(b'{"a":1}')), "protocol"),
    ],
)
async def test_who_may_speak_for_others(working, peer, frame, code):
    ((to, rejected),) = await working.gives(peer, frame)
    assert (to, rejected.id, rejected.code) == (peer, "j", code)
    assert working.began == []


async def test_the_queues_account_may_ask_for_itself(working):
    await working.gives(f"{QUEUE}/by-hand", Submit("j", "hold"))
    assert (str(working.began[0].caller), working.began[0].via) == (f"{QUEUE}/by-hand", None)


async def test_the_queue_decides_about_retries(working):
    (told,) = await working.gives(ONE, submit(task="fail"))
    assert (told[1].type, told[1].attempt) == ("ValueError", 1)
    (again,) = await working.gives(ONE, submit(task="fail", attempt=2))
    assert (again[1].type, again[1].attempt) == ("ValueError", 2)


async def test_a_cancel_reaches_the_job(working):
    await working.gives(ONE, submit())
    heard = await working.gives(ONE, Cancel("j", 1, "enough"))
    assert heard == [(ONE, Cancelled("j", 1, "enough"))]
    # One for an attempt that it has not is harmless.
    assert await working.gives(ONE, Cancel("k", 1)) == [(ONE, Cancelled("k", 1))]
    await working.gives(ONE, submit("k", attempt=2))
    assert working.began[1].job_id == "k"


async def test_an_attempt_that_was_given_up_is_no_cancelled_job(working):
    """The queue stops what it takes for lost, and gives the same worker the job again."""
    await working.gives(ONE, submit())
    heard = await working.gives(ONE, Cancel("j", 1, "this attempt is over"), submit(attempt=2))
    assert not any(isinstance(frame, Cancelled) for _, frame in heard)
    assert [ctx.attempt for ctx in working.began] == [1, 2]
    assert working.began[0].cancelled
    working.gates.pop("j", None)
    await working.gives(ONE, Cancel("j", 2, "enough"))
    assert working.runner.jobs == []


async def test_an_attempt_waits_for_the_end_of_the_one_before(working):
    await working.gives(ONE, submit(task="stubborn"))
    await working.gives(ONE, Cancel("j", 1, "over"), submit(task="stubborn", attempt=2))
    assert [ctx.attempt for ctx in working.began] == [1]
    await working.clock.advance(5)
    heartbeats = [f for _, f in await working.hear() if isinstance(f, Heartbeat)]
    assert heartbeats == [Heartbeat([("j", 2)])]
    working.see(ONE, "unavailable")  # it changes nodes meanwhile
    working.began[0].let_go.set()
    await working.clock.advance(1)
    assert [ctx.attempt for ctx in working.began] == [1, 2]
    working.began[1].let_go.set()
    heard = await working.hear()
    assert heard[-1] == (TWO, Succeeded("j", 2, Raw(b'"done"')))
    assert not any(isinstance(frame, Cancelled) for _, frame in heard)


async def test_what_a_stop_leaves_unfinished_is_lost_and_not_cancelled(working):
    await working.gives(ONE, submit("a"))
    await working.gives(ANN, Submit("mine", "hold"))
    await working.clock.advance(2)
    await working.hear()
    await working.runner.drain(1)
    heard = dict(await working.hear())
    failed = heard[ONE] if isinstance(heard[ONE], Failed) else None
    assert failed is not None
    assert (failed.id, failed.code, failed.type) == ("a", "lost", "WorkerLost")
    assert heard[ANN] == Cancelled("mine", 1, "the node is stopping")


async def test_a_job_that_was_cancelled_before_the_stop_is_cancelled(working):
    await working.gives(ONE, submit("a"), submit("b"))
    working.say(ONE, Cancel("a", 1, "enough"))
    working.runner.cancel(working.runner.jobs[1], "by hand")
    await working.runner.drain(0.1)
    told = {f.id: f for _, f in await working.hear() if not isinstance(f, Hello)}
    assert told == {"a": Cancelled("a", 1, "enough"), "b": Cancelled("b", 1, "by hand")}


async def test_a_copy_of_a_submit_runs_nothing(working):
    await working.gives(ONE, submit())
    assert await working.gives(ONE, submit()) == [(ONE, State("j", 1, "running"))]
    assert len(working.began) == 1


async def test_jobs_of_the_queue_are_counted_as_its_own(working):
    await working.gives(ONE, submit())
    assert working.runner.unfinished(QUEUE) == 1
    assert working.runner.unfinished("ann@localhost") == 0
    with pytest.raises(JobCancelled):
        job = working.runner.jobs[0]
        working.runner.cancel(job)
        await job


async def test_a_node_without_queues_has_nothing_to_do(clock):
    scene = Scene(clock, queues=())
    scene.back()
    await clock.advance(60)
    assert (scene.greetings(), await scene.hear()) == ([], [])
    scene.employment.close()
    scene.intake.close()
    scene.link.close()
