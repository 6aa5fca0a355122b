"""What callers and workers may say that no queue should stumble over: through all of its parts."""

import asyncio
import random

import msgspec
import pytest
from msgspec import Raw

from jabot.protocol import limits
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Heartbeat,
    Hello,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.options import JobOptions, Lane
from jabot.protocol.states import JobState
from jabot.queue.store.records import Schedule
from jabot.queue.store.verbs import Finish, PutSchedule, Schedules
from unit.clock import turns
from unit.queue_house import APP, APP_TOO, BOT, BOT_TOO, OTHER, House

WIDE = {"other@localhost": "*", "app@localhost": "*"}


@pytest.fixture
async def house(clock, monkeypatch):
    async with House(monkeypatch, clock, allow=WIDE) as house:
        yield house


async def refusal(house, peer=APP):
    """The one frame that a caller got: why its job was not taken."""
    (frame,) = house.heard(peer)
    assert isinstance(frame, Rejected)
    return frame


# -- callers ---------------------------------------------------------------------------------------


async def test_a_submit_that_cannot_be_read_is_not_taken_for_kept(house):
    await house.say_raw(APP, ["submit", "j1", "lift", {}, {}])
    assert house.answers(APP) == [""]
    frame = await refusal(house)
    assert (frame.id, frame.attempt, frame.code) == ("j1", 0, "protocol")
    assert "args is an array" in frame.message


async def test_an_unreadable_copy_of_a_job_that_is_kept_ends_nothing(house):
    await house.submit("j1")
    await house.say_raw(APP, ["submit", "j1", "lift", {}, {}])
    assert house.heard(APP) == []


@pytest.mark.parametrize("task", ["lift {", 'lift {"gpu":["a"]}', "li\nft", "li\0ft"])
async def test_a_task_of_no_name_stops_nothing(house, task):
    await house.work()
    await house.submit("j1", task)
    assert (await refusal(house)).code == "bad_arguments"
    await house.submit("j2")
    assert [frame.id for frame in house.heard(BOT)] == ["j2"]


async def test_a_kind_in_the_store_that_cannot_be_read_stops_nothing(house):
    house.serving.ready.look_for("lift {")
    await house.work()
    await house.submit("j1")
    assert [frame.id for frame in house.heard(BOT)] == ["j1"]


@pytest.mark.parametrize(
    "options",
    [
        {"key": "k\0"},
        {"unique": "u\0"},
        {"labels": {"a": "\0"}},
        {"labels": {"\0": "a"}},
        {"where": {"gpu": ["\0"]}},
        {"after": ["\0"]},
        {"lane": {"name": "\0", "slots": 1}},
    ],
)
async def test_names_with_what_a_store_would_cut_off(house, options):
    await house.say_raw(APP, ["submit", "j1", "lift", [], {}, 1, None, {}, options])
    frame = await refusal(house)
    assert (frame.code, "U+0000" in frame.message) == ("bad_arguments", True)


async def test_labels_to_run_at_that_are_more_than_a_store_can_sort_by(house):
    fits = {"gpu": ["x" * 60] * 25}  # 1,589 bytes with the task's name
    await house.submit("j1", where=fits)
    assert await house.record("j1") is not None
    for where in ({"gpu": ["ä" * 60] * 25}, {"gpu": fits["gpu"] * 2}):
        await house.submit("j2", where=where)
        frame = await refusal(house)
        assert (frame.code, frame.message.partition(":")[0]) == ("bad_arguments", "where")
    await house.say_raw(
        APP, ["submit", "j3", "lift", [], {}, 1, None, {}, {"where": {"gpu": ["x"] * 257}}]
    )
    frame = await refusal(house)
    assert frame.message.startswith("an option cannot be used: ")
    assert [await house.record(job) for job in ("j2", "j3")] == [None, None]


