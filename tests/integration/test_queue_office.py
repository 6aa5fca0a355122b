"""Looking after a queue through its own tasks: what is seen, what is done, and by whom."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import jabot
from chatting import LIMIT, calling, serving, soon
from jabot import (
    BadArguments,
    Client,
    ConfigError,
    Context,
    Expired,
    JobCancelled,
    Node,
    NotAllowed,
    ParentFailed,
    TaskFailed,
    UnknownJob,
    UnknownTask,
)
from jabot.definition import Definition
from jabot.queue_node import QueueNode
from servers import Account, Server


class Place:
    """A queue with the accounts around it: a manager, a caller, a stranger and a worker."""

    def __init__(self, server: Server, store: str) -> None:
        self.server = server
        self.store = store
        self.queue = server.fresh_user("jobs")
        self.worker = server.fresh_user("bot")
        self.manager = server.fresh_user("boss")
        self.caller = server.fresh_user("app")
        self.other = server.fresh_user("web")
        self.stranger = server.fresh_user("eve")
        self.go = asyncio.Event()
        self.running = asyncio.Event()

    @asynccontextmanager
    async def serving_queue(self, **options: Any) -> AsyncIterator[QueueNode]:
        allow = {self.caller.jid: ["hold", "fall", "echo"], self.other.jid: ["echo"]}
        given = {"allow": allow, "manage": [self.manager.jid], "work": [self.worker.jid]}
        node = QueueNode(store=self.store, **{**given, **options})
        async with serving(node, self.server, self.queue, for_people=False):
            yield node

    @asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[Node]:
        node = Node(queue=self.queue.jid, **options)
        for function in (self.hold, self.fall, self.echo):
            node.task(function)
        async with serving(node, self.server, self.worker, for_people=False):
            yield node

    def calling(self, account: Account) -> Client:
        return calling(self.server, self.queue.jid, account)

    async def hold(self) -> str:
        self.running.set()
        await self.go.wait()
        return "held"

    async def fall(self, *, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ValueError("ouch")
        return ctx.attempt

    async def echo(self, value: int) -> int:
        return value


@pytest.fixture
def place(xmpp: Server, tmp_path: Path) -> Place:
    return Place(xmpp, f"sqlite:///{tmp_path}/jobs.db")


async def ask(app: Client, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """What one of the queue's own tasks answers."""
    return await soon(await app.submit(f"queue.{name}", *args, **kwargs))


async def test_it_tells_of_jobs_by_filters_and_pages(place: Place) -> None:
    async with place.serving_queue(), place.calling(place.caller) as app:
        ids = [(await app.submit("echo", n, labels={"of": "them"})).id for n in range(3)]
        held = (await app.submit("hold", delay=LIMIT)).id
        assert [job["id"] for job in await ask(app, "jobs")] == [held, *reversed(ids)]
        assert [job["id"] for job in await ask(app, "jobs", ["scheduled"])] == [held]
        assert [job["id"] for job in await ask(app, "jobs", task="hold")] == [held]
        page = await ask(app, "jobs", label={"of": "them"}, limit=2)
        assert [job["id"] for job in page] == ids[:0:-1]
        rest = await ask(app, "jobs", label={"of": "them"}, before=page[-1]["id"])
        assert [job["id"] for job in rest] == ids[:1]
        with pytest.raises(BadArguments, match="limit"):
            await ask(app, "jobs", limit=1001)


async def test_it_shows_a_job_by_the_end_of_its_id_and_says_why_it_waits(place: Place) -> None:
    async with place.serving_queue(), place.calling(place.caller) as app:
        job = await app.submit("echo", 7, priority=3, where={"gpu": "a100"})
        shown = await ask(app, "job", job.id[-6:].upper())
        assert (shown["id"], shown["args"], shown["priority"]) == (job.id, [7], 3)
        assert shown["why"] == "no worker is online"
        async with place.working():
            assert await soon(await app.submit("echo", 1)) == 1  # the worker has said hello
            shown = await ask(app, "job", job.id)
            assert shown["why"].startswith("needs gpu=a100: ")
        child = await app.submit("hold", after=[job])
        shown = await ask(app, "job", child.id)
        assert shown["why"] == f"waits for job {job.id} (echo, available)"
        with pytest.raises(UnknownJob, match="zzzzzz"):
            await ask(app, "job", "zzzzzz")
        with pytest.raises(BadArguments, match="too short"):
            await ask(app, "job", job.id[-3:])


