"""What becomes of one job, verb by verb."""

import random

import pytest
from msgspec import Raw
from stores import NODE, OWNER, WORKER, json, new

from jabot.protocol import limits
from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane
from jabot.protocol.states import TRANSITIONS, JobEvent, JobState
from jabot.queue.store.records import kind_of
from jabot.queue.store.verbs import Claim, Finish, Look, Pause


def any_text(length, seed=0):
    """Characters of four bytes each, any of them."""
    choice = random.Random(seed).choices(range(0x20000, 0x2A6D0), k=length)
    return "".join(map(chr, choice))


async def test_a_job_comes_back_as_it_was_submitted(queue):
    args = '[1.10, 12345678901234567890, "\\u00e4\\u0000\\"", [null, {"x": 1e3}]]'
    options = {"priority": 5, "labels": {"of": "them"}, "where": {"gpu": ["b", "a"]}}
    meta = {"traceparent": "00-é"}
    added = await queue.add("a", args=args, kwargs='{"ü": -0.0}', meta=meta, timeout=9.0, **options)
    assert (added.id, added.state, added.is_new) == ("a", JobState.AVAILABLE, True)
    (job,) = await queue.claim(1, 'lift {"gpu":["a","b"]}', now=2.0)
    assert bytes(job.args) == args.encode()
    assert bytes(job.kwargs) == '{"ü": -0.0}'.encode()
    assert job.options == JobOptions(**options)
    assert (job.id, job.owner, job.task, job.meta) == ("a", OWNER, "lift", meta)
    assert (job.state, job.attempt, job.runs) == (JobState.RUNNING, 1, 1)
    assert (job.worker, job.node, job.started) == (WORKER, NODE, 2.0)
    assert (job.created, job.due, job.deadline, job.priority) == (0.0, 0.0, 9.0, 5)
    assert bytes(job.parents) == b"null"


async def test_large_arguments_and_results_come_back_whole(queue):
    text = '["' + "ä" * 300_000 + '"]'
    await queue.add("a", args=text)
    await queue.add("b", args="[2]")
    jobs = await queue.claim(2)
    assert [bytes(job.args).decode() for job in jobs] == [text, "[2]"]
    await queue.finish("a", result=Raw(text.encode()))
    assert bytes((await queue.look("a")).result).decode() == text


async def test_the_same_id_is_the_same_job(queue):
    await queue.add("a", reply_to="app@example.org/1")
    again = await queue.add("a", task="other", reply_to="app@example.org/2")
    assert (again.id, again.is_new, again.state) == ("a", False, JobState.AVAILABLE)
    job = await queue.look("a")
    assert (job.task, job.reply_to) == ("lift", "app@example.org/2")
    first, second, third = await queue.add("b", "b", "c")
    assert [first.is_new, second.is_new, third.is_new] == [True, False, True]
    assert await queue.claimed() == ["a", "b", "c"]
    await queue.finish("a")
    assert (await queue.add("a")).state is JobState.SUCCEEDED


async def test_an_id_of_another_owner_is_refused(queue):
    await queue.add("a")
    taken = await queue.add("a", owner="other@example.org")
    assert (taken.refused, taken.is_new) == ("id_taken", False)
    assert (await queue.add("a", owner="other@example.org", unique="u")).refused == "id_taken"
    assert (await queue.look("a")).owner == OWNER


async def test_what_was_not_begun_in_time_is_given_to_nobody(queue):
    """Whether or not somebody has looked what is due."""
    await queue.add("late", "later", expires=5.0, priority=9)
    await queue.add("over", timeout=5.0, priority=9)
    await queue.add("a", "b")
    await queue.add("in time", expires=5.1)
    assert await queue.claimed(2, now=5.0) == ["a", "b"]
    assert await queue.claimed(9, "lift", "carry", now=5.0) == ["in time"]
    await queue.add("laned", expires=5.0, lane=Lane("wide", slots=9))
    assert await queue.claimed(9, now=5.0) == []
    assert sorted((await queue.due(5.0)).ended) == ["laned", "late", "later", "over"]


