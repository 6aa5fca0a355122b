"""What is forgotten, listed and counted, and schedules."""

import msgspec
import pytest
from msgspec import Raw
from stores import NODE, OWNER, WORKER, json, new

from jabot.protocol.options import NO_OPTIONS, JobOptions
from jabot.protocol.states import JobState
from jabot.queue.store.records import Schedule
from jabot.queue.store.verbs import (
    Add,
    Claim,
    Count,
    DropSchedule,
    Filter,
    Finish,
    Fire,
    List,
    Pause,
    Prune,
    Purge,
    PutSchedule,
    Schedules,
    Stats,
)

NIGHTLY = Schedule(
    "nightly",
    OWNER,
    "lift",
    Raw(b"[1.10]"),
    Raw(b'{"x":null}'),
    JobOptions(priority=3),
    cron="0 3 * * *",
    zone="Europe/Berlin",
    missed="skip",
    next=1_700_000_000.123456,
    timeout=90.5,
)


async def ends(queue, job, event="succeed", now=0.0):
    await queue.add(job)
    (record,) = await queue.claim(1, now=now)
    assert record.id == job
    await queue.finish(job, event, now=now)


async def test_each_kind_of_end_is_kept_for_its_time(queue):
    for job in ("here", "away"):
        await ends(queue, job)
    await ends(queue, "dead", "fail")
    await ends(queue, "stopped", "cancel")
    await queue.add("waits")
    await queue.delivered("here", "dead")
    kept = []
    for now in (9.0, 10.0, 20.0, 30.0):
        await queue.do(Prune(now, 10.0, 20.0, 30.0))
        kept.append([job.id for job in await queue.do(List(Filter()))])
    assert kept == [
        ["waits", "stopped", "dead", "away", "here"],
        ["waits", "stopped", "dead", "away"],
        ["waits", "dead"],
        ["waits"],
    ]


async def test_prune_and_purge_take_no_more_than_they_may(queue):
    await queue.add(*"abcde", labels={"of": "them"})
    for job in "abcde":
        await queue.cancel(job)
    assert await queue.do(Prune(9.0, 1.0, 1.0, 1.0, most=2)) == 2
    assert await queue.do(Purge(Filter(labels={"of": "others"}))) == 0
    assert await queue.do(Purge(Filter(labels={"of": "them"}), most=2)) == 2
    assert await queue.do(Prune(9.0, 1.0, 1.0, 1.0)) == 1
    assert (await queue.add("a")).is_new


async def test_a_purged_job_takes_its_names_along(queue):
    await queue.add("a", "b", key="k")
    await queue.cancel("a")
    assert await queue.do(Purge(Filter(states=[JobState.CANCELLED]))) == 1
    assert await queue.look("b") is None
    assert (await queue.add("b", key="k")).is_new


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Filter(), "edcba"),
        (Filter(owner=OWNER), "edca"),
        (Filter(task="carry"), "c"),
        (Filter(states=[JobState.AVAILABLE, JobState.RUNNING]), "dba"),
        (Filter(labels={"of": "them"}), "dc"),
        (Filter(labels={"of": "them", "too": "x"}), "d"),
        (Filter(before="c"), "ba"),
        (Filter(before="alias", task="lift"), "ba"),
        (Filter(before="zz"), ""),
        (Filter(ended_before=7.0), "e"),
        (Filter(ended_before=6.0), ""),
        (Filter(owner=OWNER, states=[JobState.AVAILABLE], task="lift"), "d"),
        (Filter(ending="b"), "b"),
        (Filter(ending="%"), ""),
    ],
)
async def test_filters(queue, chosen, found):
    await queue.add("a", key="k")
    await queue.add("b", owner="other@example.org")
    await queue.claim(1)
    await queue.add("c", task="carry", labels={"of": "them"}, delay=5.0)
    await queue.add("d", labels={"of": "them", "too": "x"})
    await queue.add("e")
    await queue.cancel("e", now=6.0)
    if chosen.before == "alias":
        chosen = msgspec.structs.replace(chosen, before="c")
    for jobs in (await queue.do(List(chosen)), await queue.store.read(List(chosen))):
        assert "".join(job.id for job in jobs) == found
        assert all(json(job.args) is None and job.result is None for job in jobs)