async def test_one_that_failed_runs_again(place: Place) -> None:
    async with place.serving_queue(), place.working(), place.calling(place.caller) as app:
        job = await app.submit("fall")
        with pytest.raises(TaskFailed):
            await soon(job)
        shown = await ask(app, "job", job.id)
        assert shown["state"] == "failed"
        assert shown["error"] == "ValueError: ouch"
        assert "in fall" in shown["traceback"]
        assert [attempt["outcome"] for attempt in shown["history"]] == ["failed"]
        again = await ask(app, "retry", job.id)
        assert again["state"] == "available"
        assert await soon(await app.job(job.id)) == 2
        with pytest.raises(BadArguments, match="succeeded"):
            await ask(app, "retry", job.id)


async def test_what_runs_again_has_its_limits_again(place: Place) -> None:
    async with place.serving_queue(), place.calling(place.caller) as app:
        expiring = await app.submit("echo", 1, expires=0.2)
        with pytest.raises(Expired):
            await soon(expiring)
        for _ in range(2):
            assert (await ask(app, "retry", expiring.id))["state"] == "available"
            with pytest.raises(Expired):
                await soon(await app.job(expiring.id))
        child = await app.submit("echo", 1, after=[expiring])
        with pytest.raises(ParentFailed):
            await soon(child)
        with pytest.raises(BadArguments, match="comes after a job that failed"):
            await ask(app, "retry", child.id)


async def test_a_cancel_by_the_office_is_one_like_any_other(place: Place) -> None:
    async with place.serving_queue(), place.working(), place.calling(place.caller) as app:
        held = await app.submit("hold")
        await soon(place.running.wait())
        child = await app.submit("echo", 1, after=[held])
        async with place.calling(place.manager) as boss:
            line = await ask(boss, "cancel", held.id)
            assert line["state"] == "running"
            with pytest.raises(JobCancelled, match=place.manager.jid):
                await soon(held)
        with pytest.raises(ParentFailed, match="was cancelled"):
            await soon(child)
        waiting = await app.submit("hold", delay=LIMIT)
        assert (await ask(app, "cancel", waiting.id, "enough"))["state"] == "cancelled"
        with pytest.raises(JobCancelled, match="enough"):
            await soon(waiting)


async def test_purge_deletes_what_count_told(place: Place) -> None:
    async with place.serving_queue(), place.working(), place.calling(place.caller) as app:
        for value in range(3):
            await soon(await app.submit("echo", value))
        held = await app.submit("hold")
        async with place.calling(place.other) as other:
            await soon(await other.submit("echo", 9))
            assert await ask(app, "count") == 3
            assert await ask(app, "purge", ["failed"]) == 0
            assert await ask(app, "purge", task="echo") == 3
            assert [job["id"] for job in await ask(app, "jobs")] == [held.id]
            assert len(await ask(other, "jobs")) == 1
        place.go.set()


async def test_pause_and_resume(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        place.serving_queue(),
        place.working(labels={"gpu": "a100"}),
        place.calling(place.caller) as app,
        place.calling(place.manager) as boss,
    ):
        await soon(await app.submit("echo", 0))  # the queue knows the task from now on
        await ask(boss, "pause", "echo")
        jobs = [await app.submit("echo", 1), await app.submit("echo", 2, where={"gpu": "a100"})]
        for job in jobs:
            assert (await ask(app, "job", job.id))["why"] == "echo is paused"
        assert (await ask(boss, "stats"))["tasks"]["echo"]["stuck"] == "echo is paused"
        with pytest.raises(NotAllowed, match="resume echo"):
            await ask(app, "resume", "echo")
        for change in ("pause", "resume"):
            with pytest.raises(UnknownTask, match="did you mean echo"):
                await ask(boss, change, "ehco")
            assert "failed: no worker has offered ehco" in caplog.text  # for who runs the queue
        await ask(boss, "resume", "echo")
        assert [await soon(job) for job in jobs] == [1, 2]


