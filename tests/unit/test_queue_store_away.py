"""A store that goes away, comes back, or loses an answer: through all parts of a queue."""

import asyncio
import logging

import pytest
from msgspec import Raw

from jabot.errors import StoreError
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Heartbeat,
    Hello,
    Query,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Adopt, Finish, Look, Orphans
from unit.clock import turns
from unit.queue_house import APP, APP_TOO, BOT, BOT_TOO, House

LATER = "resource-constraint"


@pytest.fixture
async def house(clock, monkeypatch):
    async with House(monkeypatch, clock) as house:
        house.clock = clock
        yield house


async def back(house):
    """The store is there again, and tried again."""
    house.shelf.away = False
    await house.clock.advance(6)


# -- the store is away -----------------------------------------------------------------------------


async def test_what_comes_meanwhile_is_to_be_said_again(house):
    house.shelf.away = True
    await house.submit("j1")
    assert house.answers(APP) == [LATER]
    await back(house)
    assert await house.record("j1") is None
    await house.submit("j1")
    assert house.answers(APP) == [""]


async def test_all_that_waits_is_answered_not_a_part_of_it(house, monkeypatch):
    """Else who waits for long says it again, and more waits each time."""
    monkeypatch.setattr("jabot.queue.ledger._MOST", 2)
    house.shelf.away = True
    for number in range(9):
        house.say(APP, Submit(f"j{number}", "lift"))
    await turns()
    assert house.answers(APP) == [LATER] * 9
    assert house.serving.ledger._waiting == []


async def test_an_outcome_is_said_again_and_kept_once(house):
    await house.working("j1")
    house.shelf.away = True
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.answers(BOT) == [LATER]
    assert house.heard(APP) == []
    await back(house)
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.answers(BOT) == [""]
    assert house.heard(APP, Succeeded) == [Succeeded("j1", 1, Raw(b"5"))]


async def test_whoever_is_to_be_told_is_told_when_the_store_is_back(house):
    """A question that nobody would ask again is kept."""
    await house.submit("j1")
    house.shelf.away = True
    house.serving.callers.tell_of(["j1"])
    await turns()
    await house.shelf._store.apply([_cancel("j1")])
    await back(house)
    assert house.heard(APP, Cancelled) == [Cancelled("j1", 1, "it was cancelled")]


def _cancel(job):
    from jabot.queue.store.verbs import Cancel as CancelVerb

    return CancelVerb(job, None, "", 0.0)


async def test_a_lost_worker_is_found_out_when_the_store_is_back(house):
    await house.working("j1")
    house.see(BOT, "unavailable")
    house.shelf.away = True
    await house.clock.advance(2)
    assert (await house.record("j1")).state is JobState.RUNNING
    await back(house)
    assert await losses(house) == ["lost"]


async def losses(house, job="j1"):
    """How the attempts of a job ended."""
    return [attempt.outcome for attempt in (await house.record(job)).history]


async def test_a_store_that_is_away_from_the_start(clock, monkeypatch):
    async with House(monkeypatch, clock) as first:
        await first.submit("j1")
        store = first.shelf._store

        async def nothing():
            return []

        monkeypatch.setattr(store, "open", nothing)
        monkeypatch.setattr(store, "close", nothing)
    house = House(monkeypatch, clock, store=store)
    house.shelf.away = True
    async with house:
        await house.work()
        assert house.heard(BOT) == []
        house.shelf.away = False
        await clock.advance(6)
        assert [frame.id for frame in house.heard(BOT, Submit)] == ["j1"]
    monkeypatch.undo()
    await store.close()


async def test_the_log_says_so_once_and_when_it_is_over(house, caplog):
    caplog.set_level(logging.WARNING, "jabot.queue.ledger")
    house.shelf.away = True
    for number in range(5):
        await house.submit(f"j{number}")
        await house.clock.advance(1)
    await back(house)
    await house.submit("j9")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "the store is away; I try again and again, and take nothing meanwhile",
        "the store can be used again",
    ]


async def test_it_is_not_tried_all_the_time(house):
    tried = 0
    apply = house.shelf.apply

    async def counted(verbs):
        nonlocal tried
        tried += 1
        return await apply(verbs)

    house.serving.ledger._store.apply = counted
    house.shelf.away = True
    await house.submit("j1")
    await house.clock.advance(60)
    assert 12 <= tried <= 18  # after 0.25, 0.5, 1, 2, 4 and then every 5 s


async def test_a_store_that_is_of_no_use_any_more_stops_the_queue(clock, monkeypatch):
    house = House(monkeypatch, clock)
    async with house:

        async def damaged(verbs):
            raise StoreError("jobs.db is damaged")

        house.shelf.apply = damaged
        await house.submit("j1")
        assert house.answers(APP) == []  # its connection ends, and it says it to the next one
        with pytest.raises(StoreError, match="damaged"):
            await house._working
        house._working = asyncio.ensure_future(asyncio.sleep(0))


