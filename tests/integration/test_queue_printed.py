"""`jabot jobs`, `jabot schedules` and `jabot queue stats`: what they print, and how they end."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chatting import LIMIT, account_environment, calling, serving
from jabot import Context, Node
from jabot.cli import cli
from jabot.queue_node import QueueNode
from servers import Account, Server

pytestmark = pytest.mark.not_on("ejabberd")  # what is between them and a server is tested by others


class Shop:
    """A queue and a worker in the loop of the test, and the people around them."""

    def __init__(self, server: Server) -> None:
        self.queue, self.bot, self.ann, self.bob, self.eve = (
            server.fresh_user(name) for name in ("jobs", "bot", "ann", "bob", "eve")
        )
        self.server = server
        self.glued = False
        self.go = asyncio.Event()

    async def hold(self, reps: int, *, ctx: Context) -> str:
        ctx.progress(0, reps)
        if reps > 1:
            await self.go.wait()
        return "held"

    async def drop(self, what: str) -> None:
        if not self.glued:
            raise ValueError(f"{what}\x1b[31m broke")

    async def command(self, account: Account, *words: str) -> Result:
        """A command of somebody's, in a thread: it has a loop of its own."""
        environment = account_environment(self.server, account)
        level = logging.getLogger("jabot").level
        try:
            async with asyncio.timeout(LIMIT):
                return await asyncio.to_thread(
                    CliRunner().invoke, cli, words, env=environment, prog_name="jabot"
                )
        finally:
            logging.getLogger("jabot").setLevel(level)

    async def jabot(self, account: Account, *words: str) -> Result:
        """The same, at the queue."""
        return await self.command(account, *words, "--to", self.queue.jid)

    async def printed(self, account: Account, *words: str) -> str:
        """What a command prints, which has to succeed."""
        done = await self.jabot(account, *words)
        assert (done.exit_code, done.stderr) == (0, ""), done.stderr
        return done.stdout

    async def told(self, account: Account, *words: str) -> Any:
        """The JSON that a command prints, which has to succeed."""
        return json.loads(await self.printed(account, *words, "--json"))

    async def submit(self, task: str, *args: Any, **options: Any) -> str:
        """A job of Ann's; its id."""
        async with calling(self.server, self.queue.jid, self.ann) as app:
            return (await app.submit(task, *args, **options)).id

    async def until(self, job_id: str, state: str) -> None:
        """Wait until a job is in a state."""
        async with asyncio.timeout(LIMIT):
            while (await self.told(self.ann, "jobs", "show", job_id))["state"] != state:
                await asyncio.sleep(0.05)


@pytest.fixture
async def shop(xmpp: Server, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(xmpp)
    queue = QueueNode(
        store=f"sqlite:///{tmp_path}/jobs.db",
        allow={shop.ann.jid: "*", shop.bob.jid: "*"},
        work=[shop.bot.jid],
        manage=[shop.bob.jid],
    )
    worker = Node(queue=shop.queue.jid, concurrency=1)
    worker.task(shop.hold)
    worker.task(shop.drop)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(queue, xmpp, shop.queue, for_people=False))
        await stack.enter_async_context(serving(worker, xmpp, shop.bot, for_people=False))
        yield shop
        shop.go.set()


async def test_jobs_are_listed_and_shown(shop: Shop) -> None:
    broken = await shop.submit("drop", "vase", labels={"customer": "7"})
    await shop.until(broken, "failed")
    for words in (["--state", "failed"], ["--label", "customer=7"], ["--task", "drop"], []):
        found = await shop.told(shop.ann, "jobs", "list", *words)
        assert [job["id"] for job in found] == [broken]
    for words in (["--state", "running"], ["--label", "customer=8"], ["--task", "hold"]):
        assert await shop.told(shop.ann, "jobs", "list", *words) == []
    assert await shop.told(shop.bob, "jobs", "list", "--mine") == []
    head, line = (await shop.printed(shop.ann, "jobs", "list")).splitlines()
    assert head.split() == ["JOB", "TASK", "STATE", "TRY", "WHEN", "REMARK"]
    assert line.startswith(f"{broken}  drop  failed  1 ")
    assert line.rstrip().endswith("ValueError: vase\ufffd[31m broke")
    head = (await shop.printed(shop.bob, "jobs", "list")).splitlines()[0]
    assert "OWNER" in head  # they are not all his
    shown = await shop.printed(shop.ann, "jobs", "show", broken[-8:], "-v")
    for text in ("drop failed", '"vase"', "labels={", "attempt 1", "ValueError", broken, "in drop"):
        assert text in shown
    assert "\x1b" not in shown


