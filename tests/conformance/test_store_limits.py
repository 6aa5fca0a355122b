"""Keys, unique names, lanes and rates."""

import pytest
from stores import NODE, WORKER, new

from jabot.protocol.options import Lane
from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Claim, Finish, Prune, Stats

ONE = Lane("one", slots=1)


# -- keys ------------------------------------------------------------------------------------------


async def test_a_key_stands_for_one_job(queue):
    await queue.add("a", key="k")
    again = await queue.add("b", key="k")
    assert (again.id, again.is_new, again.refused) == ("a", False, "")
    assert (await queue.look("b")).id == "a"
    other = await queue.add("c", key="k", owner="other@example.org")
    assert (other.id, other.is_new) == ("c", True)
    assert await queue.claimed() == ["a", "c"]
    await queue.finish("a")
    assert (await queue.add("d", key="k")).state is JobState.SUCCEEDED
    await queue.delivered("d")
    assert (await queue.look("a")).delivered


async def test_keys_of_one_turn(queue):
    answers = await queue.add("a", "b", "b", "c", key="k")
    assert [(each.id, each.is_new) for each in answers] == [("a", True)] + [("a", False)] * 3


@pytest.mark.parametrize("changed", [{"task": "carry"}, {"args": "[2]"}, {"kwargs": '{"x":1}'}])
async def test_a_key_for_something_else_is_refused(queue, changed):
    await queue.add("a", key="k")
    refused = await queue.add("b", key="k", **changed)
    assert (refused.refused, refused.is_new) == ("key_reused", False)
    assert await queue.look("b") is None
    again = await queue.add("a", key="k", **changed)
    assert (again.refused, again.id) == ("", "a")


async def test_a_key_is_over_after_its_time(queue):
    await queue.add("a", key="k", key_for=10.0)
    assert not (await queue.add("b", key="k", now=9.9)).is_new
    assert (await queue.add("c", key="k", now=10.0, args="[2]")).is_new
    assert (await queue.look("b")).id == "a"


async def test_a_job_is_kept_while_its_key_stands_for_it(queue):
    await queue.add("a", key="k", key_for=100.0)
    await queue.cancel("a")
    assert await queue.do(Prune(99.0, 1.0, 1.0, 1.0)) == 0
    assert await queue.do(Prune(100.0, 1.0, 1.0, 1.0)) == 1
    assert (await queue.add("b", key="k", now=100.0)).is_new


# -- unique names ----------------------------------------------------------------------------------


async def test_one_of_a_unique_name_waits_and_one_runs(queue):
    await queue.add("a", unique="u")
    assert (await queue.add("b", unique="u")).id == "a"
    assert await queue.claimed() == ["a"]
    assert (await queue.add("c", unique="u")).is_new
    assert (await queue.add("d", unique="u")).id == "c"
    assert (await queue.add("e", unique="u", owner="other@example.org")).is_new
    assert await queue.claimed() == ["e"]
    done = await queue.finish("a")
    assert done.ready == ["lift"]
    assert await queue.claimed() == ["c"]
    assert (await queue.look("d")).id == "c"


async def test_a_retried_unique_job_waits_behind_the_waiting_one(queue):
    await queue.add("a", unique="u")
    await queue.claim()
    await queue.add("b", unique="u", priority=1)
    await queue.finish("a", "retry", at=0.0)
    assert await queue.claimed() == ["b"]
    assert await queue.claimed() == []
    assert (await queue.finish("b")).ready == ["lift"]
    assert await queue.claimed() == ["a"]


async def test_the_end_of_a_waiting_unique_job_lets_the_next_follow(queue):
    await queue.add("a", unique="u")
    await queue.claim()
    await queue.add("b", unique="u")
    await queue.finish("a", "release")
    stopped = [await queue.cancel("a"), await queue.cancel("b")]
    assert [each.ready for each in stopped] == [["lift"], []]


# -- lanes -----------------------------------------------------------------------------------------


async def test_a_lane_runs_no_more_than_its_slots(queue):
    await queue.add("a", "b", "c", lane=Lane("two", slots=2))
    await queue.add("d")
    assert await queue.claimed() == ["a", "b", "d"]
    assert await queue.claimed() == []
    assert (await queue.finish("d")).ready == []
    assert (await queue.finish("a")).ready == ["lift"]
    assert await queue.claimed() == ["c"]


