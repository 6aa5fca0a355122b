"""How many unfinished jobs one owner may have, in every store."""

import random

import pytest
from stores import OWNER, new

from jabot.protocol.states import JobState
from jabot.queue.store.records import Schedule
from jabot.queue.store.verbs import Filter, Fire, Prune, Purge, PutSchedule

OTHER = "other@example.org"


async def unfinished(queue, owner=OWNER):
    """How many the store has counted: it says so when it refuses."""
    refused = await queue.add("one more", owner=owner, most=0)
    assert refused.refused == "too_many"
    return int(refused.detail)


async def test_so_many_and_no_more(queue):
    await queue.add("a", "b", most=2)
    refused = await queue.add("c", most=2)
    assert (refused.id, refused.refused, refused.detail) == ("c", "too_many", "2")
    assert await queue.look("c") is None
    assert (await queue.add("c", owner=OTHER, most=2)).is_new
    assert (await queue.add("c2", most=3)).is_new
    assert (await queue.add("c3")).is_new


@pytest.mark.parametrize("more", [{}, {"delay": 5.0}, {"key": "k"}, {"unique": "u"}])
async def test_those_that_are_too_many_in_one_turn(queue, more):
    jobs = [new(f"a{n}", most=3) for n in range(5)] + [new("b", owner=OTHER, most=3)]
    jobs += [new("a9", most=3, **more), new("c", owner=OTHER, most=3, **more)]
    added = await queue.do(*jobs)
    refused = [job.id for job, each in zip(jobs, added, strict=True) if each.refused]
    assert refused == ["a3", "a4", "a9"]
    assert await unfinished(queue) == 3
    assert await unfinished(queue, OTHER) == 2


async def test_a_job_that_is_there_is_none_too_many(queue):
    await queue.add("a", key="k", most=1)
    assert (await queue.add("a", most=1)).refused == ""
    again = await queue.add("b", key="k", most=1)
    assert (again.id, again.refused) == ("a", "")
    assert (await queue.add("a", owner=OTHER, most=0)).refused == "id_taken"


@pytest.mark.parametrize("event", ["succeed", "fail", "cancel"])
async def test_what_has_ended_makes_room(queue, event):
    await queue.add("a", "b", most=2)
    await queue.claim(1)
    await queue.finish("a", event)
    assert await unfinished(queue) == 1
    assert (await queue.add("c", most=2)).is_new


@pytest.mark.parametrize("event", ["retry", "release"])
async def test_what_is_run_again_does_not(queue, event):
    await queue.add("a")
    await queue.claim()
    await queue.finish("a", event, at=5.0)
    assert await unfinished(queue) == 1


async def test_cancelled_expired_and_fallen_ones_make_room(queue):
    await queue.add("parent")
    await queue.add("child", after=["parent"])
    await queue.add("late", expires=5.0)
    await queue.add("late too", timeout=5.0)
    assert await unfinished(queue) == 4
    await queue.due(6.0)
    assert await unfinished(queue) == 2
    await queue.cancel("parent")
    assert await unfinished(queue) == 0
    await queue.add("orphan", after=["parent"])  # fails at once
    assert await unfinished(queue) == 0
    await queue.do(Purge(Filter()))
    assert await unfinished(queue) == 0


async def test_a_revived_one_counts_again(queue):
    await queue.in_state(JobState.CANCELLED)
    await queue.do(Prune(1e9, 1e12, 1e12, 1e12))
    assert await unfinished(queue) == 0
    await queue.revive("a")
    assert await unfinished(queue) == 1


async def test_a_schedules_job_counts(queue):
    schedule = Schedule(
        "s", OWNER, "lift", new("x").args, new("x").kwargs, new("x").options, every=5.0, next=1.0
    )
    await queue.do(PutSchedule(schedule, None))
    fired = await queue.do(Fire("s", 1.0, 6.0, new("a", most=1)))
    assert fired.is_new
    fired = await queue.do(Fire("s", 6.0, 11.0, new("b", most=1)))
    assert (fired.refused, fired.detail) == ("too_many", "1")


@pytest.mark.parametrize("seed", range(3))
async def test_it_is_counted_right_whatever_happens(queue, seed):
    chance = random.Random(seed)
    jobs = []
    for turn in range(40):
        verb = chance.choice(["add", "add", "claim", "finish", "cancel", "revive", "due"])
        if verb == "add":
            names = [f"j{turn}.{n}" for n in range(chance.randrange(1, 4))]
            more = chance.choice([{}, {"delay": 3.0}, {"expires": 2.0}, {"unique": "u"}])
            after = chance.choice([[], [chance.choice(jobs)]]) if jobs else []
            more |= {"now": float(turn), "after": after}
            for name in names:
                added = await queue.add(name, **more)
                jobs += [added.id] if added.is_new else []
        elif verb == "claim":
            await queue.claim(2, now=float(turn))
        elif verb == "due":
            await queue.due(float(turn))
        elif jobs:
            job = chance.choice(jobs)
            record = await queue.look(job)
            if verb == "finish" and record.attempt:
                event = chance.choice(["succeed", "fail", "retry", "release", "cancel"])
                await queue.finish(
                    job, event, attempt=record.attempt, now=float(turn), at=turn + 2.0
                )
            elif verb == "cancel":
                await queue.cancel(job, now=float(turn))
            else:
                await queue.revive(job, now=float(turn))
    records = [await queue.look(job) for job in jobs]
    assert await unfinished(queue) == sum(not record.state.ended for record in records)
