"""Schedules fire when they are due, on a made-up clock and a store in memory."""

import asyncio
import contextlib
import logging

import msgspec
import pytest
from msgspec import Raw

from jabot import JID
from jabot.access import Access
from jabot.errors import BadArguments, NotAllowed, StoreUnavailable
from jabot.protocol.options import THIS, JobOptions, Lane
from jabot.queue import timetable
from jabot.queue.agenda import Agenda
from jabot.queue.arrivals import Arrivals
from jabot.queue.calendar import Calendar
from jabot.queue.ledger import Ledger
from jabot.queue.ready import Ready
from jabot.queue.rights import Rights
from jabot.queue.store import open_store
from jabot.queue.store.records import Schedule
from jabot.queue.store.store import Impossible
from jabot.queue.store.verbs import Cancel, Filter, Fire, List, PutSchedule, Schedules

QUEUE = JID("jobs@example.org/1")
ANN, BOB, BOSS = (JID(f"{name}@example.org/x") for name in ("ann", "bob", "boss"))
EVE = JID("eve@evil.example/x")


class Desk:
    """A calendar and an agenda on a store in memory. The wall clock is the loop's, with the days
    that it is said to be off."""

    def __init__(self, clock):
        self.clock = clock
        self.off = 1_000_000_000.0
        self.store = open_store("sqlite:///:memory:")
        self.away = False
        self.kinds = []
        self.dues = []
        self.defaults = {}
        self.most = 100  # unfinished jobs of one account
        apply = self.store.apply

        async def perhaps(verbs):
            if self.away:
                raise StoreUnavailable("the disk is full")
            return await apply(verbs)

        self.store.apply = perhaps
        self.ledger = Ledger(self.store, lambda all_goes: [], lambda: None)
        self.ready = Ready(lambda: None, lambda: None)
        self.allow({"ann@example.org": "*", "bob@example.org": ["lift"]})
        self.calendar = self.another()
        self.agenda = Agenda(
            self.store, self.ledger, self.reload, rights=self.rights, most=3, wall=self.wall
        )

    def allow(self, rules):
        access = Access(rules, ["boss@example.org"])
        if not hasattr(self, "rights"):
            self.rights = Rights(lambda: QUEUE, access, Access())
        self.rights.access = access

    def another(self):
        arrivals = Arrivals(self.ready, self.defaults, self.dues.append, self.most, wall=self.wall)
        return Calendar(
            self.ledger,
            arrivals,
            rights=self.rights,
            wall=self.wall,
        )

    def reload(self):
        self.calendar.reload()

    def wall(self):
        return self.clock.now + self.off

    async def jobs(self):
        """Those that were submitted, the oldest first."""
        return (await self.store.read(List(Filter())))[::-1]

    async def the_one(self):
        (schedule,) = await self.store.read(Schedules())
        return schedule

    async def add(self, who=ANN, name="each", task="lift", options=None, **fields):
        plan = Schedule(name, "", task, Raw(b"[1]"), Raw(b"{}"), options or JobOptions(), **fields)
        line = await self.agenda.add(who, plan)
        await self.clock.advance(0)
        return line


@pytest.fixture
async def desk(clock):
    desk = Desk(clock)
    await desk.store.open()
    working = asyncio.create_task(desk.ledger.run())
    yield desk
    desk.calendar.close()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    await desk.store.close()


async def test_it_fires_at_its_times(desk):
    begun = desk.wall()
    line = await desk.add(every=10.0)
    assert line.upcoming == [begun + 10, begun + 20, begun + 30]
    await desk.clock.advance(9.9)
    assert await desk.jobs() == []
    await desk.clock.advance(20.2)
    jobs = await desk.jobs()
    assert [round(job.created - begun, 3) for job in jobs] == [10, 20, 30]
    assert {(job.owner, job.task, bytes(job.args)) for job in jobs} == {
        (ANN.bare, "lift", b"null")  # a list has no payloads
    }
    assert desk.ready.kinds == ["lift"]
    schedule = await desk.the_one()
    assert (schedule.next, schedule.last) == (begun + 40, begun + 30)


