"""What callers may say that no queue should stumble over: through all of its parts."""

import msgspec
import pytest
from msgspec import Raw

from jabot.protocol import limits
from jabot.protocol.frames import Cancel, Failed, Hello, Query, Rejected, State, Submit, Succeeded
from jabot.protocol.options import JobOptions
from jabot.protocol.states import JobState
from jabot.queue.store.records import Schedule
from jabot.queue.store.verbs import PutSchedule, Schedules
from unit.clock import turns
from unit.queue_house import APP, APP_TOO, BOT, OTHER, House


async def refusal(house, peer=APP):
    """The one frame that a caller got: why its job was not taken."""
    (frame,) = house.heard(peer)
    assert isinstance(frame, Rejected)
    return frame


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
    heard = await house.settled()
    told = {frame.id for frame in heard if isinstance(frame, Succeeded)}
    assert 3 < len(told) < 40
    while any(isinstance(frame, Hello) for frame in heard):  # ask for all that you wait for
        rest = [f"j{number}" for number in range(40) if f"j{number}" not in told]
        before = len(told)
        await house.tell(APP, *(Query(job, 1) for job in rest))
        heard = await house.settled()
        told |= {frame.id for frame in heard if isinstance(frame, Succeeded)}
        assert len(told) > before
    assert told == {f"j{number}" for number in range(40)}


async def test_who_has_an_outcome_is_no_listener_any_more(house):
    await house.working("j1")
    await house.tell(APP_TOO, Query("j1", 1))
    assert house.serving.callers._listeners == 1
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert [frame.id for frame in house.heard(APP_TOO, Succeeded)] == ["j1"]
    assert house.serving.callers._listeners == 0
    assert house.serving.callers._besides == house.serving.callers._of_peer == {}


@pytest.mark.parametrize("how", ["gone", "bounced"])
async def test_who_goes_is_owed_nothing_and_asks_when_it_is_back(house, how):
    await house.working("j1")
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
    async with House(monkeypatch, clock, jobs_per_caller=2) as house:
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
