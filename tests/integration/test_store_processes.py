"""What only a store for several processes has to hold: they share the jobs, and hear each other."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import psycopg
import pytest
from msgspec import Raw

from jabot.errors import ConfigError, StoreError, StoreUnavailable
from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane
from jabot.protocol.states import JobState
from jabot.queue.store import open_store
from jabot.queue.store.records import Schedule, TaskWord, kind_of
from jabot.queue.store.store import News
from jabot.queue.store.verbs import (
    Add,
    Cancel,
    Claim,
    Filter,
    Finish,
    Fire,
    Learn,
    List,
    Look,
    Orphans,
    Prune,
    PutSchedule,
    Stats,
    Tell,
    Told,
    Untold,
)

CLAIMER = Path(__file__).parents[1] / "faults" / "store_claimer.py"
OWNER = "app@example.org"
EMPTY = (Raw(b"[]"), Raw(b"{}"))


def new(name, *, task="lift", args=b"[]", meta=None, **options):
    options = JobOptions(**options)
    return Add(name, OWNER, task, Raw(args), Raw(b"{}"), options, meta or {}, 0.0)


@pytest.fixture
def url(postgres):
    return postgres.fresh_database()


@pytest.fixture
async def opened(url):
    """Makes stores on one database, as so many processes have them."""
    stores = []

    async def another():
        store = open_store(url)
        stores.append(store)
        await store.open()
        return store

    yield another
    for store in stores:
        await store.close()


def silence(url, name):
    """A process of the queue has said nothing for a minute."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE jabot.nodes SET beat = beat - interval '1 min' WHERE name = %s", [name]
        )


async def until(condition, limit=30.0):
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.005)


async def claimers(url, number, most):
    """What so many processes say that take all jobs together."""
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, CLAIMER, url, f"n{i}", str(most)), stdout=asyncio.subprocess.PIPE
        )
        for i in range(number)
    ]
    said = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * number
    return [[json.loads(line) for line in out.splitlines()] for out, _ in said]


# -- they share the jobs --------------------------------------------------------------------------


async def test_processes_never_get_the_same_job(url, opened):
    store = await opened()
    jobs = [new(f"j{i}", task=random.choice(["lift", "carry"])) for i in range(4000)]
    await store.apply(jobs)
    said = await claimers(url, 3, 16)
    done = Counter(job for lines in said for job, *_ in lines)
    assert done == Counter(job.id for job in jobs)
    assert sum(1 for lines in said if lines) > 1, "one process did it all: nothing was tried"
    assert {attempt for lines in said for _, attempt, *_ in lines} == {1}


async def test_unfinished_jobs_are_counted_over_all_processes(opened):
    one, two = await opened(), await opened()

    async def add(store, job, most):
        (added,) = await store.apply([msgspec.structs.replace(new(job), most=most)])
        return added.refused, added.detail

    assert await add(one, "a", 2) == ("", "")
    assert await add(two, "b", 2) == ("", "")
    assert await add(one, "c", 2) == await add(two, "c", 2) == ("too_many", "2")
    (records,) = await two.apply([Claim("n", "w", ["lift"], 1, 1.0)])
    await two.apply([Finish(records[0].id, 1, "succeed", 1.0)])  # which the other one added
    assert await add(one, "c", 2) == ("", "")
    gone = one._writer.pid
    assert gone in await counting(two)
    await one.close()
    async with asyncio.timeout(30):  # until the server has seen that off
        while gone in await counting(two):
            await two.apply([Prune(1.0, 1e9, 1e9, 1e9)])
    assert await add(two, "d", 2) == ("too_many", "2")


async def counting(store):
    """The server's processes that have counted unfinished jobs."""
    connection = await store._reader.connected()
    found = await connection.raw.execute("SELECT process FROM unfinished")
    return [process for (process,) in await found.fetchall()]


