"""What a queue does by itself, on a made-up clock and a store in memory."""

import asyncio
import contextlib

import pytest
from msgspec import Raw

from jabot.errors import StoreUnavailable
from jabot.protocol.options import JobOptions
from jabot.queue.ledger import Ledger
from jabot.queue.ready import Ready
from jabot.queue.store import open_store
from jabot.queue.store.verbs import Add, Cancel, Due, Filter, List, Look, Prune
from jabot.queue.upkeep import Keeping, Upkeep


class Around:
    """Upkeep, with the parts around it that only note what they are told."""

    def __init__(self, clock, pulse=None):
        self.clock = clock
        self.store = open_store("sqlite:///:memory:")
        self.away = False
        self.asked = []  # verbs
        self.takeovers = self.reloads = 0
        self.told = []
        apply = self.store.apply

        async def watched(verbs):
            if self.away:
                raise StoreUnavailable("the server is away")
            self.asked += verbs
            return await apply(verbs)

        self.store.apply = watched
        self.ledger = Ledger(self.store, lambda all_goes: [], lambda: None)
        self.ready = Ready(lambda: None, lambda: None)
        self.upkeep = Upkeep(
            self.ledger,
            self.ready,
            self,
            self,
            self,
            keeping=Keeping(delivered=100.0, undelivered=200.0, failed=300.0),
            pulse=pulse,
            wall=self.wall,
        )

    def wall(self):
        return self.clock.now + 1_000_000_000.0

    def take_over(self):
        self.takeovers += 1

    def reload(self):
        self.reloads += 1

    def tell_of(self, job_ids):
        self.told += job_ids

    def count(self, kind):
        return sum(isinstance(verb, kind) for verb in self.asked)

    async def add(self, job, timeout=None, **options):
        verb = Add(
            job,
            "app@example.org",
            "lift",
            Raw(b"[]"),
            Raw(b"{}"),
            JobOptions(**options),
            {},
            self.wall(),
            timeout,
        )
        await self.ledger.ask(verb)

    async def state(self, job):
        record = await self.store.read(Look(job))
        return record.state.value


@contextlib.asynccontextmanager
async def kept(around):
    await around.store.open()
    working = asyncio.create_task(around.ledger.run())
    try:
        yield around
    finally:
        around.upkeep.close()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await around.store.close()


@pytest.fixture
async def around(clock):
    async with kept(Around(clock)) as around:
        yield around


async def test_it_begins_with_all_that_may_have_been_missed(around):
    around.upkeep.start()
    await around.clock.advance(0)
    assert (around.takeovers, around.reloads, around.count(Due)) == (1, 1, 1)


async def test_a_delayed_job_is_available_when_its_time_comes(around):
    around.upkeep.start()
    await around.add("later", delay=5.0)
    around.upkeep.due_at(around.wall() + 5.0)
    await around.clock.advance(4.9)
    assert await around.state("later") == "scheduled"
    await around.clock.advance(0.2)
    assert await around.state("later") == "available"
    assert around.ready.kinds == ["lift"]


async def test_what_comes_next_needs_no_word(around):
    await around.add("a", delay=5.0)
    await around.add("b", delay=7.0)
    around.upkeep.start()  # after a restart nobody says what is due
    await around.clock.advance(7.1)
    assert [await around.state(job) for job in "ab"] == ["available", "available"]


async def test_jobs_that_were_not_begun_in_time_fail_and_are_told_of(around):
    around.upkeep.start()
    await around.add("expires", expires=3.0)
    await around.add("impatient", timeout=2.0, delay=60.0)
    around.upkeep.due_at(around.wall() + 2.0)
    await around.clock.advance(2.1)
    assert around.told == ["impatient"]
    await around.clock.advance(1.0)
    assert around.told == ["impatient", "expires"]


async def test_it_looks_now_and_then_though_nothing_is_due(around):
    around.upkeep.start()
    await around.clock.advance(0)
    await around.clock.advance(95)
    assert around.count(Due) == 4  # every 30 s: the machine's clock may have jumped


async def test_an_earlier_moment_counts_and_a_later_one_does_not(around):
    around.upkeep.start()
    await around.clock.advance(0)
    around.asked.clear()
    around.upkeep.due_at(around.wall() + 10.0)
    around.upkeep.due_at(around.wall() + 4.0)
    around.upkeep.due_at(around.wall() + 8.0)
    await around.clock.advance(3.9)
    assert around.count(Due) == 0
    await around.clock.advance(0.2)
    assert around.count(Due) == 1


async def test_when_the_store_is_away_it_tries_again(around):
    around.upkeep.start()
    await around.clock.advance(0)
    await around.add("later", delay=5.0)
    around.upkeep.due_at(around.wall() + 5.0)
    around.away = True
    await around.clock.advance(20)
    around.away = False
    await around.clock.advance(6)
    assert await around.state("later") == "available"


async def test_ended_jobs_are_kept_for_their_time(around):
    around.upkeep.start()
    await around.add("old")
    await around.ledger.ask(Cancel("old", None, "", around.wall()))
    await around.clock.advance(199)
    assert [job.id for job in await around.store.read(List(Filter()))] == ["old"]
    await around.clock.advance(12)
    assert await around.store.read(List(Filter())) == []


async def test_many_old_jobs_go_in_parts_without_a_pause(around):
    jobs = [f"j{number}" for number in range(2500)]
    cancels = [Cancel(job, None, "", around.wall()) for job in jobs]
    await asyncio.gather(*map(around.add, jobs))
    await asyncio.gather(*map(around.ledger.ask, cancels))
    around.upkeep.start()
    await around.clock.advance(200)
    around.asked.clear()
    await around.clock.advance(10.5)
    assert around.count(Prune) == 3
    assert await around.store.read(List(Filter())) == []


async def test_the_other_nodes_are_looked_after_each_pulse(clock):
    async with kept(Around(clock, pulse=1.0)) as around:
        around.upkeep.start()
        await clock.advance(5.5)
        assert around.takeovers == 6
    async with kept(Around(clock)) as around:
        around.upkeep.start()
        await clock.advance(5.5)
        assert around.takeovers == 1


async def test_a_closed_one_is_silent(around):
    around.upkeep.start()
    await around.clock.advance(0)
    around.upkeep.close()
    around.asked.clear()
    await around.clock.advance(100)
    assert around.asked == []
