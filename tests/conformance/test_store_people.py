"""Who is told in words how a job ends, until it was done."""

import pytest
from stores import BOOM, NODE

from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Filter, List, Prune, Tell, Told, Untold

ANN = "ann@example.org/phone"
GONE = "queue@example.org/of-before"


async def untold(queue, most=100):
    return [record.id for record in await queue.do(Untold(NODE, most))]


async def asked(queue, *jobs, **more):
    await queue.add(*jobs, person=ANN, teller=NODE, **more)


async def test_it_is_kept_whom_to_tell_and_by_whom(queue):
    await asked(queue, "a")
    await queue.add("b")
    a, b = await queue.claim()
    assert [(r.person, r.teller) for r in (a, b)] == [(ANN, NODE), ("", "")]
    assert (await queue.look("a")).person == ANN
    assert [r.teller for r in await queue.do(List(Filter()))] == ["", NODE]


@pytest.mark.parametrize("event", ["succeed", "fail", "cancel"])
async def test_an_end_is_to_be_told_until_it_was(queue, event):
    await asked(queue, "a")
    await queue.add("b")
    assert await untold(queue) == []
    await queue.claim()
    assert await untold(queue) == []
    await queue.finish("a", event, now=1.0)
    await queue.finish("b", event, now=1.0)
    (record,) = await queue.do(Untold(NODE))
    assert (record.id, record.person, record.teller) == ("a", ANN, NODE)
    assert record.result is None
    assert record.failure == (BOOM if event == "fail" else None)
    await queue.do(Told(["a", "b", "c"]))
    assert await untold(queue) == []
    looked = await queue.look("a")
    assert (looked.person, looked.teller, looked.delivered) == (ANN, "", True)
    assert not (await queue.look("b")).delivered


async def test_what_ended_first_is_told_first(queue):
    await asked(queue, *"abc")
    await queue.claim()
    for now, job in enumerate("bca"):
        await queue.finish(job, now=float(now))
    assert await untold(queue, 2) == ["b", "c"]
    await queue.do(Told(["b"]))
    assert await untold(queue, 2) == ["c", "a"]


async def test_what_a_process_that_is_no_more_owed_is_taken_over(queue):
    await queue.add("a", "b", person=ANN, teller=GONE)
    await queue.claim(1)
    await queue.finish("a")
    (record,) = await queue.do(Untold(NODE))
    assert (record.id, record.teller) == ("a", NODE)
    assert (await queue.look("b")).teller == GONE


async def test_ends_without_a_run_are_told_too(queue):
    await asked(queue, "a", expires=1.0)
    await asked(queue, "b", after=["a"])
    await queue.due(5.0)
    assert await queue.state("b") is JobState.FAILED
    assert sorted(await untold(queue)) == ["a", "b"]


@pytest.mark.parametrize("options", [{"key": "k"}, {"unique": "u"}])
async def test_one_who_asks_for_a_job_that_is_there_is_told_as_well(queue, options):
    await queue.add("a", reply_to="app@example.org/1", **options)
    added = await queue.add("b", person=ANN, teller=NODE, **options)
    assert added.id == "a"
    (record,) = await queue.claim()
    assert (record.person, record.teller) == (ANN, NODE)
    assert record.reply_to == "app@example.org/1"
    await queue.add("c", **options)
    await queue.finish("a")
    assert await untold(queue) == ["a"]


async def test_somebody_can_be_told_later_on(queue):
    await queue.add("a", key="k")
    await queue.add("b", key="k")
    await queue.claim()
    await queue.finish("a", "fail")
    await queue.do(Tell("b", ANN, NODE), Tell("nothing", ANN, NODE))
    await queue.revive("a")
    assert await untold(queue) == []
    await queue.claim()
    await queue.do(Told(["a"]))  # a late word about the end before
    await queue.finish("a", attempt=2)
    assert await untold(queue) == ["a"]


async def test_what_was_told_goes_like_what_was_delivered(queue):
    await asked(queue, "a", "b")
    await queue.claim()
    for job in "ab":
        await queue.finish(job)
    await queue.do(Told(["a"]))
    await queue.do(Prune(10.0, 5.0, 20.0, 20.0))
    assert [r.id for r in await queue.do(List(Filter()))] == ["b"]