@pytest.mark.parametrize("limit", ["lane", "unique"])
async def test_processes_keep_to_limits_together(url, opened, limit):
    store = await opened()
    most = 3 if limit == "lane" else 1
    if limit == "lane":
        await store.apply([new(f"j{i}", lane=Lane("crane", slots=most)) for i in range(300)])
    else:  # two of one name: one that is over its backoff, and one that was added meanwhile
        for i in range(40):
            await store.apply([new(f"a{i}", unique=f"u{i}")])
        (records,) = await store.apply([Claim("n", "w", ["lift"], 40, 1.0)])
        assert len(records) == 40
        await store.apply([new(f"b{i}", unique=f"u{i}") for i in range(40)])
        await store.apply([Finish(r.id, 1, "retry", 1.0, at=1.0) for r in records])
    said = await claimers(url, 3, 2)
    lines = [line for each in said for line in each]
    assert len(lines) == len({job for job, *_ in lines}) == (300 if limit == "lane" else 80)
    groups = {"crane": lines} if limit == "lane" else {}
    for line in lines if limit == "unique" else ():
        groups.setdefault(line[0][1:], []).append(line)
    for group in groups.values():
        moments = sorted([(at, 1) for *_, at, _ in group] + [(at, -1) for *_, at in group])
        running = 0
        for _, change in moments:
            running += change
            assert running <= most


async def test_a_schedule_fires_once(opened):
    stores = [await opened() for _ in range(4)]
    schedule = Schedule("daily", OWNER, "lift", *EMPTY, JobOptions(), every=5.0, next=1.5)
    await stores[0].apply([PutSchedule(schedule, OWNER)])
    for planned in (1.5, 6.5, 11.5):
        answers = await asyncio.gather(
            *(
                store.apply([Fire("daily", planned, planned + 5, new(f"{planned}-{i}"))])
                for i, store in enumerate(stores)
            )
        )
        assert len([added for (added,) in answers if added is not None]) == 1
    assert len((await stores[0].apply([List(Filter())]))[0]) == 3


async def test_one_key_given_to_several_processes_is_one_job(opened):
    stores = [await opened() for _ in range(3)]
    for i in range(20):
        answers = await asyncio.gather(
            *(store.apply([new(f"{i}-{n}", key=f"k{i}")]) for n, store in enumerate(stores))
        )
        assert len({added.id for (added,) in answers}) == 1
        assert sum(added.is_new for (added,) in answers) == 1


async def test_fan_in_over_processes_does_not_hang(opened):
    stores = [await opened() for _ in range(3)]
    for i in range(20):
        parents = [f"{i}-{n}" for n in range(3)]
        await stores[0].apply([*(new(p) for p in parents), new(f"{i}-end", after=parents)])
        await stores[0].apply([Claim("n", "w", ["lift"], 3, 1.0)])
        answers = await asyncio.gather(
            *(
                store.apply([Finish(parent, 1, "succeed", 2.0, Raw(b"1"))])
                for store, parent in zip(stores, parents, strict=True)
            )
        )
        assert [done.ready for (done,) in answers if done.ready] == [["lift"]]
        ((child,),) = await stores[1].apply([Claim("n", "w", ["lift"], 3, 3.0)])
        assert (child.id, bytes(child.parents)) == (f"{i}-end", b"[1,1,1]")
        await stores[1].apply([Finish(child.id, 1, "succeed", 4.0, Raw(b"1"))])


async def test_transactions_in_each_others_way_are_done_again(opened):
    one, two = await opened(), await opened()
    names = [f"j{i}" for i in range(20)]
    await one.apply([new(name) for name in names])
    for i in range(5):
        await asyncio.gather(
            one.apply([Cancel(name, None, f"{i}", 1.0) for name in names]),
            two.apply([Look(name, None, f"{OWNER}/{i}") for name in reversed(names)]),
            two.apply([Cancel(name, None, f"{i}", 1.0) for name in reversed(names)]),
        )
    records, *_ = await one.apply([List(Filter())])
    assert {record.state for record in records} == {JobState.CANCELLED}


async def test_a_dead_processes_jobs_are_taken_over_and_a_living_ones_not(url, opened):
    one, two = await opened(), await opened()
    await one.apply([Orphans("one", 60.0, 0.0), Orphans("three", 60.0, 0.0)])
    await one.apply([new("a"), new("b")])
    await one.apply([Claim("one", "w", ["lift"], 1, 0.0), Claim("three", "w", ["lift"], 1, 0.0)])
    assert await two.apply([Orphans("two", 60.0, 0.0)]) == [[]]
    silence(url, "one")
    ((mine,),) = await two.apply([Orphans("two", 30.0, 0.0)])
    assert (mine.id, mine.node, mine.attempt, mine.worker) == ("a", "two", 1, "w")
    (done,) = await two.apply([Finish("a", 1, "succeed", 1.0, Raw(b"1"), worker="w")])
    assert done.stands