async def test_stats_tell_managers_of_all_and_others_of_their_tasks(place: Place) -> None:
    async with (
        place.serving_queue(),
        place.working(concurrency=1),
        place.calling(place.caller) as app,
        place.calling(place.other) as other,
        place.calling(place.manager) as boss,
    ):
        await soon(await app.submit("echo", 1))
        held = await app.submit("hold")
        await soon(place.running.wait())
        waiting = await app.submit("echo", 2)
        whole = await ask(boss, "stats")
        assert whole["jid"] == place.queue.jid
        assert whole["tasks"]["echo"]["states"] == {"succeeded": 1, "available": 1}
        assert whole["tasks"]["echo"]["waited"]["p50"] >= 0
        assert "the one slot" in whole["tasks"]["echo"]["stuck"]
        (worker,) = whole["workers"]
        assert [run["id"] for run in worker["runs"]] == [held.id]
        assert (await ask(app, "job", waiting.id))["why"] == whole["tasks"]["echo"]["stuck"]
        part = await ask(other, "stats")
        assert list(part["tasks"]) == ["echo"]
        assert part["workers"] == []
        place.go.set()
        assert await soon(waiting) == 2


async def test_everybody_handles_his_own_and_a_manager_all(place: Place) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(place.serving_queue())
        app, other, boss, eve = [
            await stack.enter_async_context(place.calling(account))
            for account in (place.caller, place.other, place.manager, place.stranger)
        ]
        job = await app.submit("hold", delay=LIMIT)
        for name, args in [("job", [job.id]), ("cancel", [job.id]), ("retry", [job.id[-8:]])]:
            with pytest.raises(UnknownJob):
                await ask(other, name, *args)
        assert await ask(other, "jobs") == []
        with pytest.raises(NotAllowed, match=place.caller.jid):
            await ask(other, "jobs", owner=place.caller.jid)
        for name in ("pause", "resume"):
            with pytest.raises(NotAllowed):
                await ask(other, name, "hold")
        with pytest.raises(NotAllowed):
            await ask(other, "workers")
        with pytest.raises(NotAllowed):
            await ask(eve, "jobs")
        assert [each["id"] for each in await ask(boss, "jobs", owner=place.caller.jid)] == [job.id]
        assert (await ask(boss, "cancel", job.id))["state"] == "cancelled"
        assert await ask(other, "purge") == 0
        assert await ask(boss, "purge") == 1


async def test_names_that_only_the_queue_has(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stats() -> int:
        return 1

    async with place.serving_queue(), place.calling(place.caller) as app:
        with pytest.raises(UnknownTask):
            await app.submit("queue.nothing")
        with pytest.raises(BadArguments, match="retries"):
            await app.submit("queue.stats", retries=3)
        assert {"queue.jobs", "queue.stats", "queue.schedule"} <= set(await app.describe())
        node = Node(queue=place.queue.jid)
        node.task(name="queue.stats")(stats)
        node.task(place.echo)
        with pytest.raises(ConfigError, match=r"queue\.stats"):
            async with serving(node, place.server, place.worker, for_people=False):
                pass
        monkeypatch.setattr(Definition, "check", lambda *_: None)  # one of another kind
        async with (
            serving(node, place.server, place.worker, for_people=False),
            place.calling(place.manager) as boss,
        ):
            await soon(await app.submit("echo", 1))
            (worker,) = await ask(boss, "workers")
            assert worker["tasks"] == ["echo"]


async def test_the_program_of_the_page(place: Place) -> None:
    """It runs again what failed with a `TimeoutError`, and nothing else."""
    page = (Path(__file__).parents[2] / "docs" / "queue.md").read_text()
    (shown,) = re.findall(r"^```python\n(async def run_again.*?)^```$", page, re.M | re.S)
    names: dict[str, Any] = {"jabot": jabot}
    exec(compile(shown, "<shown>", "exec"), names)
    late = [True, True]

    async def wait(value: str) -> str:
        if late.pop():
            raise TimeoutError if value == "slow" else ValueError
        return value

    node = Node(queue=place.queue.jid, concurrency=1)
    node.task(wait)
    async with (
        place.serving_queue(allow={place.caller.jid: "*"}),
        serving(node, place.server, place.worker, for_people=False),
        place.calling(place.caller) as app,
    ):
        jobs = [await app.submit("wait", value) for value in ("slow", "wrong")]
        for job in jobs:
            with pytest.raises(TaskFailed):
                await soon(job)
        late.append(False)
        await names["run_again"](app)
        assert await soon(await app.job(jobs[0].id)) == "slow"
        assert (await ask(app, "job", jobs[1].id))["state"] == "failed"