async def test_pages_follow_each_other(queue):
    names = [f"j{number}" for number in range(25)]
    await queue.add(*names)
    seen, before = [], None
    while page := await queue.do(List(Filter(before=before), most=10)):
        seen += [job.id for job in page]
        before = page[-1].id
    assert seen == names[::-1]


async def test_the_end_of_an_id_finds_it_whichever_its_case(queue):
    await queue.add("0192-AbCd", "0192-abce", "dd", "xx%y")
    for ending, found in [("bcd", ["0192-AbCd"]), ("bc_", []), ("%y", ["xx%y"]), ("0192-", [])]:
        jobs = await queue.do(List(Filter(ending=ending)))
        assert [job.id for job in jobs] == found


async def test_a_list_that_looks_at_the_newest_only(queue):
    await queue.add(*(f"j{number}" for number in range(9)))
    for within, found in [(3, ["j8", "j7", "j6"]), (9, [f"j{n}" for n in range(9)][::-1])]:
        jobs = await queue.store.read(List(Filter(), within=within))
        assert [job.id for job in jobs] == found
    assert await queue.store.read(List(Filter(ending="j0"), within=3)) == []


async def test_count_tells_what_purge_would_delete(queue):
    await queue.add(*"abc", labels={"of": "them"})
    await queue.add("child", after=["a"])
    for job in "bc":
        await queue.cancel(job)
    (record,) = await queue.claim(1)
    await queue.finish(record.id, "succeed")  # its child waits for a worker now, and needs it
    for chosen in (Filter(), Filter(labels={"of": "them"}), Filter(owner="nobody@example.org")):
        counts = await queue.do(Count(chosen)), await queue.store.read(Count(chosen))
        assert counts == (2, 2) if chosen.owner is None else counts == (0, 0)
    for left in (1, 0):
        assert await queue.do(Purge(Filter(), most=1)) == 1
        assert await queue.do(Count(Filter())) == left


async def test_stats_count_by_task_and_state(queue):
    await queue.add("a", "b", "c", now=10.0)
    await queue.add("d", task="carry", where={"gpu": ["x"]}, now=12.0)
    await queue.add("e", task="carry", delay=50.0)
    await queue.add("f", unique="u", task="walk")
    await queue.claim(2, now=13.0)
    await queue.finish("a", now=15.0)
    await queue.do(Pause("walk", True))
    for figures in (await queue.do(Stats(20.0)), await queue.store.read(Stats(20.0))):
        lift, carry, walk = (figures.tasks[task] for task in ("lift", "carry", "walk"))
        assert lift.states == {"available": 1, "running": 1, "succeeded": 1}
        assert carry.states == {"available": 1, "scheduled": 1}
        assert (lift.oldest, carry.oldest, walk.paused) == (10.0, 8.0, True)
        assert (lift.ended_last_minute, lift.waits, lift.runs) == (1, [3.0], [2.0])
        assert sorted(figures.kinds) == ['carry {"gpu":["x"]}', "lift", "walk"]
        assert figures.paused == ["walk"]
    assert (await queue.do(Stats(80.0))).tasks["lift"].ended_last_minute == 0


async def test_stats_of_nothing(queue):
    figures = await queue.do(Stats(0.0))
    assert (figures.tasks, figures.kinds, figures.lanes) == ({}, [], {})


# -- schedules -------------------------------------------------------------------------------------