@pytest.mark.parametrize("event", ["succeed", "fail", "retry", "release", "cancel"])
async def test_every_end_frees_its_slot(queue, event):
    await queue.add("a", lane=ONE)
    await queue.claim()
    await queue.add("b", lane=ONE, priority=1)
    assert (await queue.finish("a", event, at=9.0)).ready == ["lift"]
    assert await queue.claimed() == ["b"]


async def test_a_lane_goes_by_priority(queue):
    await queue.add("a", lane=ONE)
    await queue.add("b", lane=ONE, priority=5)
    await queue.add("c", priority=3)
    await queue.add("d", priority=9)
    assert await queue.claimed() == ["d", "b", "c"]


async def test_tasks_share_a_lane(queue):
    await queue.add("a", "b", lane=ONE)
    await queue.add("c", "d", lane=ONE, task="carry", priority=1)
    await queue.add("e", "f", task="carry", priority=-1)
    assert await queue.claimed(9, "lift", "carry") == ["c", "e", "f"]
    done = await queue.finish("c")
    assert sorted(done.ready) == ["carry", "lift"]
    # nobody who carries is there: the lane is not kept from those who lift
    assert await queue.claimed(9, "lift") == ["a"]


async def test_a_claim_is_full_though_lanes_hide_jobs_from_it(queue):
    for number in range(4):
        await queue.add(f"a{number}", f"b{number}", lane=Lane(f"lane{number}", slots=1))
        await queue.add(f"c{number}", lane=Lane(f"lane{number}", slots=1), task="carry")
    await queue.add("x", priority=-1)
    assert await queue.claimed(5, "lift", "carry") == ["a0", "a1", "a2", "a3", "x"]


async def test_a_wide_lane_gives_all_that_it_has(queue):
    names = [f"j{number:03}" for number in range(600)]
    await queue.add(*names, lane=Lane("wide", slots=550))
    assert await queue.claimed(1000) == names[:550]


async def test_a_lane_takes_its_newest_limits(queue):
    await queue.add("a", "b", "c", "d", lane=ONE)
    assert await queue.claimed() == ["a"]
    await queue.add("e", lane=Lane("one", slots=3))
    assert await queue.claimed() == ["b", "c"]


async def test_claims_of_one_turn_share_a_lane(queue):
    await queue.add("a", "b", "c", lane=Lane("two", slots=2))
    claims = [Claim(NODE, f"bot@example.org/{n}", ["lift"], 1, 0.0) for n in range(3)]
    assert [[job.id for job in jobs] for jobs in await queue.do(*claims)] == [["a"], ["b"], []]


async def test_cancel_and_expiry_take_a_job_out_of_its_lane(queue):
    await queue.add("a", lane=ONE)
    await queue.claim()
    await queue.add("b", lane=ONE, expires=1.0)
    await queue.add("c", "d", lane=ONE)
    assert (await queue.cancel("c")).ready == []
    assert (await queue.due(5.0)).ended == ["b"]
    await queue.finish("a")
    assert await queue.claimed() == ["d"]


async def test_a_unique_job_in_a_lane_waits_for_both(queue):
    await queue.add("a", lane=ONE, unique="u")
    await queue.claim()
    await queue.add("b", lane=Lane("two", slots=2), unique="u")
    await queue.add("c", lane=ONE)
    assert await queue.claimed() == []
    await queue.finish("a")
    assert await queue.claimed() == ["b", "c"]


async def test_delayed_jobs_keep_to_their_lane(queue):
    await queue.add("a", "b", lane=ONE, delay=5.0)
    assert (await queue.due(5.0)).ready == ["lift"]
    assert await queue.claimed(now=5.0) == ["a"]
    await queue.do(Prune(9.0, 0.0, 0.0, 0.0))
    await queue.finish("a")
    assert await queue.claimed(now=5.0) == ["b"]


# -- rates -----------------------------------------------------------------------------------------


async def test_a_rate_spaces_the_starts(queue):
    await queue.add(*"abcd", lane=Lane("slow", rate=2.0), now=100.0)
    starts = {}
    for step in range(20):
        now = 100.0 + step / 8
        for job in await queue.claimed(now=now):
            starts[job] = now
    assert starts == {"a": 100.0, "b": 100.5, "c": 101.0, "d": 101.5}


