"""Jobs that come after others."""

import pytest
from msgspec import Raw
from stores import NODE, WORKER, json, new

from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Claim, Filter, Finish, Prune, Purge


async def test_a_child_runs_after_all_of_its_parents(queue):
    await queue.add("a", "b", task="carry")
    added = await queue.add("c", after=["b", "a", "b"])
    assert (added.state, added.is_new) == (JobState.SCHEDULED, True)
    await queue.claim(2, "carry")
    assert (await queue.finish("a", result=Raw(b'{"n": 1.50}'))).ready == []
    assert (await queue.look("c")).waits_for == 2
    assert (await queue.finish("b", result=Raw(b"null"))).ready == ["lift"]
    (job,) = await queue.claim()
    assert bytes(job.parents).replace(b" ", b"") == b'[null,{"n":1.50},null]'
    assert job.waits_for == 0


async def test_a_parent_by_its_other_id(queue):
    await queue.add("a", "b", key="k")
    await queue.add("c", after=["b"])
    await queue.claim(1)
    await queue.finish("a", result=Raw(b"7"))
    (job,) = await queue.claim()
    assert (job.id, json(job.parents)) == ("c", [7])


async def test_after_parents_that_have_succeeded_it_runs_at_once(queue):
    await queue.add("a")
    await queue.claim()
    await queue.finish("a", result=Raw(b"7"))
    assert (await queue.add("b", after=["a"])).state is JobState.AVAILABLE
    (job,) = await queue.claim()
    assert json(job.parents) == [7]


async def test_parents_that_end_in_one_turn_free_the_child_once(queue):
    parents = [f"p{number}" for number in range(50)]
    await queue.add(*parents, task="carry")
    await queue.add("c", after=parents)
    await queue.claim(50, "carry")
    *ends, claimed = await queue.do(
        *(Finish(job, 1, "succeed", 0.0, result=Raw(b"1")) for job in parents),
        Claim(NODE, WORKER, ["lift"], 5, 0.0),
    )
    assert [end.ready for end in ends] == [[]] * 49 + [["lift"]]
    assert [job.id for job in claimed] == ["c"]
    assert json(claimed[0].parents) == [1] * 50


async def test_a_child_keeps_to_its_own_time(queue):
    await queue.add("a")
    await queue.add("b", after=["a"], delay=10.0)
    await queue.claim()
    assert (await queue.finish("a", now=1.0)).ready == []
    assert (await queue.due(9.9)).next == 10.0
    assert (await queue.due(10.0)).ready == ["lift"]


async def test_a_child_that_waits_for_parents_does_not_expire_meanwhile(queue):
    await queue.add("a")
    await queue.add("b", after=["a"], expires=2.0)
    await queue.claim()
    assert (await queue.due(50.0)).ended == []
    await queue.finish("a", now=60.0)
    assert (await queue.look("b")).due == 60.0
    assert (await queue.due(61.9)).ended == []
    assert (await queue.due(62.0)).ended == ["b"]


async def test_an_unknown_parent_is_refused(queue):
    await queue.add("a", owner="other@example.org")
    for parent in ("a", "zz"):
        refused = await queue.add("b", after=[parent])
        assert (refused.refused, refused.detail) == ("unknown_parent", parent)
    assert await queue.look("b") is None


@pytest.mark.parametrize("how", ["fail", "cancel", "stop", "expire"])
async def test_a_failed_parent_fails_all_that_come_after(queue, how):
    await queue.add("a", expires=5.0)
    await queue.add("x", task="carry")
    await queue.add("b", after=["a", "x"])
    await queue.add("c", "d", after=["b"])
    await queue.add("e", after=["c", "d", "x"])
    if how in ("fail", "cancel"):
        await queue.claim()
        ended = (await queue.finish("a", how)).ended
    elif how == "stop":
        ended = (await queue.cancel("a")).ended
    else:
        ended = (await queue.due(5.0)).ended
        ended.remove("a")
    assert sorted(ended) == ["b", "c", "d", "e"]
    for job in "bcde":
        record = await queue.look(job)
        assert (record.state, record.failure.code) == (JobState.FAILED, "parent")
        assert "job a (lift)" in record.failure.message
    reason = {"fail": "ValueError: boom", "stop": "enough", "expire": "Expired"}.get(how, "")
    assert reason in (await queue.look("b")).failure.message
    assert await queue.claimed(9, "carry", "lift") == ["x"]


async def test_after_a_failed_parent_it_fails_at_once(queue):
    await queue.add("a")
    await queue.cancel("a", "no need")
    added = await queue.add("b", after=["a"])
    assert (added.state, added.is_new) == (JobState.FAILED, True)
    assert "was cancelled: no need" in (await queue.look("b")).failure.message


async def test_a_deep_and_a_wide_family(queue):
    line = [new(f"j{number}", after=[f"j{number - 1}"]) for number in range(1, 1500)]
    await queue.do(new("j0"), *line[:750])
    await queue.do(*line[750:])
    layers = [[f"l{depth}-{place}" for place in range(4)] for depth in range(30)]
    for above, layer in zip([["j0"], *layers], layers, strict=False):
        await queue.add(*layer, after=above)
    stopped = await queue.cancel("j0")
    assert len(stopped.ended) == 1499 + 120


async def test_a_revived_parent_does_not_revive_its_children(queue):
    await queue.add("a")
    await queue.add("b", after=["a"])
    await queue.cancel("a")
    assert (await queue.revive("b")).state is JobState.FAILED  # its parent first
    await queue.revive("a")
    assert await queue.state("b") is JobState.FAILED
    assert (await queue.revive("b")).state is JobState.AVAILABLE  # and waits for it
    assert await queue.claimed() == ["a"]
    assert (await queue.finish("a", result=Raw(b"1"))).ready == ["lift"]
    (job,) = await queue.claim()
    assert (job.id, json(job.parents)) == ("b", [1])


async def test_what_a_child_needs_is_kept(queue):
    await queue.add("a")
    await queue.add("b", after=["a"], delay=50.0)
    await queue.claim()
    await queue.finish("a", result=Raw(b"7"))
    await queue.delivered("a")
    assert await queue.do(Prune(40.0, 1.0, 1.0, 1.0)) == 0
    assert await queue.do(Purge(Filter())) == 0
    await queue.due(50.0)
    (job,) = await queue.claim(now=50.0)
    assert json(job.parents) == [7]
    await queue.finish("b")
    assert await queue.do(Prune(90.0, 1.0, 1.0, 1.0)) == 2


async def test_a_child_with_limits_comes_under_them(queue):
    await queue.add("a", "b", unique=None, task="carry")
    await queue.add("c", after=["a"], unique="u")
    await queue.claim(2, "carry")
    assert (await queue.finish("a")).ready == ["lift"]
    assert (await queue.add("d", unique="u")).id == "c"
    assert await queue.claimed() == ["c"]


async def test_a_family_added_in_one_turn(queue):
    answers = await queue.do(
        new("a"), new("b", after=["a"]), new("c", after=["a", "b"]), new("d", after=["e"]), new("e")
    )
    assert [each.refused for each in answers] == ["", "", "", "unknown_parent", ""]