async def test_claims_go_by_priority_then_by_age(queue):
    await queue.add("a")
    await queue.add("b", priority=-1)
    await queue.add("c", priority=7, task="carry")
    await queue.add("d", "e", priority=7)
    assert await queue.claimed(2, "carry", "lift") == ["c", "d"]
    assert await queue.claimed(9, "carry", "lift") == ["e", "a", "b"]


async def test_claims_of_one_turn_share_nothing(queue):
    await queue.add(*"abcde")
    claims = [Claim(NODE, f"bot@example.org/{n}", ["lift"], 2, 0.0) for n in range(4)]
    taken = await queue.do(*claims)
    assert [[job.id for job in jobs] for jobs in taken] == [["a", "b"], ["c", "d"], ["e"], []]
    assert {job.worker for job in taken[1]} == {"bot@example.org/1"}


async def test_a_claim_takes_only_what_the_worker_can_do(queue):
    await queue.add("a", where={"gpu": ["a100"]})
    await queue.add("b", task="carry")
    assert await queue.claimed(9, "lift") == []
    assert await queue.claimed(9, 'lift {"gpu":["a100"]}', 'lift {"gpu":["h100"]}') == ["a"]
    assert await queue.claimed(0, "carry") == []
    assert await queue.claimed(9, "carry", "carry") == ["b"]


@pytest.mark.parametrize("lane", [None, Lane(any_text(256), slots=1)])
async def test_the_longest_kind_that_a_queue_takes_is_kept(queue, lane):
    """Of characters that no compression makes fewer."""
    task = any_text(100)
    where = {f"{number:02}": [any_text(10, number)] for number in range(23)}
    left = limits.KIND - len(kind_of(task, where).encode())
    where["00"] = [any_text(10), "x" * (left - len(',""'))]
    kind = kind_of(task, where)
    assert len(kind.encode()) == limits.KIND
    await queue.add("a", task=task, where=where, lane=lane)
    assert await queue.claimed(1, kind) == ["a"]


async def test_jobs_of_a_paused_task_are_left(queue):
    await queue.add("a")
    await queue.add("b", where={"gpu": ["x"]})
    await queue.do(Pause("lift", True))
    await queue.do(Pause("lift", True))
    kinds = ("lift", 'lift {"gpu":["x"]}')
    assert await queue.claimed(9, *kinds) == []
    await queue.do(Pause("lift", False))
    assert await queue.claimed(9, *kinds) == ["a", "b"]


# -- cancel, revive, look --------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(JobState))
async def test_cancel_in_each_state(queue, state):
    await queue.in_state(state)
    stopped = await queue.cancel("a", "enough", now=4.0)
    job = stopped.record
    assert job == await queue.look("a")
    if state is JobState.RUNNING:
        assert (job.state, job.cancelling) == (state, "enough")
        assert (await queue.cancel("a", "again")).record.cancelling == "enough"
        assert (await queue.finish("a", "retry", at=9.0)).state is JobState.CANCELLED
    elif state.ended:
        assert job.state is state
    else:
        assert (job.state, job.cancelling, job.ended) == (JobState.CANCELLED, "enough", 4.0)
        assert await queue.claimed(now=99.0) == []
        assert (await queue.due(99.0)).ready == []


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ("succeed", JobState.SUCCEEDED),
        ("fail", JobState.FAILED),
        ("release", JobState.CANCELLED),
        ("cancel", JobState.CANCELLED),
    ],
)
async def test_the_end_of_a_job_that_is_being_cancelled(queue, event, outcome):
    await queue.add("a")
    await queue.claim()
    await queue.cancel("a")
    assert (await queue.finish("a", event)).state is outcome


async def test_only_its_owner_reaches_a_job(queue):
    await queue.add("a")
    assert await queue.look("a", "other@example.org") is None
    assert await queue.cancel("a", owner="other@example.org") is None
    assert await queue.look("zz") is None
    assert await queue.cancel("zz") is None
    assert await queue.revive("zz") is None
    assert (await queue.look("a", OWNER)).id == "a"
    await queue.cancel("a", owner=OWNER)
    assert await queue.revive("a", owner="other@example.org") is None
    assert (await queue.revive("a", owner=OWNER)).state is JobState.AVAILABLE