async def test_an_id_with_such_a_character_is_no_other_job(house):
    await house.submit("a")
    await house.submit("a\0b")
    assert "U+0000" in (await refusal(house)).message


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 101},
        {"delay": -1},
        {"delay": 1e300},
        {"key": ""},
        {"key": "k" * 257},
        {"expires": "soon"},
        {"retry": {"attempts": 0}},
        {"lane": {"name": "l", "rate": 0}},
        {"after": [f"p{n}" for n in range(1001)]},
        {"at": 1e30},
        [],
        "urgent",
    ],
)
async def test_options_out_of_range(house, options):
    await house.say_raw(APP, ["submit", "j1", "lift", [], {}, 1, None, {}, options])
    frame = await refusal(house)
    assert (frame.id, frame.attempt, frame.code) == ("j1", 1, "bad_arguments")
    assert frame.message.startswith("an option cannot be used: ")
    assert await house.record("j1") is None


async def test_arguments_larger_than_a_worker_is_sent(house):
    half = Raw(b'["' + b"x" * (limits.PAYLOAD // 2) + b'"]')
    kwargs = Raw(b'{"a":"' + b"x" * (limits.PAYLOAD // 2) + b'"}')
    await house.tell(APP, Submit("j1", "lift", half, kwargs))
    frame = await refusal(house)
    assert (frame.code, "16 MiB are carried" in frame.message) == ("too_large", True)
    await house.tell(APP, Submit("j2", "lift", half))
    assert house.heard(APP) == []
    assert await house.record("j2") is not None


async def test_results_of_parents_that_are_too_much_together_with_its_arguments(house):
    await house.submit("p1")
    await house.work()
    await house.tell(BOT, Succeeded("p1", 1, Raw(b'"' + b"x" * (12 * limits.MIB) + b'"')))
    await house.submit("c1", args=Raw(b'["' + b"y" * (12 * limits.MIB) + b'"]'), after=["p1"])
    await house.submit("c2")
    assert [frame.id for frame in house.heard(BOT)] == ["p1", "c2"]
    failed = house.heard(APP, Failed)
    assert [(frame.id, frame.code) for frame in failed] == [("c1", "too_large")]
    assert "cannot be sent to a worker" in failed[0].message


async def test_results_of_parents_that_are_too_much_by_themselves(house):
    big = Raw(b'"' + b"x" * (9 * limits.MIB) + b'"')
    await house.work()
    for job in ("p1", "p2"):
        await house.submit(job)
        await house.tell(BOT, Succeeded(job, 1, big))
    house.heard(APP)
    await house.submit("c1", after=["p1", "p2"])
    (failed,) = house.heard(APP, Failed)
    assert (failed.type, failed.code) == ("TooLarge", "too_large")
    assert failed.message.startswith("the results of the jobs that it comes after are 18.0 MiB")


async def test_a_key_with_other_arguments_names_the_job_that_has_it(house):
    await house.submit("j1", key="k")
    await house.submit("j2", key="k", args=Raw(b"[1]"))
    frame = await refusal(house)
    assert frame.code == "key_reused"
    assert frame.message == "the key 'k' stands for another job, j1"


async def test_the_id_of_anothers_job(house):
    await house.submit("j1")
    await house.submit("j1", peer=OTHER)
    frame = await refusal(house, OTHER)
    assert (frame.code, frame.message) == ("protocol", "the id j1 is another job's")
    await house.tell(OTHER, Cancel("j1", 3), Query("j1", 2))
    assert house.heard(OTHER) == [State("j1", 3, "unknown"), State("j1", 2, "unknown")]
    assert (await house.record("j1")).state is JobState.AVAILABLE


async def test_a_job_that_the_store_can_never_keep_is_refused(house, monkeypatch):
    apply = house.shelf._store.apply

    async def picky(verbs):
        if any(getattr(verb, "id", "") == "j1" for verb in verbs):
            raise ValueError("no room for j1 in the index")
        return await apply(verbs)

    monkeypatch.setattr(house.shelf._store, "apply", picky)
    await house.tell(APP, Submit("j1", "lift"))
    await house.submit("j2")
    assert house.answers(APP) == ["", ""]
    frame = await refusal(house)
    assert (frame.id, frame.code) == ("j1", "bad_arguments")
    assert frame.message == "it cannot be kept: no room for j1 in the index"
    assert await house.record("j2") is not None


async def test_a_reason_of_full_length_is_told_to_who_waits_for_the_children(house):
    await house.submit("p1")
    await house.submit("c1", after=["p1"])
    await house.tell(APP, Cancel("p1", 1, "w" * limits.TEXT))
    (failed,) = house.heard(APP, Failed)
    assert (failed.type, len(failed.message)) == ("ParentFailed", limits.TEXT)


# -- workers ---------------------------------------------------------------------------------------


async def working(house, *jobs, peer=BOT, **more):
    """Jobs that a worker has."""
    await house.work(peer)
    for job in jobs:
        await house.submit(job, **more)
    return [frame.attempt for frame in house.heard(peer, Submit)]


async def test_a_result_that_is_too_large(house):
    await working(house, "j1")
    await house.tell(BOT, Succeeded("j1", 1, Raw(b'"' + b"x" * limits.PAYLOAD + b'"')))
    (failed,) = house.heard(APP)
    assert (failed.type, failed.code) == ("TooLarge", "too_large")
    assert "the result cannot be kept: 16.0 MiB as JSON" in failed.message
    assert house.answers(BOT)[-1] == ""


async def test_a_result_that_the_store_can_never_keep_fails_the_job(house, monkeypatch):
    await working(house, "j1")
    apply = house.shelf._store.apply

    async def picky(verbs):
        if any(type(verb) is Finish and verb.event == "succeed" for verb in verbs):
            raise ValueError("not this")
        return await apply(verbs)

    monkeypatch.setattr(house.shelf._store, "apply", picky)
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"1")))
    (failed,) = house.heard(APP)
    assert failed.message == "its outcome cannot be kept: not this"
    assert house.answers(BOT)[-1] == ""


async def test_an_outcome_that_cannot_be_read_is_committed_before_it_is_answered(house):
    await working(house, "j1")
    house.answers(BOT)
    house.shelf.stuck = asyncio.Event()
    await house.say_raw(BOT, ["succeeded", "j1", "first"])
    assert house.answers(BOT) == []
    house.shelf.stuck.set()
    await turns()
    assert house.answers(BOT) == [""]
    (failed,) = house.heard(APP)
    assert failed.message.startswith("unreadable: ")


@pytest.mark.parametrize(
    "frame",
    [
        Succeeded("j1", 1, Raw(b"5")),
        Failed("j1", 1, "ValueError", "no"),
        Cancelled("j1", 1),
        Rejected("j1", 1, "bad_arguments", "no"),
        Rejected("j1", 0, "protocol", "no"),
    ],
)
async def test_nobody_ends_what_another_has(house, frame):
    await working(house, "j1")
    await house.work(BOT_TOO)
    await house.tell(BOT_TOO, frame)
    assert (await house.record("j1")).state is JobState.RUNNING
    assert house.heard(APP) == []


@pytest.mark.parametrize("attempt", [2, 7])
async def test_an_attempt_that_never_was_ends_nothing(house, attempt):
    await working(house, "j1")
    await house.tell(BOT, Succeeded("j1", attempt, Raw(b"5")))
    assert (await house.record("j1")).state is JobState.RUNNING


async def test_who_may_not_work_here_ends_nothing_and_is_told_nothing(house):
    await working(house, "j1")
    held = house.serving.crew.held("j1")
    await house.tell(OTHER, Heartbeat([("j1", 1)]), Succeeded("j1", 1), State("j1", 1, "unknown"))
    await house.tell(OTHER, Hello([("j1", 1)], 4, Raw(b'{"lift":{}}')))
    assert [frame.code for frame in house.heard(OTHER)] == ["not_allowed"]
    assert house.serving.crew.held("j1") is held
    assert house.serving.crew.get(OTHER) is None


async def test_hello_with_attempts_that_are_not_its_own(house):
    await working(house, "j1")
    await house.work(BOT_TOO, held=[("j1", 1), ("j9", 4)])
    assert {frame.id for frame in house.heard(BOT_TOO, Cancel)} == {"j1", "j9"}
    assert house.serving.crew.held("j1").worker == BOT
    assert (await house.record("j1")).worker == BOT


async def test_a_heartbeat_for_what_is_not_its_own_is_answered_with_a_stop(house):
    await working(house, "j1")
    await house.work(BOT_TOO)
    await house.tell(BOT_TOO, Heartbeat([("j1", 1)]))
    assert [frame.id for frame in house.heard(BOT_TOO, Cancel)] == ["j1"]
    assert house.heard(BOT, Cancel) == []


async def test_a_heartbeat_before_the_store_has_answered_its_hello_stops_nothing(house):
    """After a restart of the queue, whose store is slow."""
    await working(house, "j1")
    held = house.serving.crew.held("j1")
    house.serving.crew.let_go(held)  # as after a restart
    house.shelf.stuck = asyncio.Event()
    await house.work(held=[("j1", 1)])
    await house.tell(BOT, Heartbeat([("j1", 1)]))
    house.shelf.stuck.set()
    await turns()
    assert house.heard(BOT, Cancel) == []
    assert house.serving.crew.held("j1").acked
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.heard(APP) == [Succeeded("j1", 1, Raw(b"5"))]


async def test_a_job_that_takes_longer_than_a_lease_to_be_sent(house, clock):
    await house.work()
    house.takes_nothing.add(BOT)
    noise = random.Random(1).randbytes(700_000).hex().encode()
    await house.submit("j1", args=Raw(b'["' + noise + b'"]'))
    assert house.heard(BOT) == []  # it has eight parts of it, and answers none
    for _ in range(6):
        await clock.advance(4)
        await house.tell(BOT, Heartbeat([]))
    house.takes_nothing.clear()
    assert [frame.attempt for frame in await settled(house, BOT)] == [1]
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.heard(APP, Succeeded) == [Succeeded("j1", 1, Raw(b"5"))]


async def test_a_worker_that_claims_more_slots_than_anybody_has(house):
    for number in range(30):
        await house.submit(f"j{number}")
    await house.work(slots=2**52)
    assert len(house.heard(BOT, Submit)) == 30
    assert house.serving.crew.get(BOT).slots <= 100_000


async def test_tasks_that_cannot_be_read(house):
    await house.tell(BOT, Hello([], 4, Raw(b'{"lift":{"priority":"high"}}')))
    (frame,) = house.heard(BOT)
    assert (frame.id, frame.code) == ("hello", "bad_arguments")
    await house.submit("j1")
    assert house.heard(BOT) == []


async def test_a_worker_that_has_not_the_task_gets_no_more_of_it(house):
    await working(house, "j1")
    await house.tell(BOT, Rejected("j1", 1, "unknown_task", "there is no task lift here"))
    assert house.heard(BOT) == []
    record = await house.record("j1")
    assert (record.state, record.runs) == (JobState.AVAILABLE, 0)


async def test_a_worker_that_takes_nothing_gets_nothing_before_it_says_hello(house):
    await working(house, "j1")
    await house.tell(BOT, Rejected("j1", 1, "draining", "I am stopping"))
    assert house.heard(BOT) == []
    await house.work()
    assert [frame.attempt for frame in house.heard(BOT, Submit)] == [2]


# -- a submitter that takes nothing ----------------------------------------------------------------


async def test_a_submitter_that_takes_nothing_is_remembered_by_ids(house, monkeypatch):
    monkeypatch.setattr("jabot.queue.debts.MOST", 3)
    monkeypatch.setattr("jabot.protocol.limits.PILE_FRAMES", 1)
    await house.work(slots=40)
    for number in range(40):
        await house.submit(f"j{number}")
    house.takes_nothing.add(APP)
    house.heard(BOT)
    for number in range(40):
        await house.tell(BOT, Succeeded(f"j{number}", 1, Raw(b"5")))
    debt = house.serving.callers._debts._debts[APP]
    assert len(debt.ids) == 3
    assert debt.behind
    house.takes_nothing.clear()
    heard = await settled(house)
    told = {frame.id for frame in heard if isinstance(frame, Succeeded)}
    assert 3 < len(told) < 40
    while any(isinstance(frame, Hello) for frame in heard):  # ask for all that you wait for
        rest = [f"j{number}" for number in range(40) if f"j{number}" not in told]
        before = len(told)
        await house.tell(APP, *(Query(job, 1) for job in rest))
        heard = await settled(house)
        told |= {frame.id for frame in heard if isinstance(frame, Succeeded)}
        assert len(told) > before
    assert told == {f"j{number}" for number in range(40)}


async def settled(house, peer=APP):
    """All that a peer gets when it takes everything."""
    heard = []
    for _ in range(60):
        heard += house.heard(peer)
        await turns()
    return heard


async def test_who_has_an_outcome_is_no_listener_any_more(house):
    await working(house, "j1")
    await house.tell(APP_TOO, Query("j1", 1))
    assert house.serving.callers._listeners == 1
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert [frame.id for frame in house.heard(APP_TOO, Succeeded)] == ["j1"]
    assert house.serving.callers._listeners == 0
    assert house.serving.callers._besides == house.serving.callers._of_peer == {}


@pytest.mark.parametrize("how", ["gone", "bounced"])
async def test_who_goes_is_owed_nothing_and_asks_when_it_is_back(house, how):
    await working(house, "j1")
    house.serving.callers._debts.owe(APP, "j0")
    if how == "gone":
        house.see(APP, "unavailable")
    else:
        house.link.push(APP, State("j9", 0, "unknown"))
        await turns()
        ((_, _, batch),) = [entry for entry in house.take() if entry[0] == APP]
        house.answer(APP, batch, "service-unavailable")
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert APP not in house.serving.callers._debts
    assert house.heard(APP) == []
    await house.tell(APP, Query("j1", 1))
    assert house.heard(APP) == [Succeeded("j1", 1, Raw(b"5"))]


async def unanswered(house, peer):
    """The id of the one batch that a peer has not answered."""
    house.takes_nothing.add(peer)
    house.heard(peer)
    ((_, batch),) = house._unanswered
    house._unanswered.clear()
    return batch


async def test_a_worker_that_refuses_what_it_is_sent_gets_no_more(house):
    await house.work()
    house.heard(BOT)
    await house.submit("j1")
    house.answer(BOT, await unanswered(house, BOT), "bad-request")
    await turns()
    record = await house.record("j1")
    assert (record.state, record.runs) == (JobState.AVAILABLE, 0)
    await house.submit("j2")
    assert house.heard(BOT) == []
    await house.work()
    assert {frame.id for frame in house.heard(BOT, Submit)} == {"j1", "j2"}


async def test_a_batch_that_comes_back_releases_only_what_its_worker_has_not(house, clock):
    await house.work()
    house.heard(BOT)
    await house.submit("j1")
    batch = await unanswered(house, BOT)
    await house.tell(BOT, Heartbeat([("j1", 1)]))  # it came before that
    house.answer(BOT, batch, "service-unavailable")
    await turns()
    assert (await house.record("j1")).state is JobState.RUNNING
    await clock.advance(2)
    assert [attempt.outcome for attempt in (await house.record("j1")).history] == ["lost"]


async def test_the_next_of_a_rate_is_begun_when_its_time_has_come(house, clock):
    await house.work()
    for job in ("j1", "j2", "j3"):
        await house.submit(job, lane=Lane("slow", rate=0.5))
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j1"]
    await clock.advance(1.9)
    assert house.heard(BOT) == []
    await clock.advance(0.2)
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j2"]
    await clock.advance(2.1)
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j3"]


async def test_a_worker_that_was_silent_and_speaks_is_given_jobs_again(house, clock):
    await house.work()
    house.serving.crew.get(BOT).silent = True
    await house.submit("j1")
    assert house.heard(BOT) == []
    await house.tell(BOT, Heartbeat([]))
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j1"]


@pytest.mark.parametrize(
    "state", [State("j1", 1, "running"), State("j1", 2, "unknown"), State("j2", 1, "unknown")]
)
async def test_only_that_it_does_not_know_the_attempt_loses_it(house, state):
    await working(house, "j1")
    await house.tell(BOT, state)
    assert (await house.record("j1")).state is JobState.RUNNING
    assert house.serving.crew.held("j1").attempt == 1


async def test_who_asks_under_too_many_ids_is_told_so(house, monkeypatch):
    monkeypatch.setattr("jabot.queue.callers._MOST_OF_PEER", 2)
    await house.submit("j0", key="k")
    for number in range(1, 4):
        await house.submit(f"j{number}", key="k", peer=APP_TOO)
    frame = await refusal(house, APP_TOO)
    assert (frame.id, frame.code) == ("j3", "too_many_jobs")
    await house.tell(APP_TOO, Query("j3", 1))
    assert (await refusal(house, APP_TOO)).code == "too_many_jobs"
    house.see(APP_TOO, "unavailable")
    await house.tell(APP_TOO, Query("j3", 1))
    assert house.heard(APP_TOO) == [State("j3", 0, "available")]


async def test_who_submitted_a_job_may_ask_for_any_number_of_them(house, monkeypatch):
    monkeypatch.setattr("jabot.queue.callers._MOST_OF_PEER", 0)
    for number in range(3):
        await house.submit(f"j{number}")
        await house.tell(APP, Query(f"j{number}", 1))
    assert {type(frame) for frame in house.heard(APP)} == {State}
    await house.work()
    house.heard(BOT)
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert [frame.id for frame in house.heard(APP)] == ["j1"]


async def test_more_jobs_than_one_account_may_have(clock, monkeypatch):
    async with House(monkeypatch, clock, allow=WIDE, jobs_per_caller=2) as house:
        for job in ("j1", "j2", "j3"):
            await house.submit(job)
        frame = await refusal(house)
        assert (frame.id, frame.code) == ("j3", "too_many_jobs")
        assert frame.message == (
            "2 of your jobs in this queue are unfinished, and 2 are allowed: "
            "wait for some of them, or cancel some"
        )
        await house.submit("j4", peer=OTHER)
        assert house.heard(OTHER) == []
        await house.tell(APP, Cancel("j1", 1))
        house.heard(APP)
        await house.submit("j3")
        assert house.heard(APP) == []


async def test_a_schedule_of_an_account_that_has_too_many(clock, monkeypatch):
    async with House(monkeypatch, clock, jobs_per_caller=1) as house:
        await house.submit("j1")
        job = Raw(b"[]"), Raw(b"{}"), JobOptions()
        schedule = Schedule("s", "app@localhost", "lift", *job, every=60.0, next=clock.now + 1)
        await house.shelf._store.apply([PutSchedule(schedule, None)])
        house.serving.calendar.reload()
        await clock.advance(5)
        (found,) = (await house.shelf._store.apply([Schedules()]))[0]
        assert found.problem.startswith("its job was refused: 1 of your jobs in this queue")
        assert found.next == schedule.next + 60
        await house.tell(APP, Cancel("j1", 1))
        await clock.advance(60)
        (found,) = (await house.shelf._store.apply([Schedules()]))[0]
        assert (found.problem, found.last) == ("", schedule.next + 60)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"owner": "@"}, "@"),
        ({"every": None, "cron": "0 3 * * *", "zone": "Atlantis"}, "no time zone 'Atlantis'"),
        ({"every": None, "cron": "0 3 * * *", "next": -1e15}, "no time can be made of -1e+15"),
        ({"owner": "eve@evil"}, "may not run lift"),
    ],
)
async def test_a_schedule_that_cannot_fire_keeps_no_others_from_it(clock, monkeypatch, broken, why):
    async with House(monkeypatch, clock) as house:
        job = Raw(b"[]"), Raw(b"{}"), JobOptions()
        good = Schedule("good", "app@localhost", "lift", *job, every=60.0, next=clock.now + 1)
        bad = msgspec.structs.replace(good, name="bad", **broken)
        await house.shelf._store.apply([PutSchedule(bad, None), PutSchedule(good, None)])
        house.serving.calendar.reload()
        await clock.advance(5)
        bad, good = (await house.shelf._store.apply([Schedules()]))[0]
        assert why in bad.problem
        assert bad.last is None
        assert (good.problem, good.last) == ("", good.next - 60)