async def test_its_jobs_have_a_time_of_their_own(desk):
    begun = desk.wall()
    line = await desk.add(every=10.0, timeout=4.0)
    assert line.timeout == 4.0
    await desk.clock.advance(10.1)
    (job,) = await desk.jobs()
    assert (job.created, job.deadline) == (begun + 10, begun + 14)
    assert desk.dues == [begun + 14]  # somebody has to look at it then


async def test_two_calendars_on_one_store_fire_once(desk):
    other = desk.another()
    await desk.add(every=10.0)
    other.reload()
    await desk.clock.advance(35)
    assert len(await desk.jobs()) == 3
    other.close()


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("skip", 0), ("all", 10)])
async def test_what_was_missed_while_no_queue_was_up(desk, missed, count):
    await desk.add(every=10.0, missed=missed)
    desk.calendar.close()
    await desk.clock.advance(105)
    desk.calendar = desk.another()
    desk.calendar.reload()
    await desk.clock.advance(0.5)
    assert len(await desk.jobs()) == count
    schedule = await desk.the_one()
    assert schedule.next == desk.wall() - desk.wall() % 10 + 10
    await desk.clock.advance(10)
    assert len(await desk.jobs()) == count + 1


async def test_others_have_their_turn_between_looks_that_take_long(desk, monkeypatch):
    monkeypatch.setattr("jabot.queue.calendar._TURN", 0.0)
    for name in "abc":
        await desk.add(name=name, cron="* * * * *")
    rings, alarm = [], desk.calendar._alarm
    ring, firing = alarm._ring, timetable.firing

    def counted():
        rings.append([])
        ring()

    def noted(schedule, now):
        rings[-1].append(schedule.name)
        return firing(schedule, now)

    monkeypatch.setattr(alarm, "_ring", counted)
    monkeypatch.setattr(timetable, "firing", noted)
    await desk.clock.advance(60.1)
    assert sorted(names for names in rings if names) == [["a"], ["b"], ["c"]]
    assert len(await desk.jobs()) == 3


async def test_a_clock_that_jumps_ahead_is_noticed(desk):
    await desk.add(cron="0 3 * * *")
    await desk.clock.advance(1)
    desk.off += 86_400.0
    await desk.clock.advance(30)
    assert len(await desk.jobs()) == 1


async def test_a_clock_that_goes_back_fires_nothing_twice(desk):
    await desk.add(every=10.0)
    await desk.clock.advance(10)
    desk.off -= 60.0
    await desk.clock.advance(60)
    assert len(await desk.jobs()) == 1
    await desk.clock.advance(10.1)
    assert len(await desk.jobs()) == 2


async def test_its_jobs_are_as_the_author_of_the_task_says(desk):
    desk.defaults["lift"] = JobOptions(priority=7, unique=THIS, lane=Lane(THIS, slots=2))
    await desk.add(every=10.0, options=JobOptions(priority=3))
    await desk.clock.advance(10)
    (job,) = await desk.jobs()
    assert job.priority == 3
    assert job.options.unique.startswith("lift ")
    assert job.options.lane == Lane("lift", slots=2)
    assert desk.dues == [job.created]  # its lane may hold others back


async def test_what_its_jobs_wait_for_is_looked_at(desk):
    await desk.add(every=10.0, options=JobOptions(delay=5.0, expires=2.0))
    await desk.clock.advance(10)
    (job,) = await desk.jobs()
    assert job.state.value == "scheduled"
    assert desk.dues == [job.created + 5]


async def test_while_the_store_is_away_nothing_is_lost(desk):
    await desk.add(every=10.0)
    await desk.clock.advance(5)
    desk.away = True
    await desk.clock.advance(15)
    desk.away = False
    await desk.clock.advance(9.9)
    assert len(await desk.jobs()) == 2


async def test_one_that_is_removed_while_it_fires_holds_up_no_other(desk, monkeypatch):
    await desk.add(every=10.0)
    await desk.add(name="other", every=15.0)
    do, under_way = desk.ledger.do, []

    def held(verb, done, failed=None):
        if isinstance(verb, Fire) and verb.name == "each":
            under_way.append(failed)
        else:
            do(verb, done, failed)

    monkeypatch.setattr(desk.ledger, "do", held)
    await desk.clock.advance(10)
    await desk.agenda.remove(ANN, "each")
    await desk.clock.advance(0)
    (failed,) = under_way
    failed(StoreUnavailable("the disk is full"))
    await desk.clock.advance(10)
    assert len(await desk.jobs()) == 1


