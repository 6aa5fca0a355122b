"""PostgreSQL crashes in the middle of transactions: nothing acknowledged is lost or done twice."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from operator import ge

import pytest
from msgspec import Raw

from chatting import until
from jabot.errors import StoreUnavailable
from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane
from jabot.protocol.states import JobState
from jabot.queue.store import open_store
from jabot.queue.store.store import News
from jabot.queue.store.verbs import Add, Claim, Filter, Finish, List, Look, Orphans, Stats

OWNER = "app@example.org"
NODE = "queue@example.org/1"
WORKER = "bot@example.org/1"
CRASHES = 4
BATCH = 20


class Process:
    """A queue process on the store: adds jobs, has them done, and notes what it was told."""

    def __init__(self, store, name, chance):
        self.store = store
        self.name = name
        self.worker = f"bot@example.org/{name}"
        self.chance = chance
        self.added = set()
        self.begun = Counter()  # (id, attempt) -> how often it was given away
        self.ended = Counter()  # id -> how many of its ends stood
        self.said = set()  # of which an end was said
        self.doubts = 0
        self.turns = 0

    async def do(self, *verbs):
        """Say them until they are done; the last answer."""
        while True:
            try:
                return await self.store.apply(list(verbs))
            except StoreUnavailable:
                self.doubts += 1
                await asyncio.sleep(0.02)

    async def claimed(self, most):
        """What this process has to do, also after a lost answer."""
        doubts = self.doubts
        (records,) = await self.do(Claim(self.name, self.worker, ["lift"], most, time.time()))
        self.begun.update((record.id, record.attempt) for record in records)
        if self.doubts > doubts:
            (mine,) = await self.do(Orphans(self.name, 3600.0, time.time()))
            records = [record for record in mine if record.id not in self.said]
        return records

    async def turn(self):
        jobs = [
            Add(
                f"{self.name}-{self.turns}-{i}",
                OWNER,
                "lift",
                Raw(b"[]"),
                Raw(b"{}"),
                NO_OPTIONS if i % 5 else JobOptions(lane=Lane("crane", slots=50)),
                {},
                time.time(),
            )
            for i in range(self.chance.randrange(BATCH))
        ]
        for job, added in zip(jobs, await self.do(*jobs) if jobs else [], strict=True):
            assert added.id == job.id
            self.added.add(job.id)
        await self.work()
        self.turns += 1

    async def work(self):
        records = await self.claimed(self.chance.randrange(1, 2 * BATCH))
        ends = [
            Finish(
                record.id,
                record.attempt,
                "succeed",
                time.time(),
                Raw(f"[{record.attempt}]".encode()),
                worker=self.worker,
            )
            for record in records
        ]
        self.said |= {end.id for end in ends}
        doubts = self.doubts
        for end, done in zip(ends, await self.do(*ends) if ends else [], strict=True):
            if done.stands:
                self.ended[end.id] += 1
            else:  # its answer was lost
                assert self.doubts > doubts
                assert done.state is JobState.SUCCEEDED
        return len(records)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_crash_loses_nothing_and_does_nothing_twice(own_postgres, seed):
    chance = random.Random(seed)
    url = own_postgres.fresh_database()
    stores = [open_store(url) for _ in range(2)]
    for store in stores:
        await store.open()
    processes = [Process(store, f"n{i}", chance) for i, store in enumerate(stores)]
    over = False

    async def live(process):
        while not over:
            await process.turn()

    async def turns(more):
        """Return when each has had so many more."""
        wanted = [process.turns + more for process in processes]
        await until(lambda: all(map(ge, [process.turns for process in processes], wanted)))

    async with asyncio.TaskGroup() as lives:
        for process in processes:
            lives.create_task(live(process))
        for _ in range(CRASHES):
            await turns(chance.randrange(3, 9))
            await asyncio.sleep(chance.uniform(0.0, 0.1))  # somewhere in a turn
            await asyncio.to_thread(own_postgres.stop, immediate=True)
            await asyncio.sleep(chance.uniform(0.0, 0.1))  # so long it is away
            await asyncio.to_thread(own_postgres.start)
        await turns(2)
        over = True
    while sum([await process.work() for process in processes]):
        pass

    (records,) = await stores[0].apply([List(Filter(), most=1_000_000)])
    states = {record.id: record.state for record in records}
    added = processes[0].added | processes[1].added
    assert all(process.doubts for process in processes), "no crash was noticed: nothing was tried"
    assert len(added) > 100
    assert states == dict.fromkeys(added, JobState.SUCCEEDED)
    assert {(record.attempt, record.runs) for record in records} == {(1, 1)}
    begun = processes[0].begun + processes[1].begun
    assert set(begun.values()) == {1}
    ended = processes[0].ended + processes[1].ended
    assert set(ended.values()) == {1}
    (figures,) = await stores[0].apply([Stats(time.time())])
    assert figures.tasks["lift"].states == {"succeeded": len(added)}
    (one,) = await stores[1].apply([Look(next(iter(added)))])
    assert bytes(one.result) == b"[1]"
    for store in stores:
        await store.close()


async def test_a_server_that_is_down_is_said_to_be_and_used_again(own_postgres):
    store = open_store(own_postgres.fresh_database())
    heard = []
    store.listen(heard.append)
    await store.open()
    job = Add("a", OWNER, "lift", Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, {}, 0.0)
    await store.apply([job])
    own_postgres.stop(immediate=True)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="PostgreSQL on"):
            await store.apply([job])
        with pytest.raises(StoreUnavailable):
            await store.read(Look("a"))
    own_postgres.start()
    (added,) = await store.apply([job])
    assert not added.is_new
    assert (await store.read(Look("a"))).id == "a"
    async with asyncio.timeout(30):
        while News("ready", "lift") not in heard:
            await asyncio.sleep(0.01)
    await store.close()


async def test_it_closes_also_when_the_server_stands_still(own_postgres):
    url = own_postgres.fresh_database()
    one, two = open_store(url), open_store(url)
    await one.open()
    await two.open()
    await until(lambda: one._voice.has_company)
    own_postgres.pause()
    try:
        one.tell(News("ready", "lift"))
        async with asyncio.timeout(20):  # psycopg alone takes 10 s to give up what it has sent
            await one.close()
    finally:
        own_postgres.resume()
    await two.close()


async def test_a_full_disk_is_said_and_nothing_is_half_done(own_postgres):
    """As the server tells of it: by an error of that class in the middle of a transaction."""
    import psycopg

    url = own_postgres.fresh_database()
    store = open_store(url)
    await store.open()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE disk_full; END $$;"
            "CREATE TRIGGER full_ BEFORE UPDATE ON jabot.jobs EXECUTE FUNCTION full_()"
        )
        job = Add("a", OWNER, "lift", Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, {}, 0.0)
        with pytest.raises(StoreUnavailable, match="disk_full"):
            await store.apply([job, Claim(NODE, WORKER, ["lift"], 1, 0.0)])
        assert await store.read(Look("a")) is None
        other.execute("DROP TRIGGER full_ ON jabot.jobs")
    added, taken = await store.apply([job, Claim(NODE, WORKER, ["lift"], 1, 0.0)])
    assert added.is_new
    assert [record.id for record in taken] == ["a"]
    await store.close()


async def test_one_who_gives_up_waiting_leaves_nothing_half_done(postgres):
    store = open_store(postgres.fresh_database())
    await store.open()
    for i in range(20):
        jobs = [
            Add(f"{i}-{n}", OWNER, "lift", Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, {}, 0.0)
            for n in range(50)
        ]
        doing = asyncio.create_task(store.apply(jobs))
        await asyncio.sleep(0.0004 * i)
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing
        (records,) = await store.apply([List(Filter(), most=10_000)])
        assert sum(record.id.startswith(f"{i}-") for record in records) in (0, 50)
    await store.close()