@pytest.mark.parametrize("state", list(JobState))
async def test_revive_in_each_state(queue, state):
    await queue.in_state(state)
    job = await queue.revive("a", now=50.0)
    if JobEvent.REVIVE not in TRANSITIONS[state]:
        assert job is None
        assert await queue.state("a") is state
        return
    assert (job.state, job.runs, job.failure, job.ended) == (JobState.AVAILABLE, 0, None, None)
    assert (job.cancelling, job.delivered, job.due) == (None, False, 50.0)
    (claimed,) = await queue.claim()
    assert (claimed.attempt, claimed.runs) == (job.attempt + 1, 1)
    if state is JobState.FAILED:
        assert claimed.attempt == 2
        assert not (await queue.finish("a", attempt=1)).stands


async def test_a_revived_job_has_its_whole_time_again(queue):
    await queue.add("a", timeout=10.0)
    await queue.cancel("a")
    for now in (100.0, 200.0):
        assert (await queue.revive("a", now=now)).deadline == now + 10.0
        await queue.cancel("a")


async def test_look_tells_who_hears_of_the_outcome(queue):
    await queue.add("a", reply_to="app@example.org/1")
    assert (await queue.look("a", reply_to="app@example.org/2")).reply_to == "app@example.org/2"
    assert await queue.look("a", "other@example.org", reply_to="other@example.org/1") is None
    assert (await queue.look("a")).reply_to == "app@example.org/2"
    assert (await queue.store.read(Look("a"))).id == "a"
    assert await queue.store.read(Look("zz")) is None


async def test_delivered_is_noted_of_ended_jobs(queue):
    await queue.add("a", "b")
    await queue.claim(1)
    await queue.finish("a")
    for _ in range(2):
        assert await queue.delivered("a", "b", "zz") is None
    assert [(await queue.look(job)).delivered for job in "ab"] == [True, False]


# -- time ------------------------------------------------------------------------------------------


async def test_a_delayed_job_waits_for_its_time(queue):
    first, second = await queue.add("a", "b", delay=5.0, now=1.0)
    assert (first.state, second.state) == (JobState.SCHEDULED, JobState.SCHEDULED)
    await queue.add("c", at=3.0)
    assert await queue.claimed(now=99.0) == []
    moved = await queue.due(3.0)
    assert (moved.ready, moved.next) == (["lift"], 6.0)
    assert await queue.claimed() == ["c"]
    moved = await queue.due(7.0, most=1)
    assert moved.next <= 7.0
    await queue.due(7.0)
    assert await queue.claimed() == ["a", "b"]
    assert (await queue.due(7.0)).next is None


async def test_what_was_not_begun_in_time_expires(queue):
    await queue.add("a", delay=5.0, expires=2.0)
    await queue.add("b", expires=2.0)
    await queue.add("c", timeout=2.0)
    await queue.add("d")
    assert (await queue.due(0.0)).next == 2.0
    moved = await queue.due(2.0)
    assert sorted(moved.ended) == ["b", "c"]
    assert moved.next == 5.0
    failures = [(await queue.look(job)).failure for job in "bc"]
    assert [failure.code for failure in failures] == ["expired", "timeout"]
    await queue.due(5.0)
    assert (await queue.due(6.9)).ended == []
    assert (await queue.due(7.0)).ended == ["a"]
    assert await queue.claimed(now=7.0) == ["d"]


async def test_a_job_that_was_begun_in_time_does_not_expire(queue):
    await queue.add("a", expires=2.0)
    await queue.add("b", timeout=4.0)
    await queue.claim(now=1.0)
    await queue.finish("a", "retry", at=3.0, now=1.0)
    await queue.finish("b", "retry", at=99.0, now=1.0)
    moved = await queue.due(50.0)
    assert (moved.ended, moved.ready) == (["b"], ["lift"])


# -- the table of states ---------------------------------------------------------------------------


BROUGHT = [  # `expire`, and `fail` of what does not run, come of time and of parents: see there
    (state, event)
    for state in JobState
    for event in JobEvent
    if event is not JobEvent.EXPIRE
    and (event is not JobEvent.FAIL or state is JobState.RUNNING or state.ended)
]