async def test_a_calendar_that_begins_while_the_store_is_away(desk):
    await desk.add(every=10.0)
    desk.calendar.close()
    desk.calendar = desk.another()
    desk.away = True
    desk.calendar.reload()
    await desk.clock.advance(5)
    desk.away = False
    await desk.clock.advance(30)
    assert len(await desk.jobs()) == 3


async def test_who_may_not_run_it_any_more_has_no_jobs(desk, caplog):
    await desk.add(BOB, every=10.0)
    await desk.clock.advance(10)
    desk.allow({"bob@example.org": ["drop"]})
    with caplog.at_level(logging.ERROR):
        await desk.clock.advance(25)
    assert len(await desk.jobs()) == 1
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1  # and not each time
    (line,) = await desk.agenda.schedules(BOB)
    assert line.problem.startswith("bob@example.org may not run lift: ")
    desk.allow({"bob@example.org": ["lift"]})
    await desk.clock.advance(10)
    assert len(await desk.jobs()) == 2
    (line,) = await desk.agenda.schedules(BOB)
    assert line.problem == ""


async def test_a_job_that_the_queue_refuses_is_told_of(desk):
    desk.calendar.close()
    desk.most = 2
    desk.calendar = desk.another()
    await desk.add(every=10.0)
    await desk.clock.advance(45)
    jobs = await desk.jobs()
    assert len(jobs) == 2
    (line,) = await desk.agenda.schedules(ANN)
    assert line.problem.startswith("its job was refused: ")
    assert line.upcoming[0] == desk.wall() + 5
    await desk.ledger.ask(Cancel(jobs[0].id, None, "", desk.wall()))
    await desk.clock.advance(10)
    assert len(await desk.jobs()) == 3
    (line,) = await desk.agenda.schedules(ANN)
    assert line.problem == ""


async def test_a_job_that_the_store_can_never_keep_is_left_out(desk):
    apply = desk.store.apply
    tried = []

    async def picky(verbs):
        if any(type(verb) is Fire and verb.job is not None for verb in verbs):
            tried.append(verbs)
            raise Impossible("no room for it in the index")
        return await apply(verbs)

    desk.store.apply = picky
    await desk.add(every=100.0)
    begun = desk.wall()
    await desk.clock.advance(150)
    assert len(tried) == 2  # with what came along, and once more alone: not each second
    (line,) = await desk.agenda.schedules(ANN)
    assert line.problem == "its job cannot be kept: no room for it in the index"
    assert line.upcoming[0] == begun + 200
    desk.store.apply = apply
    await desk.clock.advance(51)
    assert len(await desk.jobs()) == 1
    (line,) = await desk.agenda.schedules(ANN)
    assert line.problem == ""


async def test_a_zone_that_is_no_more_says_so_until_it_is_resumed(desk):
    await desk.add(every=10.0)
    schedule = msgspec.structs.replace(await desk.the_one(), zone="Mars/Olympus")
    schedule = msgspec.structs.replace(schedule, every=None, cron="* * * * *")
    await desk.ledger.ask(PutSchedule(schedule, None))
    desk.calendar.reload()
    await desk.clock.advance(100)
    assert await desk.jobs() == []
    (line,) = await desk.agenda.schedules(ANN)
    assert "Mars/Olympus" in line.problem
    assert line.upcoming == []
    with pytest.raises(BadArguments, match="Mars/Olympus"):
        await desk.agenda.resume(ANN, "each")


async def test_paused_and_resumed(desk):
    await desk.add(every=10.0)
    await desk.clock.advance(10)
    assert (await desk.agenda.pause(ANN, "each")).upcoming == []
    await desk.clock.advance(95)
    assert len(await desk.jobs()) == 1
    line = await desk.agenda.resume(ANN, "each")
    assert line.upcoming[0] == desk.wall() + 10
    await desk.clock.advance(10)
    assert len(await desk.jobs()) == 2
    await desk.agenda.remove(ANN, "each")
    await desk.clock.advance(50)
    assert len(await desk.jobs()) == 2


