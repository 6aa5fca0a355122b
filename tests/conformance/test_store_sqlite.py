"""What is special about a file: whose it is, what may be wrong with it, and how it is asked."""

import asyncio
import itertools
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import stores
from msgspec import Raw
from stores import NODE, OWNER, WORKER, Asked, new

from jabot.errors import ConfigError, StoreError, StoreUnavailable
from jabot.protocol.options import NO_OPTIONS, Lane
from jabot.protocol.states import JobState
from jabot.queue.store import open_store
from jabot.queue.store.arguments import AddArguments, FinishArguments
from jabot.queue.store.migrations import migrations
from jabot.queue.store.records import Schedule
from jabot.queue.store.sql import PLAIN
from jabot.queue.store.sqlite import SqliteStore
from jabot.queue.store.sqlite.file import APPLICATION, connect, migrate
from jabot.queue.store.sqlite.program import PACKAGE, install, queries, statements, with_told
from jabot.queue.store.verbs import (
    Cancel,
    Claim,
    Delivered,
    Due,
    Filter,
    Finish,
    List,
    Look,
    Orphans,
    Prune,
    PutSchedule,
    Schedules,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.db"


@pytest.fixture
async def queue(path):
    store = SqliteStore(path)
    await store.open()
    yield Asked(store)
    await store.close()


async def refusal(path):
    with pytest.raises(StoreError) as raised:
        await SqliteStore(path).open()
    assert str(path) in str(raised.value)
    return str(raised.value)


# -- addresses -------------------------------------------------------------------------------------


async def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_store("sqlite:///jobs.db").name == str(tmp_path / "jobs.db")
    assert open_store("sqlite:////var/lib/my%20jobs.db").name == "/var/lib/my jobs.db"
    assert open_store("sqlite:///:memory:").name == "the store in memory"


@pytest.mark.parametrize(
    "url", ["sqlite://jobs.db", "sqlite:///", "jobs.db", "mysql://u:secret@h/d", "", "sqlite"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match=r"sqlite:///jobs\.db") as raised:
        open_store(url)
    assert "secret" not in str(raised.value)


def test_a_missing_psycopg_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'jabot[postgres]'")):
        open_store("postgresql://localhost/jobs")


# -- the file --------------------------------------------------------------------------------------


async def test_jobs_outlive_the_process(queue, path):
    await queue.add("a", "b")
    await queue.claim(1)
    await queue.store.close()
    again = SqliteStore(path)
    assert [news.kind for news in await again.open()] == ["changed", "ready"]
    states = [job.state for job in await again.read(List(Filter()))]
    assert states == [JobState.AVAILABLE, JobState.RUNNING]
    await again.close()


async def test_nobody_else_may_read_the_file(queue, path):
    assert [file.stat().st_mode & 0o077 for file in (path, path.with_name("jobs.db-wal"))] == [0, 0]


async def test_a_second_queue_is_refused(queue, path):
    assert "held by another queue (process " in await refusal(path)
    await queue.store.close()
    again = SqliteStore(path)
    await again.open()
    await again.close()


async def test_a_queue_that_was_killed_leaves_no_hold(path):
    program = (
        "import asyncio, os, signal, sys\n"
        "from jabot.queue.store import open_store\n"
        "asyncio.run(open_store('sqlite:///' + sys.argv[1]).open())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(path)])
    store = SqliteStore(path)
    assert await store.open() == []
    await store.close()


async def test_a_file_that_is_no_database(path):
    path.write_bytes(b"Dear diary, " * 1000)
    assert "is no SQLite database" in await refusal(path)


async def test_another_programs_database(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE diary (entry TEXT)")
    db.close()
    assert "another program's" in await refusal(path)


async def test_no_directory(tmp_path):
    assert "no directory" in await refusal(tmp_path / "there" / "jobs.db")


async def test_a_schema_from_the_future(queue, path):
    await queue.store.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 4711")
    db.close()
    assert "schema 4711, made by a newer jabot" in await refusal(path)


async def test_an_older_schema_is_brought_up(queue, path, monkeypatch):
    await queue.add("a")
    await queue.store.close()
    steps = migrations(PACKAGE)
    newer = {**steps, max(steps) + 1: "ALTER TABLE jobs ADD COLUMN colour TEXT;\n"}
    broken = {**newer, max(newer) + 1: "CREATE TABLE half (x);\nDROP TABLE none;\n"}
    module = "jabot.queue.store.migrations.migrations"
    monkeypatch.setattr(module, lambda package: broken)
    await refusal(path)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == max(newer)
    assert db.execute("SELECT colour FROM jobs").fetchall() == [(None,)]
    assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()
    db.close()
    monkeypatch.setattr(module, lambda package: newer)
    again = Asked(SqliteStore(path))
    await again.store.open()
    assert await again.claimed() == ["a"]
    await again.store.close()


async def test_a_damaged_file(queue, path):
    await queue.add(*(f"j{number}" for number in range(2000)))
    await queue.store.close()
    damaged = bytearray(path.read_bytes())
    for page in range(8, len(damaged) // 4096):
        damaged[page * 4096 : page * 4096 + 200] = b"\x55" * 200
    path.write_bytes(damaged)
    again = Asked(SqliteStore(path))
    with pytest.raises(StoreError, match=r"is damaged.*recover"):
        await again.store.open()
        try:
            await again.claim(2000)
        finally:
            await again.store.close()


async def test_a_full_disk_is_said_and_got_over(queue):
    await queue.add("a")
    db = queue.store._writer._db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match=r"jobs\.db: the disk is full; make room"):
        await queue.add("b", args='["' + "x" * 100_000 + '"]')
    assert await queue.look("b") is None
    assert await queue.claimed() == ["a"]
    db.execute("PRAGMA max_page_count = 1000000")
    assert (await queue.add("b", args='["' + "x" * 100_000 + '"]')).is_new


async def test_a_file_that_somebody_holds_is_said_and_got_over(queue, path):
    queue.store._writer._db.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another program has locked it"):
        await queue.add("a")
    other.execute("ROLLBACK")
    other.close()
    assert (await queue.add("a")).is_new


async def test_a_mistake_in_one_verb_undoes_its_turn(queue):
    with pytest.raises(Exception, match="NOT NULL"):
        await queue.do(new("a"), new(None, key="k"))
    assert await queue.look("a") is None
    assert (await queue.add("a")).is_new


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("options", '{"priority":"high"}'),
        ("options", "{"),
        ("meta", "[]"),
        ("args", "[1"),
        ("kwargs", ""),
        ("args", b"[\xff]".decode("utf-8", "surrogateescape")),
    ],
)
async def test_a_row_that_cannot_be_read_is_a_dead_letter(queue, path, column, value):
    await queue.add(*"abcd")
    db = sqlite3.connect(path)
    text = value.encode("utf-8", "surrogateescape")
    db.execute(f"UPDATE jobs SET {column} = CAST(? AS TEXT) WHERE id IN ('a', 'c')", (text,))
    db.commit()
    db.close()
    assert await queue.claimed(2) == ["b", "d"]
    for job in "ac":
        record = await queue.look(job)
        assert (record.state, record.failure.code) == (JobState.FAILED, "undecodable")
        assert "cannot be read: " in record.failure.message
    assert len(await queue.do(List(Filter()))) == 4


async def test_a_claim_that_ends_before_it_found_a_job_says_that_there_is_more(
    queue, path, monkeypatch
):
    monkeypatch.setattr("jabot.queue.store.sql.PASSES", 2)
    await queue.add(*"abc")
    db = sqlite3.connect(path)
    db.execute("UPDATE jobs SET options = '{' WHERE id IN ('a', 'b')")
    db.commit()
    db.close()
    taken = await queue.claim(1)
    assert (taken, taken.ended, taken.more) == ([], ["a", "b"], True)
    assert (await queue.look("c")).state is JobState.AVAILABLE  # it is nobody's
    assert await queue.claimed(1) == ["c"]


async def test_who_waits_for_what_cannot_be_read_hears_of_it(queue, path):
    await queue.add("a", lane=Lane("l", slots=1))
    await queue.add("child", after=["a"])
    await queue.add("b", task="carry", lane=Lane("l", slots=1))
    await queue.add("c")
    spoil(path, "options", "{")
    taken = await queue.claim()
    assert [record.id for record in taken] == ["c"]
    assert taken.ended == ["a", "child"]
    assert taken.ready == ["carry"]
    assert (await queue.claim()).ended == []


async def test_results_that_cannot_be_read(queue, path):
    await queue.add("a")
    await queue.claim()
    await queue.finish("a")
    await queue.add("child", after=["a"])
    spoil(path, "result", "[1")
    record = await queue.look("a")
    assert (record.state, record.result) == (JobState.SUCCEEDED, None)
    assert record.failure.message == "it succeeded, but its stored result cannot be read"
    assert await queue.claimed() == []
    failure = (await queue.look("child")).failure
    assert (failure.type, failure.code) == ("Undecodable", "undecodable")


def spoil(path, column, value):
    """Somebody meddles with the job `a`."""
    db = sqlite3.connect(path)
    db.execute(f"UPDATE jobs SET {column} = ? WHERE id = 'a'", (value,))
    db.commit()
    db.close()


async def test_a_schedule_that_cannot_be_read_keeps_no_others_from_firing(queue, path):
    for name in ("bad", "good", "odd"):
        await queue.do(PutSchedule(schedule(name), None))
    db = sqlite3.connect(path)
    db.execute("UPDATE schedules SET missed = 'sometimes' WHERE name = 'bad'")
    db.execute("UPDATE schedules SET options = '[' WHERE name = 'odd'")
    db.commit()
    db.close()
    bad, good, odd = await queue.do(Schedules())
    assert (bad.name, bad.owner, bad.task, bad.next) == ("bad", OWNER, "lift", None)
    assert "it cannot be read any more" in bad.problem
    assert good == schedule("good")
    assert (odd.next, odd.problem) == (None, "its options cannot be read any more: put it anew")


def schedule(name):
    return Schedule(name, OWNER, "lift", Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, every=5.0, next=1.0)


async def test_a_turn_is_one_commit_and_few_steps(queue):
    connection, said = queue.store._writer, []
    assert connection._db.execute("PRAGMA synchronous").fetchone() == (2,)
    connection._db = connection._program._db = Overheard(connection._db, said)
    await queue.do(
        *(new(f"j{number}") for number in range(300)),
        Claim(NODE, WORKER, ["lift"], 200, 0.0),
        *(Finish(f"j{number}", 1, "succeed", 0.0) for number in range(150)),
    )
    adds = ["SAVEPOINT", "INSERT", "INSERT", "RELEASE"]  # 300 are 256 and the rest
    assert said == ["BEGIN", *adds, "INSERT", "SELECT", "SAVEPOINT", "UPDATE", "RELEASE", "COMMIT"]
    said.clear()
    await queue.do(new("alone"))
    assert said == ["BEGIN", "INSERT", "COMMIT"]


async def test_what_is_not_plain_takes_no_others_of_its_turn_with_it(queue):
    await queue.do(new("old"))
    added = await queue.do(new("a"), new("old"), new("b"), new("a"))
    assert [each.is_new for each in added] == [True, False, True, False]
    await queue.do(Claim(NODE, WORKER, ["lift"], 3, 0.0))
    ends = [("a", 1), ("b", 2), ("old", 1), ("a", 1)]
    finished = await queue.do(*(Finish(*end, "succeed", 0.0) for end in ends))
    assert [each.stands for each in finished] == [True, False, True, False]
    assert [(await queue.do(Look(job))).state for job in ("a", "b", "old")] == [
        JobState.SUCCEEDED,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]


async def test_the_last_ones_up_to_a_callers_limit_are_counted_one_by_one(queue):
    def jobs(names, owner):
        return [new(name, owner=owner, most=4) for name in names]

    ann, bob = jobs("abcdef", "ann@b"), jobs("uvwxyz", "bob@b")
    added = await queue.do(*itertools.chain(*zip(ann, bob, strict=True)))
    assert [each.refused for each in added[::2]] == 4 * [""] + 2 * ["too_many"]
    assert [each.refused for each in added[1::2]] == 4 * [""] + 2 * ["too_many"]


async def test_only_ones_own_jobs_count_up_to_a_callers_limit(queue):
    """All the others of a turn would else go the long way."""
    connection, said = queue.store._writer, []
    connection._db = connection._program._db = Overheard(connection._db, said)
    jobs = [[new(f"{who}{n}", owner=f"{who}@b", most=25) for who in "abc"] for n in range(20)]
    added = await queue.do(*itertools.chain(*jobs))
    assert all(each.is_new for each in added)
    again = ["SELECT", "SAVEPOINT", "INSERT", "RELEASE"]  # which are the others? None
    assert said == ["BEGIN", "SAVEPOINT", "INSERT", "ROLLBACK", "RELEASE", *again, "COMMIT"]
    counts = [queue.add(f"{who}+", owner=f"{who}@b", most=20) for who in "abc"]
    assert [(await each).detail for each in counts] == ["20"] * 3


class Overheard:
    """A connection, and what it is asked to do."""

    def __init__(self, db, said):
        self._db, self._said = db, said

    def execute(self, sql, *parameters):
        self._said.append(re.search(r"^\w+", sql, re.MULTILINE)[0])  # after comments
        return self._db.execute(sql, *parameters)

    def close(self):
        self._db.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: `make test` installs it")
def test_a_turn_is_synced_once():
    """What is answered is on the disk, and the disk is asked once for all of a turn."""
    root = str(Path(__file__).resolve().parents[2])
    program = f"import sys; sys.path.insert(0, {root!r}); from bench.durable.syncs import syncs\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "print(syncs(20, 10), syncs(20, 1))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["20", "20"]


def test_rows_begin_with_what_their_queries_name():
    """They are told by position."""
    told = {"add_plain": AddArguments, "succeed": FinishArguments}
    assert set(told) == set(PLAIN)
    for name, arguments in told.items():
        place, *fields = queries(PACKAGE)[name].parameters
        assert [place, *arguments.__struct_fields__[: len(fields)]] == ["i", *fields]


# -- plans -----------------------------------------------------------------------------------------

# Queries that may go through all there is: they are asked on the side, or are about all.
THOROUGH = {"stats_one", "fitting", "orphans"}
FROM = re.compile(r"\b(jobs|payloads|aliases|keys|links)\b(?: AS (\w+))?")


def plans():
    db = connect(None)
    migrate(db, "memory")
    install(db)
    for query in queries(PACKAGE).values():
        for statement in statements(query.text):
            sql = re.sub(
                r":(\w+)", lambda m, q=query: "?" if m[1] in q.parameters else m[0], statement
            )
            if query.name in PLAIN:
                sql = with_told(statement, tuple(query.parameters), 2)
            rows = db.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))
            yield query.name, sql, [row[3].decode() for row in rows]
    db.close()


