"""No wake-up is lost: whatever the order of things, what may run does run."""

import asyncio
import random
from functools import partial

import pytest
from msgspec import Raw

from jabot.protocol.frames import Failed, Rejected, Submit, Succeeded
from jabot.protocol.options import Lane
from jabot.protocol.states import JobState
from jabot.queue.store.verbs import Claim, Finish
from unit.clock import turns
from unit.queue_house import APP, BOT, BOT_TOO, House

SLOTS = 3
WORKERS = {BOT: 2, BOT_TOO: 4}


class Yard:
    """Two workers that share a lane, a store that may be slow, and things in any order."""

    def __init__(self, house, chance):
        self.house, self.chance = house, chance
        self.has = {worker: {} for worker in WORKERS}
        self.jobs = 0
        self.most = 0

    def take(self):
        """The workers take what they are given."""
        for worker, held in self.has.items():
            held |= {frame.id: frame.attempt for frame in self.house.heard(worker, Submit)}
        self.most = max(self.most, sum(map(len, self.has.values())))

    async def submit(self):
        job = f"j{self.jobs}"
        self.jobs += 1
        task = self.chance.choice(["lift", "dance"])
        priority = self.chance.choice([None, 5])
        await self.house.submit(job, task, lane=Lane("all", slots=SLOTS), priority=priority)

    async def end(self):
        worker = self.chance.choice(list(self.has))
        if not self.has[worker]:
            return
        job = self.chance.choice(list(self.has[worker]))
        attempt = self.has[worker].pop(job)
        end = self.chance.choice([Succeeded, Succeeded, Succeeded, Failed, Rejected])
        if end is Succeeded:
            frame = Succeeded(job, attempt, Raw(b"5"))
        elif end is Failed:
            frame = Failed(job, attempt, "ValueError", "no")
        else:
            frame = Rejected(job, attempt, "draining", "I am busy")
        await self.house.tell(worker, frame)
        if end is Rejected:
            await self.hello(worker)

    async def hello(self, worker=None):
        worker = worker or self.chance.choice(list(self.has))
        held = list(self.has[worker].items())
        await self.house.work(worker, WORKERS[worker], ["lift", "dance"], held)

    async def slow(self):
        """The store takes its time for what comes next."""
        if self.house.shelf.stuck is None:
            self.house.shelf.stuck = asyncio.Event()

    async def quick(self):
        stuck, self.house.shelf.stuck = self.house.shelf.stuck, None
        if stuck is not None:
            stuck.set()
        await turns()

    async def states(self):
        records = [await self.house.record(f"j{n}") for n in range(self.jobs)]
        return [record.state for record in records]


@pytest.mark.parametrize("seed", range(20))
async def test_a_lane_is_never_left_empty(clock, monkeypatch, seed):
    chance = random.Random(seed)
    async with House(monkeypatch, clock) as house:
        yard = Yard(house, chance)
        for worker in WORKERS:
            await yard.hello(worker)
        steps = [yard.submit] * 4 + [yard.end] * 4 + [yard.hello, yard.slow, yard.quick, yard.quick]
        for _ in range(60):
            await chance.choice(steps)()
            yard.take()
        while True:
            await yard.quick()
            yard.take()
            states = await yard.states()
            running, waiting = (
                states.count(JobState.RUNNING),
                states.count(JobState.AVAILABLE),
            )
            assert running == min(SLOTS, running + waiting)  # else nobody looks for those who wait
            if not running:
                break
            await yard.end()
            yard.take()
        assert yard.most <= SLOTS
        assert not [state for state in states if not state.ended]
        told = {frame.id for frame in house.heard(APP)}
        assert told == {f"j{n}" for n in range(yard.jobs)}


async def test_the_next_job_is_given_away_in_the_transaction_that_keeps_the_end_of_one(
    monkeypatch, clock
):
    async with House(monkeypatch, clock) as house:
        await house.work(BOT, slots=1)
        await house.submit("first")
        await house.submit("second")
        assert [frame.id for frame in house.heard(BOT, Submit)] == ["first"]
        before = len(house.shelf.verbs)
        await house.tell(BOT, Succeeded("first", 1, Raw(b"5")))
        assert [frame.id for frame in house.heard(BOT, Submit)] == ["second"]
        (first, *_) = house.shelf.verbs[before:]
        assert [type(verb) for verb in first] == [Finish, Claim]


async def test_jobs_that_a_later_transaction_keeps_are_given_away_as_well(monkeypatch, clock):
    """A claim that goes with the first of them finds too few, and has not found all."""
    monkeypatch.setattr("jabot.queue.ledger._MOST", 2)
    async with House(monkeypatch, clock) as house:
        await house.work(BOT, slots=9)
        jobs = [f"j{number}" for number in range(5)]
        await house.tell(APP, *(Submit(job, "lift") for job in jobs))
        assert [frame.id for frame in house.heard(BOT, Submit)] == jobs


async def test_what_is_too_large_to_be_given_away_at_once_follows_at_once(monkeypatch, clock):
    monkeypatch.setattr("jabot.queue.dispatch.Claim", partial(Claim, most_bytes=5000))
    async with House(monkeypatch, clock) as house:
        names = [f"j{number}" for number in range(6)]
        for name in names:
            await house.submit(name, args=Raw(b'["%s"]' % (b"x" * 3000)))
        await house.work(BOT, slots=10)
        assert [frame.id for frame in house.heard(BOT, Submit)] == names
        assert len(house.shelf.said(Claim)) > 2