async def test_a_burst_comes_together_and_is_saved_up(queue):
    await queue.add(*"abcdefgh", lane=Lane("slow", rate=1.0, burst=3))
    assert await queue.claimed(now=0.0) == ["a", "b", "c"]
    assert await queue.claimed(now=0.9) == []
    assert await queue.claimed(now=1.0) == ["d"]
    assert await queue.claimed(now=3.5) == ["e", "f"]
    assert await queue.claimed(now=4.0) == ["g"]


async def test_due_says_when_a_rate_allows_more(queue):
    await queue.add("a", "b", "c", lane=Lane("slow", rate=0.5))
    await queue.claim(now=10.0)
    moved = await queue.due(10.0)
    assert (moved.ready, moved.next) == ([], 12.0)
    moved = await queue.due(12.0)
    assert (moved.ready, moved.next) == (["lift"], None if moved.next is None else moved.next)
    assert await queue.claimed(now=12.0) == ["b"]
    assert (await queue.due(12.0)).next == 14.0


async def test_a_rate_and_slots_hold_together(queue):
    await queue.add("a", "b", "c", lane=Lane("both", slots=1, rate=1.0, burst=5))
    assert await queue.claimed(now=0.0) == ["a"]
    await queue.finish("a", now=0.0)
    assert await queue.claimed(now=0.0) == ["b"]
    assert await queue.claimed(now=50.0) == []


async def test_a_clock_that_is_set_back_does_not_stop_a_lane(queue):
    await queue.add("a", "b", lane=Lane("slow", rate=1.0))
    assert await queue.claimed(now=100.0) == ["a"]
    assert await queue.claimed(now=99.0) == []
    assert await queue.claimed(now=101.0) == ["b"]


async def test_stats_show_the_full_lanes(queue):
    await queue.add("a", "b", "c", lane=ONE)
    await queue.add("d", lane=Lane("free", slots=9))
    await queue.claim()
    figures = await queue.do(Stats(0.0))
    assert list(figures.lanes) == ["one"]
    lane = figures.lanes["one"]
    assert (lane.slots, lane.running, lane.waiting) == (1, 1, 2)


async def test_ends_of_one_turn_count_each(queue):
    await queue.add(*"abcd", lane=Lane("two", slots=2))
    await queue.claim()
    await queue.do(Finish("a", 1, "succeed", 0.0), Finish("b", 1, "succeed", 0.0), new("e"))
    assert await queue.claimed(9, worker=WORKER) == ["c", "d", "e"]


@pytest.mark.parametrize("options", [{"key": "k"}, {"unique": "u"}])
async def test_who_submitted_it_first_hears_of_it_whoever_asks_for_the_same(queue, options):
    await queue.add("a", reply_to="app@example.org/1", **options)
    added = await queue.add("b", reply_to="app@example.org/2", **options)
    assert added.id == "a"
    assert (await queue.look("a")).reply_to == "app@example.org/1"
    await queue.add("a", reply_to="app@example.org/3", **options)  # the same submit again
    assert (await queue.look("a")).reply_to == "app@example.org/3"


@pytest.mark.parametrize("same", [{"key": "k"}, {"unique": "u"}])
async def test_what_is_one_job_already_stays_so_when_fewer_may_be(queue, same):
    await queue.add("a", "b", "c", most_same=9, **same)
    again = await queue.add("b", most_same=1, **same)
    assert (again.id, again.is_new, again.refused) == ("a", False, "")
    assert (await queue.look("b")).id == "a"
    refused = await queue.add("d", most_same=1, **same)
    assert (refused.id, refused.refused) == ("a", "too_many_same")
    assert await queue.look("d") is None


@pytest.mark.parametrize("same", [{"key": "k"}, {"unique": "u"}])
async def test_how_many_submits_may_be_one_job(queue, same):
    await queue.add("a", most_same=3, **same)
    added = await queue.add("b", "c", "d", "d", "e", most_same=3, **same)
    assert [(each.id, each.refused) for each in added[:4]] == [("a", "")] * 4
    refused = added[4]
    assert (refused.id, refused.refused, refused.detail) == ("a", "too_many_same", "3")
    assert await queue.look("e") is None
    for known in ("a", "b", "d"):  # these are asked for again
        assert (await queue.add(known, most_same=3, **same)).refused == ""
    if "unique" in same:
        await queue.claim(1)
        assert (await queue.add("e", most_same=3, **same)).is_new  # one runs: another may wait