async def test_one_that_cannot_be_done_spoils_no_others(house, monkeypatch):
    apply = house.shelf._store.apply

    async def picky(verbs):
        if any(type(verb) is Look for verb in verbs):
            raise ValueError("no looks")
        return await apply(verbs)

    monkeypatch.setattr(house.shelf._store, "apply", picky)
    house.say(APP, Query("j9"))
    house.say(APP, Submit("j1", "lift"))
    await turns()
    assert sorted(house.answers(APP)) == ["", LATER]


async def test_the_store_goes_while_parts_of_a_transaction_are_tried_one_by_one(house, monkeypatch):
    apply = house.shelf._store.apply

    async def picky(verbs):
        if len(verbs) > 1:
            raise ValueError("not together")
        house.shelf.away = True
        return await apply(verbs)

    monkeypatch.setattr(house.shelf._store, "apply", picky)
    for job in ("j1", "j2", "j3"):
        house.say(APP, Submit(job, "lift"))
    await turns()
    assert house.answers(APP) == ["", LATER, LATER]
    assert house.serving.ledger.problem is not None
    monkeypatch.setattr(house.shelf._store, "apply", apply)
    await back(house)
    assert house.serving.ledger.problem is None


# -- the answer to a commit is lost ----------------------------------------------------------------


async def test_a_submit_whose_answer_was_lost_is_the_same_job(house):
    house.shelf.deaf = 1
    await house.submit("j1")
    assert house.answers(APP) == [LATER]
    await back(house)
    await house.submit("j1")
    assert house.answers(APP) == [""]
    await house.work()
    assert [frame.id for frame in house.heard(BOT, Submit)] == ["j1"]


async def test_an_outcome_whose_answer_was_lost_is_told(house):
    await house.working("j1")
    house.shelf.deaf = 1
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.answers(BOT) == [LATER]
    await back(house)
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.answers(BOT) == [""]
    assert house.heard(APP, Succeeded) == [Succeeded("j1", 1, Raw(b"5"))]
    assert house.serving.crew.held("j1") is None


async def test_children_that_are_free_by_it_are_given_away(house):
    await house.working("p1")
    await house.submit("c1", task="dance", after=["p1"])
    await house.work(BOT_TOO, tasks=["dance"])
    house.shelf.deaf = 1
    await house.tell(BOT, Succeeded("p1", 1, Raw(b"5")))
    await back(house)
    assert [frame.id for frame in house.heard(BOT_TOO, Submit)] == ["c1"]


async def test_who_waits_for_children_that_fell_by_it_is_told_to_ask(house):
    await house.working("p1")
    await house.submit("c1", after=["p1"], peer=APP_TOO)
    house.heard(APP_TOO)
    house.shelf.deaf = 1
    await house.tell(BOT, Failed("p1", 1, "ValueError", "no"))
    await back(house)
    assert (await house.record("c1")).state is JobState.FAILED
    assert house.heard(APP_TOO) == [Hello([])]
    await house.tell(APP_TOO, Query("c1", 1))
    assert [frame.code for frame in house.heard(APP_TOO)] == ["parent"]


async def test_what_was_claimed_then_is_asked_for_and_given_to_another(house):
    await house.submit("j1")
    house.shelf.deaf = 1
    await house.work()
    assert house.heard(BOT, Submit) == []
    await back(house)
    house.see(BOT)
    (question,) = house.heard(BOT, Query)
    assert (question.id, question.attempt) == ("j1", 1)
    await house.tell(BOT, State("j1", 1, "unknown"))
    assert await losses(house) == ["lost"]
    assert [frame.attempt for frame in house.heard(BOT, Submit)] == [2]


async def test_a_lost_worker_of_which_the_answer_was_lost_is_not_counted_twice(house):
    await house.working("j1")
    house.see(BOT, "unavailable")
    house.shelf.deaf = 1
    await house.clock.advance(2)
    await back(house)
    assert await losses(house) == ["lost"]
    assert house.serving.crew.held("j1") is None


# -- our own connection goes -----------------------------------------------------------------------


async def test_no_lease_runs_out_while_the_queue_is_offline(house):
    await house.working("j1")
    house.drop()
    await house.clock.advance(100)
    house.back()
    await house.clock.advance(10)
    await house.work(held=[("j1", 1)])
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert (await house.record("j1")).state is JobState.SUCCEEDED


async def test_who_went_before_that_has_a_whole_lease_after_it(house):
    await house.working("j1")
    house.see(BOT, "unavailable")
    house.drop()
    await house.clock.advance(100)
    house.back()
    await house.clock.advance(14)
    assert house.serving.crew.held("j1") is not None
    await house.clock.advance(2)
    assert house.serving.crew.held("j1") is None
    assert await losses(house) == ["lost"]