def test_no_query_goes_through_a_whole_table():
    for name, sql, plan in plans():
        names = {name for found in FROM.finditer(sql) for name in found.groups() if name}
        if "names AS n" in sql:
            names |= {"jobs", "aliases"}
        for step in plan:
            scanned = re.match(r"SCAN (\w+)( USING.*)?$", step)
            if scanned and scanned[1] in names and name not in THOROUGH:
                assert scanned[2] and "autoindex" not in scanned[2], (name, step, sql)


async def steps_of_a_day(path, waiting):
    """How many steps SQLite's machine makes for a few verbs, with so many jobs in the way."""
    store, steps = SqliteStore(path), {}
    await store.open()
    queue = Asked(store)
    await queue.add(*(f"w{number}" for number in range(waiting)))
    await queue.add(*(f"r{number}" for number in range(waiting // 10)), task="rest")
    await queue.claim(1)
    await store.close()
    await store.open()
    db, counted, lane = store._writer._db, [], Lane("slow", slots=3)
    db.set_progress_handler(lambda: counted.append(1), 10)
    for name, verbs in {
        "add": [new(f"a{number}") for number in range(20)],
        "add others": [new(f"b{number}", key=f"k{number}", lane=lane) for number in range(20)],
        "claim": [Claim(NODE, WORKER, ["lift", "rest"], 20, 0.0)],
        "finish": [Finish(f"w{number}", 1, "succeed", 0.0) for number in range(1, 21)],
        "fail": [Finish("w0", 1, "fail", 0.0, failure=stores.BOOM)],
        "delivered": [Delivered([f"w{number}" for number in range(20)], 0.0)],
        "due": [Due(0.0)],
        "prune": [Prune(0.0, 1.0, 1.0, 1.0)],
        "cancel": [Cancel("w100", None, "enough", 0.0)],
        "take over": [Orphans(NODE, 3.0, 0.0)],
    }.items():
        await queue.do(*verbs)
        steps[name], counted[:] = len(counted), []
    store._writer.first_news()
    steps["open"] = len(counted)
    await store.close()
    return steps


async def test_a_backlog_makes_nothing_dearer(tmp_path):
    few = await steps_of_a_day(tmp_path / "few.db", 200)
    many = await steps_of_a_day(tmp_path / "many.db", 20_000)
    assert few.keys() == many.keys()
    for name, steps in many.items():
        assert steps <= 1.2 * few[name] + 5, name


def test_every_file_has_a_mark():
    db = connect(None)
    migrate(db, "memory")
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    assert db.execute("PRAGMA user_version").fetchone() == (max(migrations(PACKAGE)),)
    db.close()


def test_the_suite_runs_on_a_file_and_in_memory():
    assert {"sqlite-file", "sqlite-memory"} <= set(stores.KINDS)