async def test_a_schedule_comes_back_as_it_was_put(queue):
    assert await queue.do(PutSchedule(NIGHTLY, OWNER))
    (kept,) = await queue.do(Schedules())
    assert kept.next == pytest.approx(NIGHTLY.next, abs=1e-4)
    for name in ("name", "owner", "task", "options", "cron", "every", "zone", "missed", "paused"):
        assert getattr(kept, name) == getattr(NIGHTLY, name)
    assert (bytes(kept.args), bytes(kept.kwargs)) == (b"[1.10]", b'{"x":null}')
    assert await queue.store.read(Schedules(OWNER)) == [kept]
    assert await queue.do(Schedules("other@example.org")) == []


async def test_a_schedule_belongs_to_its_owner(queue):
    other = "other@example.org"
    await queue.do(PutSchedule(NIGHTLY, OWNER))
    theirs = msgspec.structs.replace(NIGHTLY, owner=other, task="carry")
    assert not await queue.do(PutSchedule(theirs, other))
    assert not await queue.do(DropSchedule("nightly", other))
    assert not await queue.do(DropSchedule("zz", None))
    paused = msgspec.structs.replace(NIGHTLY, paused=True)
    assert await queue.do(PutSchedule(paused, None))
    assert [(each.task, each.paused) for each in await queue.do(Schedules())] == [("lift", True)]
    assert await queue.do(DropSchedule("nightly", OWNER))
    assert not await queue.do(DropSchedule("nightly", OWNER))


async def test_a_schedule_fires_once(queue):
    await queue.do(PutSchedule(NIGHTLY, OWNER))
    (kept,) = await queue.do(Schedules())
    later = kept.next + 86_400
    first, second, other = await queue.do(
        Fire("nightly", kept.next, later, new("a")),
        Fire("nightly", kept.next, later, new("b")),
        Fire("zz", kept.next, later, new("c")),
    )
    assert (first.id, first.is_new, second, other) == ("a", True, None, None)
    assert [await queue.look(job) for job in "bc"] == [None, None]
    (kept_now,) = await queue.do(Schedules())
    assert kept_now.next == pytest.approx(later, abs=1e-4)
    assert kept_now.last == pytest.approx(kept.next, abs=1e-4)
    assert await queue.claimed() == ["a"]


async def test_a_missed_time_is_moved_over(queue):
    await queue.do(PutSchedule(msgspec.structs.replace(NIGHTLY, next=5.0, last=1.0), OWNER))
    assert await queue.do(Fire("nightly", 5.0, None, None, problem="no such zone")) is None
    (kept,) = await queue.do(Schedules())
    assert (kept.next, kept.last, kept.problem) == (None, 1.0, "no such zone")
    assert await queue.do(Fire("nightly", 5.0, 9.0, new("a"))) is None
    await queue.do(PutSchedule(msgspec.structs.replace(NIGHTLY, next=7.0), OWNER))
    (kept,) = await queue.do(Schedules())
    assert (kept.next, kept.last, kept.problem) == (7.0, 1.0, "")


async def test_a_schedule_of_a_unique_job_fires_into_the_waiting_one(queue):
    await queue.do(PutSchedule(msgspec.structs.replace(NIGHTLY, next=5.0), OWNER))
    await queue.add("a", unique="u")
    job = new("b", unique="u")
    assert isinstance(job, Add)
    assert (await queue.do(Fire("nightly", 5.0, 6.0, job))).id == "a"


async def test_what_follows_a_fire_in_its_turn_sees_the_job(queue):
    await queue.do(PutSchedule(msgspec.structs.replace(NIGHTLY, next=5.0), OWNER))
    _, jobs, end = await queue.do(
        Fire("nightly", 5.0, 6.0, new("a")),
        Claim(NODE, WORKER, ["lift"], 1, 5.0),
        Finish("a", 1, "fail", 5.0),
    )
    assert [job.id for job in jobs] == ["a"]
    assert (jobs[0].options, end.state) == (NO_OPTIONS, JobState.FAILED)
