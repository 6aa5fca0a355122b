"""A queue whose disk is full, or whose database goes away, while jobs come and go."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from chatting import LIMIT, Program, calling, node_program, soon
from chatting.programs import account_environment, program
from jabot import Client
from servers import Account, Server
from servers.postgres import Postgres

WORKER = """
    from jabot import Node

    node = Node(queue="QUEUE")

    @node.task
    async def size(text: str) -> int:
        return len(text)
"""
LARGE = "x" * 20_000


@asynccontextmanager
async def queue(
    server: Server, folder: Path, account: Account, caller: Account, *command: str
) -> AsyncIterator[Program]:
    environment = account_environment(server, account)
    async with program([*command, "--allow", caller.jid], folder, environment, "queue") as running:
        await running.logged("online as")
        yield running


def queue_command(store: str) -> list[str]:
    return [sys.executable, "-m", "jabot", "queue", "--store", store]


@asynccontextmanager
async def worker(server: Server, folder: Path, account: Account) -> AsyncIterator[Program]:
    source = WORKER.replace("QUEUE", account.jid)
    async with node_program(source, folder, server, account, name="worker") as running:
        await running.logged("working for")
        yield running


async def run(app: Client, text: str) -> int:
    job = await app.submit("size", text)
    return await job


async def all_of(running: list[asyncio.Task[int]]) -> list[int]:
    return await soon(asyncio.gather(*running), 2 * LIMIT)


async def test_a_full_disk_and_then_room_again(xmpp: Server, tmp_path: Path) -> None:
    """The queue has a disk of 6 MB of its own, in a mount namespace."""
    account, caller = xmpp.fresh_user("jobs"), xmpp.fresh_user("app")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=6m none {disk} && head -c 4m /dev/zero > {disk}/filler"
    alone = (
        ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    )
    command = [*alone, "sh", "-c", f'{mount} && exec "$@"', "sh"]
    command += queue_command(f"sqlite:///{disk}/jobs.db")
    async with (
        queue(xmpp, tmp_path, account, caller, *command) as running,
        worker(xmpp, tmp_path, account),
        calling(xmpp, account.jid, caller) as app,
    ):
        assert await soon(run(app, "abc")) == 3
        jobs = [asyncio.create_task(run(app, LARGE + "x" * n)) for n in range(120)]
        await running.logged(r"jobs\.db: the disk is full; make room")
        Path(f"/proc/{running.pid}/root{disk}/filler").unlink()
        assert await all_of(jobs) == [len(LARGE) + n for n in range(120)]
        await running.logged("the store can be used again")
        assert await soon(run(app, "abcd")) == 4


async def test_a_database_that_goes_and_comes_under_load(
    xmpp: Server, tmp_path: Path, own_postgres: Postgres
) -> None:
    account, caller = xmpp.fresh_user("jobs"), xmpp.fresh_user("app")
    command = queue_command(own_postgres.fresh_database())
    async with (
        queue(xmpp, tmp_path, account, caller, *command) as running,
        worker(xmpp, tmp_path, account),
        calling(xmpp, account.jid, caller) as app,
    ):
        jobs = [asyncio.create_task(run(app, "x" * n)) for n in range(100)]
        await asyncio.wait(jobs, return_when="FIRST_COMPLETED")
        await asyncio.to_thread(own_postgres.stop, immediate=True)
        jobs += [asyncio.create_task(run(app, "x" * n)) for n in range(100, 120)]
        await running.logged("I try again and again, and take nothing meanwhile")
        await asyncio.to_thread(own_postgres.start)
        assert await all_of(jobs) == list(range(120))
        assert await soon(run(app, "abc")) == 3


async def test_a_job_that_was_asked_for_by_its_id_at_a_node_that_dies(
    xmpp: Server, tmp_path: Path, postgres: Postgres
) -> None:
    """Whichever of two nodes that was: the other one tells of its end."""
    account, caller = xmpp.fresh_user("jobs"), xmpp.fresh_user("app")
    command = queue_command(postgres.fresh_database())
    (tmp_path / "two").mkdir()
    async with (
        queue(xmpp, tmp_path, account, caller, *command) as one,
        queue(xmpp, tmp_path / "two", account, caller, *command),
        calling(xmpp, account.jid, caller) as app,
    ):
        jobs = [await app.submit("size", "x" * n) for n in range(10)]
        async with calling(xmpp, account.jid, caller) as other:
            same = [await other.job(job.id) for job in jobs]
            one.kill()
            async with worker(xmpp, tmp_path, account):
                for handles in (jobs, same):
                    results = [await soon(job, 2 * LIMIT) for job in handles]
                    assert results == list(range(10))


# -- a schema from the future ----------------------------------------------------------------------


async def refused(store: str, folder: Path) -> str:
    """What a queue says that does not start."""
    environment = {"JABOT_JID": "jobs@localhost", "JABOT_PASSWORD": "none"}
    async with program(queue_command(store), folder, environment) as running:
        assert await running.ended() == 1
        assert "Traceback" not in running.log
        return running.log


async def test_a_file_of_a_newer_jabot(tmp_path: Path) -> None:
    from jabot.queue.store import open_store

    store = f"sqlite:///{tmp_path}/jobs.db"
    made = open_store(store)
    await made.open()
    await made.close()
    with sqlite3.connect(tmp_path / "jobs.db") as db:
        db.execute("PRAGMA user_version = 4711")
    db.close()
    said = await refused(store, tmp_path)
    assert "jobs.db has schema 4711, made by a newer jabot; this one knows" in said
    assert "update jabot" in said


async def test_a_database_of_a_newer_jabot(tmp_path: Path, postgres: Postgres) -> None:
    from jabot.queue.store import open_store

    store = postgres.fresh_database()
    made = open_store(store)
    await made.open()
    await made.close()
    with psycopg.connect(store, autocommit=True) as db:
        db.execute("UPDATE jabot.version SET number = 4711")
    said = await refused(store, tmp_path)
    assert "has schema 4711, made by a newer jabot; this one knows" in said


@pytest.mark.parametrize(
    ("store", "why"),
    [
        ("sqlite:///{}/none/jobs.db", "is no directory; make it first"),
        ("postgresql://nobody@127.0.0.1:1/jobs", "connection failed"),
    ],
)
async def test_a_store_that_cannot_be_had_is_named(tmp_path: Path, store: str, why: str) -> None:
    assert why in await refused(store.format(tmp_path), tmp_path)