async def test_lists_have_pages(shop: Shop) -> None:
    ids = [await shop.submit("hold", 1, delay="1h") for _ in range(5)][::-1]
    done = await shop.jabot(shop.ann, "jobs", "list", "--limit", "2", "--json")
    assert [job["id"] for job in json.loads(done.stdout)] == ids[:2]
    done = await shop.jabot(shop.ann, "jobs", "list", "--limit", "2")
    assert done.stderr == f"more: --before {ids[1]}\n"
    done = await shop.jabot(shop.ann, "jobs", "list", "--limit", "3", "--before", ids[1][-8:])
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ids[2:]
    assert done.stderr == ""


async def test_jobs_are_run_again_and_waited_for(shop: Shop) -> None:
    broken = await shop.submit("drop", "vase")
    done = await shop.jabot(shop.ann, "jobs", "wait", broken, "-v")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "ValueError: vase\ufffd[31m broke" in done.stderr
    assert "in drop" in done.stderr
    shop.glued = True
    again = await shop.printed(shop.ann, "jobs", "retry", broken)
    assert again == f"drop {broken}: available again\n"
    held = await shop.submit("hold", 1)
    assert await shop.printed(shop.ann, "jobs", "wait", held, broken) == '"held"\nnull\n'
    outcomes = await shop.told(shop.ann, "jobs", "wait", broken, held)
    assert [outcome["result"] for outcome in outcomes] == [None, "held"]
    long = await shop.submit("hold", 2)
    done = await shop.jabot(shop.ann, "jobs", "wait", long, held, "--timeout", "200ms")
    assert (done.exit_code, done.stdout) == (124, '"held"\n')
    assert "has not ended within 0.2 s; it goes on" in done.stderr
    await shop.until(long, "running")


async def test_jobs_are_cancelled_and_deleted(shop: Shop) -> None:
    held, later = await shop.submit("hold", 2), await shop.submit("hold", 1, delay="1h")
    await shop.until(held, "running")
    assert "not before" in (await shop.told(shop.ann, "jobs", "show", later))["why"]
    words = ("jobs", "cancel", held, later, "nosuchjob", "--reason", "enough")
    done = await shop.jabot(shop.ann, *words)
    assert done.exit_code == 2
    told, gone = f"hold {held}: its worker is told to stop it", f"hold {later}: cancelled"
    assert done.stdout == f"{told}\n{gone}\n"
    assert "no job nosuchjob" in done.stderr
    await shop.until(held, "cancelled")
    done_job = await shop.submit("hold", 1)
    await shop.until(done_job, "succeeded")
    again = await shop.printed(shop.ann, "jobs", "cancel", done_job)
    assert again == f"hold {done_job}: it had succeeded already\n"
    none = await shop.printed(shop.ann, "jobs", "purge", "--older-than", "1h")
    assert none == "0 ended jobs deleted\n"
    assert await shop.told(shop.ann, "jobs", "purge", "--state", "cancelled") == {"deleted": 2}
    assert [job["id"] for job in await shop.told(shop.ann, "jobs", "list")] == [done_job]


async def test_many_jobs_are_handled_by_filters(shop: Shop) -> None:
    broken = [await shop.submit("drop", "vase") for _ in range(3)]
    other = await shop.submit("drop", "jar", labels={"of": "others"})
    later = [await shop.submit("hold", 1, delay="1h") for _ in range(2)]
    for job in (*broken, other):
        await shop.until(job, "failed")
    shop.glued = True
    again = await shop.told(shop.ann, "jobs", "retry", "--label", "of=others")
    assert [job["id"] for job in again] == [other]
    await shop.until(other, "succeeded")
    again = await shop.told(shop.bob, "jobs", "retry", "--owner", shop.ann.jid)
    assert sorted(job["id"] for job in again) == sorted(broken)
    for job in broken:
        await shop.until(job, "succeeded")
    gone = await shop.printed(shop.ann, "jobs", "cancel", "--task", "hold")
    assert sorted(gone.splitlines()) == sorted(f"hold {job}: cancelled" for job in later)
    done = await shop.jabot(shop.ann, "jobs", "cancel", "--all")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no such jobs\n")
    for words in ([], [later[0], "--mine"]):
        done = await shop.jabot(shop.ann, "jobs", "retry", *words)
        assert done.exit_code == 2
        assert "by their ids, or say which" in done.stderr