async def test_workers_that_had_nothing_are_forgotten_with_the_connection(house):
    await house.work(BOT)
    await house.working("j1", peer=BOT_TOO)
    house.drop()
    assert [worker.jid for worker in house.serving.crew] == [
        worker.jid for worker in house.serving.crew if worker.held
    ]
    assert len(list(house.serving.crew)) == 1


async def test_a_cancel_that_was_lost_on_its_way_is_said_again(house):
    await house.working("j1")
    await house.tell(APP, Cancel("j1", 1, "enough"))
    house.session.stanzas.clear()
    house.drop()
    house.back()
    await house.work(held=[("j1", 1)])
    assert [frame.reason for frame in house.heard(BOT, Cancel)] == ["enough"]


async def test_a_cancel_before_a_restart_reaches_the_worker_after_it(house):
    await house.working("j1")
    house.serving.crew.let_go(house.serving.crew.held("j1"))
    await house.tell(APP, Cancel("j1", 1, "enough"))
    assert house.heard(BOT) == []
    house.serving.attendance.take_over()  # as after the start
    await turns()
    assert [frame.reason for frame in house.heard(BOT, Cancel)] == ["enough"]


# -- another node of the queue ---------------------------------------------------------------------


async def test_what_another_node_has_is_not_lost_by_this_one(house):
    """Its worker went there while we were offline."""
    await house.working("j1")
    await house.shelf._store.apply([Adopt("jobs@localhost/q-2", BOT, [("j1", 1)], 0.0)])
    await house.clock.advance(16)
    assert house.shelf.said(Finish)[0].node == "jobs@localhost/q-1"
    record = await house.record("j1")
    assert (record.state, record.node) == (JobState.RUNNING, "jobs@localhost/q-2")
    assert house.serving.crew.held("j1") is None


async def test_what_another_node_took_over_by_mistake_is_taken_back(house):
    """It took us for dead, and our worker is still with us."""
    await house.working("j1")
    await house.tell(BOT, Heartbeat([("j1", 1)]))
    await house.shelf._store.apply([Adopt("jobs@localhost/q-2", BOT, [("j1", 1)], 0.0)])
    house.serving.attendance._taken_over([])  # the next pulse does not name it
    await turns()
    assert (await house.record("j1")).node == "jobs@localhost/q-1"
    assert house.serving.crew.held("j1") is not None
    assert house.heard(BOT, Cancel) == []


async def test_what_has_ended_elsewhere_is_let_go(house):
    await house.working("j1")
    await house.tell(BOT, Heartbeat([("j1", 1)]))
    await house.shelf._store.apply([Finish("j1", 1, "retry", 0.0, at=1e12)])
    house.serving.attendance._taken_over([])
    await turns()
    assert house.serving.crew.held("j1") is None
    assert [frame.id for frame in house.heard(BOT, Cancel)] == ["j1"]


async def test_a_node_without_a_connection_does_not_say_that_it_lives(house):
    before = len(house.shelf.said(Orphans))
    house.drop()
    house.serving.attendance.take_over()
    await turns()
    assert len(house.shelf.said(Orphans)) == before
    house.back()
    await turns()
    assert len(house.shelf.said(Orphans)) == before + 1


async def test_a_cancel_at_another_node_whose_word_was_lost_reaches_the_worker(house):
    await house.working("j1")
    await house.shelf._store.apply([_cancel("j1")])
    for _ in range(2):
        house.serving.attendance.take_over()  # the next pulse
        await turns()
    assert [frame.id for frame in house.heard(BOT, Cancel)] == ["j1"]


# -- what is not known here any more ---------------------------------------------------------------


async def test_an_outcome_after_a_restart_is_kept_before_it_is_answered(house):
    await house.working("j1")
    house.serving.crew.let_go(house.serving.crew.held("j1"))  # as after a restart
    house.say(BOT, Succeeded("j1", 1, Raw(b"5")))
    await asyncio.sleep(0)
    house.shelf.away = True  # it has been looked for, perhaps, but not kept
    await turns()
    assert "" not in house.answers(BOT)
    await back(house)
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert house.answers(BOT) == [""]
    assert house.heard(APP, Succeeded) == [Succeeded("j1", 1, Raw(b"5"))]
    assert (await house.record("j1")).state is JobState.SUCCEEDED


async def test_a_worker_that_goes_before_its_outcome_was_kept_has_lost_the_job(house):
    await house.working("j1")
    house.shelf.away = True
    await house.tell(BOT, Succeeded("j1", 1, Raw(b"5")))
    assert not house.serving.crew.held("j1").ending
    house.see(BOT, "unavailable")
    await back(house)
    assert await losses(house) == ["lost"]