@pytest.mark.parametrize(("state", "event"), BROUGHT)
async def test_states_follow_the_table(queue, state, event):
    await queue.in_state(state)
    match event:
        case JobEvent.DUE:
            await queue.due(20.0)
        case JobEvent.START:
            await queue.claim()
        case JobEvent.CANCEL if state is not JobState.RUNNING:
            await queue.cancel("a")
        case JobEvent.REVIVE:
            await queue.revive("a")
        case _:
            await queue.finish("a", event.value, at=9.0)
    assert await queue.state("a") is TRANSITIONS[state].get(event, state)


@pytest.mark.parametrize(
    "state", [state for state, events in TRANSITIONS.items() if JobEvent.EXPIRE in events]
)
async def test_what_can_expire_expires(queue, state):
    await queue.add("a", timeout=30.0, delay=10.0 if state is JobState.SCHEDULED else 0.0)
    if state is JobState.RETRYABLE:
        await queue.claim()
        await queue.finish("a", "retry", at=40.0)
    assert await queue.state("a") is state
    assert (await queue.due(30.0)).ended == ["a"]
    assert await queue.state("a") is TRANSITIONS[state][JobEvent.EXPIRE]


# -- what repeats ----------------------------------------------------------------------------------


async def test_a_turn_is_done_in_its_order(queue):
    added, claimed, finished, seen = await queue.do(
        new("a"),
        Claim(NODE, WORKER, ["lift"], 1, 0.0),
        Finish("a", 1, "succeed", 0.0, result=Raw(b"1")),
        Look("a"),
    )
    assert added.is_new
    assert claimed[0].id == "a"
    assert finished.stands
    assert (seen.state, json(seen.result)) == (JobState.SUCCEEDED, 1)
    assert seen.options == NO_OPTIONS


async def test_nothing_to_do_is_nothing(queue):
    assert await queue.store.apply([]) == []


# -- large ones ------------------------------------------------------------------------------------


LARGE = ['"%s"' % ("x" * 12_000), '"%s"' % ("ä" * 6_000)]  # as many bytes


async def claimed_in_parts(queue, most_bytes=64_000, now=0.0):
    """What two workers get of large jobs. No database gives an answer of a gigabyte."""
    parts, ids, more = 0, [], True
    while more:
        taken = await queue.do(
            *(Claim(NODE, name, ["lift"], 7, now, most_bytes) for name in ("w1", "w2"))
        )
        assert sum(map(len, taken)) * 12_000 <= 2 * most_bytes
        parts, ids = parts + 1, ids + [record.id for each in taken for record in each]
        more = any(each.more for each in taken)
    assert parts > 1
    return ids


@pytest.mark.parametrize("large", LARGE, ids=["narrow", "wide"])
async def test_large_jobs_are_claimed_in_parts(queue, large):
    names = [f"j{number}" for number in range(12)]
    await queue.add(*names, args=f"[{large}]")
    assert await claimed_in_parts(queue) == names


async def test_jobs_that_are_over_do_not_hide_how_large_the_others_are(queue):
    await queue.add(*(f"over{number}" for number in range(7)), expires=1.0)
    names = [f"j{number}" for number in range(4)]
    await queue.add(*names, args=f"[{LARGE[0]}]")
    assert await claimed_in_parts(queue, most_bytes=20_000, now=5.0) == names


async def test_many_small_jobs_are_not_all_in_one_answer_either(queue):
    names = [f"j{number:02}" for number in range(90)]
    await queue.add(*names, args=f'[{LARGE[0][:1800]}"]', meta={"trace": "x" * 1000})
    ids, sizes, more = [], [], True
    while more:
        claims = [Claim(NODE, name, ["lift"], 30, 0.0, 30_000) for name in ("w1", "w2", "w3")]
        taken = await queue.do(*claims)
        sizes += [len(each) * 2_800 for each in taken[1:] if len(taken[0]) * 2_800 > 30_000]
        ids += [record.id for each in taken for record in each]
        more = any(each.more for each in taken)
    assert ids == names
    assert sizes
    assert set(sizes) == {0}  # one alone was more than enough


@pytest.mark.parametrize("large", LARGE, ids=["narrow", "wide"])
async def test_jobs_that_come_after_a_large_result_are_claimed_in_parts(queue, large):
    await queue.add("parent")
    await queue.claim(1)
    children = [f"j{number}" for number in range(12)]
    await queue.add(*children, after=["parent"])
    await queue.finish("parent", result=Raw(large.encode()))
    assert await claimed_in_parts(queue) == children