@pytest.mark.parametrize("seconds", [-1500, 1500])
async def test_a_dead_process_is_found_also_after_the_servers_clock_was_set(opened, url, seconds):
    """Set back: then its last sign is one of the future."""
    one, two = await opened(), await opened()
    await one.apply([Orphans("one", 60.0, 0.0), new("a"), Claim("one", "w", ["lift"], 1, 0.0)])
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE jabot.nodes SET beat = beat - make_interval(secs => %s)", [seconds]
        )
    ((mine,),) = await two.apply([Orphans("two", 60.0, 0.0)])
    assert (mine.id, mine.node) == ("a", "two")


async def test_what_one_is_to_tell_a_person_no_other_one_does_while_it_lives(url, opened):
    one, two = await opened(), await opened()
    await one.apply([Orphans("n1", 5.0, 0.0)])
    await two.apply([Orphans("n2", 5.0, 0.0)])
    await one.apply([new("a"), Tell("a", "ann@example.org/x", "n1")])
    await two.apply([Claim("n2", "w", ["lift"], 1, 0.0), Finish("a", 1, "succeed", 0.0)])
    assert await two.apply([Untold("n2")]) == [[]]
    (mine,) = await one.apply([Untold("n1")])
    assert [record.id for record in mine] == ["a"]
    silence(url, "n1")
    await two.apply([Orphans("n2", 30.0, 0.0)])
    (mine,) = await two.apply([Untold("n2")])
    assert [(record.id, record.teller) for record in mine] == [("a", "n2")]
    await two.apply([Told(["a"])])
    assert await two.apply([Untold("n2")]) == [[]]


# -- they hear each other -------------------------------------------------------------------------


async def test_they_hear_of_what_may_be_claimed_and_what_changed(opened):
    one, two = await opened(), await opened()
    heard, echo = [], []
    two.listen(heard.append)
    one.listen(echo.append)
    await until(lambda: one._voice.has_company)
    await one.apply([new("a"), new("b", task="carry"), new("c", delay=100.0)])
    await until(lambda: len(heard) == 2)
    daily = Schedule("daily", OWNER, "lift", *EMPTY, JobOptions(), every=5.0, next=1.5)
    await one.apply([Learn([TaskWord("lift", NO_OPTIONS)], 0.0), PutSchedule(daily, None)])
    one.tell(News("cancelling", "a", "enough \0 of it"))
    await until(lambda: len(heard) == 5)
    assert set(heard) == {
        News("ready", "lift"),
        News("ready", "carry"),
        News("changed", "tasks"),
        News("changed", "schedules"),
        News("cancelling", "a", "enough \0 of it"),
    }
    assert echo == []


async def test_what_one_says_before_it_closes_is_heard(opened):
    one, two = await opened(), await opened()
    heard = []
    two.listen(heard.append)
    await until(lambda: one._voice.has_company)
    one.tell(News("ready", "lift"))
    await one.close()
    await until(lambda: heard == [News("ready", "lift")])


async def test_after_a_death_all_look_again_also_for_kinds_with_long_names(url, opened):
    one, two = await opened(), await opened()
    where = {"host": [f"machine-{number}" for number in range(150)]}
    ready = News("ready", kind_of("lift", where))
    heard = []
    two.listen(heard.append)
    await until(lambda: one._voice.has_company)
    await one.apply([Orphans("one", 60.0, 0.0), new("a", where=where)])
    await until(lambda: ready in heard)
    heard.clear()
    silence(url, "one")
    await two.apply([Orphans("two", 30.0, 0.0)])
    await until(lambda: ready in heard)


async def test_one_that_is_alone_does_not_speak(url, opened):
    one = await opened()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("LISTEN jabot")
        await one.apply([new("a")])
        one._voice.tell(News("changed", "last"))  # comes after all that it has to say
        said = await asyncio.to_thread(_up_to, "last", other)
    assert any("last" in text for text in said)
    assert [text for text in said if "ready" in text] == []