async def test_stats(shop: Shop) -> None:
    held = await shop.submit("hold", 2)
    await shop.until(held, "running")
    await shop.submit("hold", 1)
    await shop.submit("hold", 1, delay="1h")
    stats = await shop.told(shop.bob, "queue", "stats")
    assert stats["tasks"]["hold"]["states"] == {"running": 1, "available": 1, "scheduled": 1}
    (worker,) = stats["workers"]
    assert [run["id"] for run in worker["runs"]] == [held]
    text = await shop.printed(shop.bob, "queue", "stats")
    assert f"hold: the one slot of {worker['jid']} is taken" in text
    assert f"{worker['jid']}  1 of 1  hold {held}" in text
    row = next(line.split() for line in text.splitlines() if line.startswith("hold "))
    assert row[:6] == ["hold", "1", "1", "1", "0", "0"]
    assert "WORKER" not in await shop.printed(shop.ann, "queue", "stats")
    assert await shop.printed(shop.bob, "queue", "pause", "hold") == "hold is paused\n"
    assert (await shop.told(shop.ann, "queue", "stats"))["tasks"]["hold"]["paused"]
    assert "\nhold is paused\n" in await shop.printed(shop.ann, "queue", "stats")
    resumed = await shop.told(shop.bob, "queue", "resume", "hold")
    assert resumed == {"task": "hold", "paused": False}


async def test_what_is_not_allowed_or_not_there_has_its_exit_code(shop: Shop) -> None:
    job = await shop.submit("hold", 1, delay="1h")
    for account, words, code, said in [
        (shop.eve, ["jobs", "list"], 4, "allow"),
        (shop.ann, ["queue", "pause", "hold"], 4, "may not pause hold"),
        (shop.ann, ["jobs", "list", "--owner", shop.bob.jid], 4, shop.bob.jid),
        (shop.bob, ["jobs", "wait", job], 4, shop.ann.jid),
        (shop.ann, ["jobs", "show", "nosuchjob"], 2, "no job nosuchjob of yours"),
        (shop.ann, ["jobs", "list", "--state", "asleep"], 2, "asleep"),
        (shop.ann, ["schedules", "pause", "nightly"], 2, "no schedule nightly of yours"),
    ]:
        done = await shop.jabot(account, *words)
        assert (done.exit_code, done.stdout) == (code, ""), (words, done.stderr)
        assert said in done.stderr, (words, done.stderr)
    done = await shop.command(shop.bot, "jobs", "list", "--to", shop.bot.jid)
    assert done.exit_code == 2
    assert "is no queue" in done.stderr
    done = await shop.command(shop.ann, "jobs", "list", "--to", "nobody@localhost")
    assert done.exit_code == 3


async def test_schedules_are_kept_listed_and_removed(shop: Shop) -> None:
    await shop.until(await shop.submit("hold", 1), "succeeded")  # the queue knows the task
    first, *times = (
        await shop.printed(
            *(shop.ann, "schedules", "add", "nightly", "hold", "30", "--cron", "0 3 * * *"),
            *("--zone", "Europe/Berlin", "--priority", "5", "--retries", "2", "--timeout", "5m"),
        )
    ).splitlines()
    assert first == "nightly: hold, 0 3 * * * Europe/Berlin"
    read = [datetime.strptime(" ".join(t.split()[-3:-1]), "%Y-%m-%d %H:%M:%S") for t in times]
    assert len(read) == 3
    assert read[1] - read[0] == read[2] - read[1] == timedelta(days=1)
    line = await shop.told(shop.ann, "schedules", "add", "pulse", "drop", "30", "--every", "1s")
    assert line["args"] == ["30"]  # as the parameter's type has it
    nightly, _ = await shop.told(shop.ann, "schedules", "list")
    assert nightly["args"] == [30]
    assert nightly["options"]["priority"] == 5
    assert nightly["timeout"] == 300.0
    assert nightly["options"]["retry"]["attempts"] == 3
    async with asyncio.timeout(LIMIT):
        while not await shop.told(shop.ann, "jobs", "list", "--task", "drop"):
            await asyncio.sleep(0.05)
    assert await shop.printed(shop.bob, "schedules", "pause", "pulse") == "pulse is paused\n"
    listed = (await shop.printed(shop.bob, "schedules", "list")).splitlines()
    assert [line.split()[0] for line in listed] == ["NAME", "nightly", "pulse"]
    assert "paused" in listed[2]
    removed = await shop.printed(shop.ann, "schedules", "remove", "pulse")
    assert removed == "pulse is removed\n"


async def test_schedules_that_could_never_fire_are_refused(shop: Shop) -> None:
    for words, said in [
        (["--cron", "0 0 30 2 *"], "'0 0 30 2 *'"),
        (["--cron", "0 3 * * *", "--zone", "Mars/Olympus"], "Mars/Olympus"),
        (["--every", "100ms"], "at least 1 s"),
        (["--every", "5m", "--cron", "0 3 * * *"], "one of both"),
        ([], "one of both"),
    ]:
        done = await shop.jabot(shop.ann, "schedules", "add", "never", "hold", "1", *words)
        assert done.exit_code == 2, (words, done.stderr)
        assert said in done.stderr, (words, done.stderr)
    assert await shop.told(shop.ann, "schedules", "list") == []