async def test_a_new_version_of_a_schedule(desk):
    await desk.add(every=10.0)
    await desk.clock.advance(10)
    await desk.add(every=100.0, task="drop")
    await desk.clock.advance(99)
    assert [job.task for job in await desk.jobs()] == ["lift"]
    assert (await desk.the_one()).last is not None
    await desk.clock.advance(1.1)
    assert [job.task for job in await desk.jobs()] == ["lift", "drop"]


async def test_everybody_has_his_own_and_managers_see_all(desk):
    await desk.add(ANN, "anns", every=10.0)
    await desk.add(BOB, "bobs", every=10.0)
    assert [line.name for line in await desk.agenda.schedules(ANN)] == ["anns"]
    assert [line.name for line in await desk.agenda.schedules(BOSS)] == ["anns", "bobs"]
    with pytest.raises(NotAllowed, match="anns is another account's"):
        await desk.add(BOB, "anns", every=10.0)
    with pytest.raises(NotAllowed, match="drop"):
        await desk.add(BOB, "drops", "drop", every=10.0)
    for change in (desk.agenda.pause, desk.agenda.resume, desk.agenda.remove):
        with pytest.raises(BadArguments, match="no schedule anns of yours"):
            await change(BOB, "anns")
        with pytest.raises(NotAllowed):
            await change(EVE, "anns")
    assert (await desk.agenda.pause(BOSS, "anns")).owner == ANN.bare
    await desk.agenda.remove(BOSS, "bobs")
    assert [line.name for line in await desk.agenda.schedules(BOSS)] == ["anns"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"every": 0.5}, "schedule each: an interval"),
        ({}, "schedule each: give a cron line"),
        ({"cron": "61 * * * *"}, "'61"),
        ({"cron": "0 3 * * *", "zone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"every": 5.0, "task": "queue.stats"}, r"queue\.stats"),
        ({"every": 5.0, "name": ""}, "name"),
        ({"every": 5.0, "name": " x"}, "name"),
        ({"every": 5.0, "name": "a\x1bb"}, "name"),
        ({"every": 5.0, "name": "x" * 65}, "name"),
        ({"every": 5.0, "task": "lift "}, "'lift ' is no name of a task"),
        ({"every": 5.0, "task": 'lift {"gpu":["a"]}'}, "is no name of a task"),
        ({"every": 5.0, "task": "x" * 257}, "more than 256 characters"),
        ({"every": 5.0, "options": JobOptions(unique="u\0")}, r"U\+0000"),
        ({"every": 5.0, "options": JobOptions(where={"gpu": ["x" * 64] * 30})}, "^where: "),
        ({"every": 5.0, "options": JobOptions(key="k")}, "^key: "),
        ({"every": 5.0, "timeout": 0.0}, "^timeout: "),
        ({"every": 5.0, "timeout": 315_360_001.0}, "^timeout: "),
        ({"every": 5.0, "options": JobOptions(after=["j"])}, "^after: "),
        ({"every": 5.0, "options": JobOptions(at=5.0)}, "^at: "),
    ],
)
async def test_what_could_never_fire_is_refused(desk, fields, said):
    with pytest.raises(BadArguments, match=said):
        await desk.add(**fields)
    assert await desk.store.read(Schedules()) == []


async def test_large_arguments_and_many_schedules_are_refused(desk):
    plan = Schedule("each", "", "lift", Raw(b'["%s"]' % (b"x" * 70_000)), Raw(b"{}"), JobOptions())
    with pytest.raises(BadArguments, match="larger"):
        await desk.agenda.add(ANN, msgspec.structs.replace(plan, every=5.0))
    for number in range(3):
        await desk.add(name=f"s{number}", cron="0 3 * * *")
    with pytest.raises(BadArguments, match="3 schedules"):
        await desk.add(name="one more", cron="0 3 * * *")
    await desk.add(name="s2", cron="0 4 * * *")  # another version is not one more
    await desk.add(BOB, name="bobs", cron="0 4 * * *")