def _up_to(last, connection):
    """What is said on the channel until somebody says that; or until nobody says more."""
    said = []
    for notification in connection.notifies(timeout=30):
        said.append(notification.payload)
        if last in notification.payload:
            break
    return said


async def test_what_cannot_be_read_or_sent_harms_nobody(url, opened):
    one, two = await opened(), await opened()
    heard = []
    two.listen(heard.append)
    await until(lambda: one._voice.has_company)
    with psycopg.connect(url, autocommit=True) as other:
        for text in ("nonsense", "{}", '{"kind":"what"}', ""):
            other.execute("SELECT pg_notify('jabot', %s)", (text,))
    one.tell(News("progress", "x" * 9000))
    one.tell(News("ended", "a"))
    await until(lambda: heard)
    assert heard == [News("ended", "a")]


async def test_a_broken_connection_is_made_anew_and_what_was_missed_is_told(url, opened):
    one = await opened()
    heard = []
    one.listen(heard.append)
    await one.apply([new("a")])
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable):
        await one.apply([new("b")])
    (added,) = await one.apply([new("b")])
    assert added.is_new
    assert len(await one.read(List(Filter()))) == 2
    await until(lambda: News("ready", "lift") in heard)
    assert News("changed", "") in heard


# -- the database ---------------------------------------------------------------------------------


async def test_it_opens_at_once_in_several_processes(url):
    stores = [open_store(url) for _ in range(5)]
    await asyncio.gather(*(store.open() for store in stores))
    for store in stores:
        await store.close()


async def test_it_tells_of_what_is_there(opened):
    one = await opened()
    await one.apply([new("a"), new("b", lane=Lane("x", slots=1))])
    await one.close()
    assert await one.open() == [News("changed", ""), News("ready", "lift")]
    assert await one.apply([]) == []


async def test_a_schema_from_the_future_is_refused(url, opened):
    await opened()
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("UPDATE jabot.version SET number = 99")
    with pytest.raises(StoreError, match="schema 99, made by a newer jabot"):
        await open_store(url).open()


async def test_another_programs_schema_is_left_alone(url):
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE SCHEMA jabot; CREATE TABLE jabot.robots (id int)")
    with pytest.raises(StoreError, match="another program"):
        await open_store(url).open()


async def test_what_cannot_be_used_says_why(url, postgres):
    with pytest.raises(StoreError, match="does not exist; look at the store's address") as caught:
        await open_store(postgres.url("nowhere")).open()
    assert not isinstance(caught.value, StoreUnavailable)
    with pytest.raises(StoreUnavailable, match=r"PostgreSQL on 127\.0\.0\.1, database jobs: "):
        await open_store("postgresql://nobody:secret@127.0.0.1:1/jobs").open()
    with pytest.raises(ConfigError, match="cannot be read"):
        open_store("postgresql://127.0.0.1/jobs?nonsense=1")
    store = open_store(url)
    with pytest.raises(StoreError, match="not open"):
        await store.apply([])


async def test_no_character_is_lost(opened):
    store = await opened()
    text = "\0 \\u0000 \\\0 \U000f0000 \U000f0000= \U000f00000 \ue000 \x7f é 😀 \\"
    args = b'["\\u0000 \\\\u0000 \\\\\\u0000",1e5, 1.10 ,"\xf3\xb0\x80\x80"]'
    meta = {text: text}
    await store.apply([new(text, task=text, args=args, meta=meta, labels={"a\0": "b\0"}, key=text)])
    (records,) = await store.apply([Claim(text, text, [text], 1, 1.0)])
    assert [record.id for record in records] == [text]
    (record,) = await store.apply([Look(text)])
    assert (record.id, record.task, record.meta) == (text, text, meta)
    assert (record.worker, record.node) == (text, text)
    assert bytes(record.args) == args
    (found,) = await store.apply([List(Filter(labels={"a\0": "b\0"}))])
    assert [record.id for record in found] == [text]
    (figures,) = await store.apply([Stats(time.time())])
    assert set(figures.tasks) == {text}
    (again,) = await store.apply([new("other", task=text, args=args, key=text)])
    assert again.id == text
