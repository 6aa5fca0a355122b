"""A database that an older jabot made: it is brought up with all that is in it."""

import msgspec
import psycopg
import pytest
from msgspec import Raw
from stores import NODE, OWNER, Asked, json

from jabot.protocol.options import NO_OPTIONS
from jabot.protocol.states import JobState
from jabot.queue.store import open_store
from jabot.queue.store.migrations import migrations
from jabot.queue.store.postgres.schema import PACKAGE as POSTGRES
from jabot.queue.store.records import Schedule, TaskWord
from jabot.queue.store.sqlite.file import APPLICATION, connect
from jabot.queue.store.sqlite.program import PACKAGE as SQLITE
from jabot.queue.store.sqlite.program import statements
from jabot.queue.store.store import News
from jabot.queue.store.verbs import Filter, List, PutSchedule, Schedules, Tasks, Tell, Untold
from servers.postgres import shared

# What the first schema has, in both dialects. Only SQLite's notes how large the arguments are.
JOBS = """
    INSERT INTO jobs (
        id, owner, task, kind, state, priority, created, due, attempt, runs, worker, node, started,
        ended, options, meta, args, kwargs, result @size
    ) VALUES
    ('runs', 'app@example.org', 'lift', 'lift', 'running', 0, 1.0, 1.0, 1, 1,
        'bot@example.org/1', 'queue@example.org/1', 2.0, NULL, '{}', '{}', '[1]', '{}', NULL @0),
    ('waits', 'app@example.org', 'lift', 'lift', 'available', 0, 1.5, 1.5, 0, 0,
        NULL, NULL, NULL, NULL, '{"priority":0}', '{"a":"b"}', '[2]', '{}', NULL @0),
    ('done', 'app@example.org', 'lift', 'lift', 'succeeded', 0, 1.5, 1.5, 1, 1,
        NULL, NULL, 2.0, 3.0, '{}', '{}', '[3]', '{}', '5' @0)
"""
SCHEDULES = """
    INSERT INTO schedules (
        name, owner, task, args, kwargs, options, cron, every, zone, missed, paused, next, last,
        problem
    ) VALUES ('nightly', 'app@example.org', 'lift', '[1]', '{}', '{}', '0 3 * * *', NULL, 'UTC',
        'once', FALSE, 100.0, 50.0, '')
"""
TASKS = "INSERT INTO tasks VALUES ('lift', '{}', 'v1', '{}', 5.0)"  # since the second one


def old_file(directory, number):
    db = connect(directory / "jobs.db")
    for step, script in migrations(SQLITE).items():
        if step <= number:
            for statement in statements(script):
                db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {number}")
    fill(db, JOBS.replace(" @", ", "), number)
    db.close()
    return open_store(f"sqlite:///{directory}/jobs.db")


def old_database(directory, number):
    url = shared().emptied_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE SCHEMA jabot")
        db.execute("SET search_path = jabot")
        db.execute(f"CREATE TABLE version AS SELECT {number} AS number")
        for step, script in migrations(POSTGRES).items():
            if step <= number:
                db.execute(script.encode())
        fill(db, JOBS.replace(" @size", "").replace(" @0", ""), number)
    return open_store(url)


def fill(db, jobs, number):
    for statement in (jobs, SCHEDULES, *([TASKS] if number > 1 else [])):
        db.execute(statement)


OLDER = {"sqlite": old_file, "postgres": old_database}


def test_both_have_the_same_steps():
    assert migrations(SQLITE).keys() == migrations(POSTGRES).keys()


@pytest.fixture(params=range(1, max(migrations(SQLITE))), ids="schema {}".format)
def number(request):
    return request.param


@pytest.fixture(params=list(OLDER))
async def queue(request, tmp_path, number):
    store = OLDER[request.param](tmp_path, number)
    assert News("ready", "lift") in await store.open()
    yield Asked(store)
    await store.close()


async def test_its_jobs_go_on(queue):
    states = {job.id: job.state for job in await queue.do(List(Filter()))}
    assert states == {
        "runs": JobState.RUNNING,
        "waits": JobState.AVAILABLE,
        "done": JobState.SUCCEEDED,
    }
    assert json((await queue.look("done")).result) == 5
    assert (await queue.finish("runs")).stands
    (job,) = await queue.claim(9, now=4.0)
    assert (job.id, json(job.args), job.meta, job.options.priority) == ("waits", [2], {"a": "b"}, 0)
    await queue.do(Tell("waits", "ann@example.org/x", NODE))
    assert (await queue.finish("waits")).stands
    assert [job.id for job in await queue.do(Untold(NODE))] == ["waits"]


async def test_its_jobs_count_for_those_who_submitted_them(queue):
    refused = await queue.add("more", most=2)
    assert (refused.refused, refused.detail) == ("too_many", "2")
    await queue.finish("runs")
    assert (await queue.add("more", most=2)).is_new


async def test_its_schedules_fire_on(queue):
    (nightly,) = await queue.do(Schedules())
    assert nightly == Schedule(
        *("nightly", OWNER, "lift", Raw(b"[1]"), Raw(b"{}"), NO_OPTIONS, "0 3 * * *"),
        next=100.0,
        last=50.0,
    )
    timed = msgspec.structs.replace(nightly, timeout=9.5)
    assert await queue.do(PutSchedule(timed, OWNER))
    assert await queue.do(Schedules()) == [timed]


async def test_what_it_knows_of_tasks_is_kept(queue, number):
    # Up to the fourth schema descriptions were kept with their parameters in a wrong order.
    words = [TaskWord("lift", NO_OPTIONS, "v1", None, 5.0)] if number > 1 else []
    assert await queue.do(Tasks()) == words
