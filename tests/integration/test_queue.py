"""A queue between programs and workers: what it keeps, and when it lets it run."""

import asyncio
from datetime import UTC, datetime

import pytest

from chatting import LIMIT, Bench, calling, serving, soon
from jabot import (
    BadArguments,
    Client,
    Context,
    Expired,
    JobCancelled,
    JobTimeout,
    KeyReused,
    Node,
    NotAllowed,
    ParentFailed,
    QueueNeeded,
    Retry,
    TaskFailed,
    UnknownJob,
)
from servers import Server

pytestmark = pytest.mark.also_in_memory


async def echo(value: int | str) -> int | str:
    return value


async def total(*, ctx: Context) -> int:
    return sum(ctx.parents)


async def test_a_job_goes_through_it(bench: Bench) -> None:
    async def lift(reps: int, *, ctx: Context) -> dict[str, str | int | None]:
        for done in range(1, reps + 1):
            ctx.progress(done, reps)
        via = ctx.via.bare if ctx.via else None
        return {"caller": ctx.caller.bare, "via": via, "attempt": ctx.attempt}

    async with bench.queue(), bench.working(lift), bench.calling() as app:
        job = await app.submit("lift", 3)
        seen = {"caller": bench.caller.jid, "via": bench.account.jid, "attempt": 1}
        assert await soon(job) == seen
        assert job.step is not None
        assert job.step.done == 3


async def test_it_waits_for_a_worker(bench: Bench) -> None:
    async with bench.queue(), bench.calling() as app:
        job = await app.submit("echo", "山")
        assert job.status == "unknown"
        async with bench.working(echo):
            assert await soon(job) == "山"


async def test_it_tells_the_load_of_its_workers(bench: Bench) -> None:
    running, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        running.set()
        await go.wait()

    async def load(app: Client) -> tuple[int, int]:
        (queue,) = await app.nodes()
        return queue.running, queue.slots

    async def until_load(app: Client, wanted: tuple[int, int]) -> None:
        async with asyncio.timeout(LIMIT):
            while await load(app) != wanted:
                await asyncio.sleep(0.05)

    async with bench.queue(), bench.calling() as app:
        assert await load(app) == (0, 0)
        async with bench.working(hold, concurrency=3):
            job = await app.submit("hold")
            await soon(running.wait())
            await until_load(app, (1, 3))
            go.set()
            await soon(job)
            await until_load(app, (0, 3))
        await until_load(app, (0, 0))


async def test_what_a_task_raises_comes_back(bench: Bench) -> None:
    async def fall() -> None:
        raise ValueError("ouch")

    async with bench.queue(), bench.working(fall), bench.calling() as app:
        with pytest.raises(TaskFailed, match="ValueError: ouch") as raised:
            await soon(await app.submit("fall"))
        assert "in fall" in raised.value.traceback


async def test_arguments_that_the_worker_does_not_take(bench: Bench) -> None:
    async with bench.queue(), bench.working(echo), bench.calling() as app:
        job = await app.submit("echo", value=1.5, retries=3)
        with pytest.raises(BadArguments, match="value"):
            await soon(job)


async def test_retries_are_the_queues(bench: Bench) -> None:
    async def third(*, ctx: Context) -> int:
        if ctx.attempt < 3:
            raise OSError("not yet")
        return ctx.attempt

    async with bench.queue(), bench.working(third), bench.calling() as app:
        once = await app.submit("third")
        with pytest.raises(TaskFailed):
            await soon(once)
        again = await app.submit("third", retries=Retry(3, backoff=0.01, on=OSError))
        assert await soon(again) == 3
        other = await app.submit("third", retries=Retry(3, backoff=0.01, on=KeyError))
        with pytest.raises(TaskFailed):
            await soon(other)


async def test_not_before_its_time(bench: Bench) -> None:
    async def when() -> float:
        return bench.wall()

    async with bench.queue(), bench.working(when), bench.calling() as app:
        begun = bench.wall()
        later = await app.submit("when", delay=0.4)
        at = await app.submit("when", at=datetime.fromtimestamp(begun + 0.6, UTC))
        assert await soon(later) >= begun + 0.4
        assert await soon(at) >= begun + 0.6


async def test_the_higher_priority_first(bench: Bench) -> None:
    order = []

    async def note(name: str) -> None:
        order.append(name)

    async with bench.queue(), bench.calling() as app:
        jobs = [
            await app.submit("note", name, priority=priority)
            for name, priority in [("usual", 0), ("low", -5), ("high", 5), ("usual too", 0)]
        ]
        async with bench.working(note, concurrency=1):
            for job in jobs:
                await soon(job)
    assert order == ["high", "usual", "usual too", "low"]


async def test_a_job_that_nobody_begins_in_time(bench: Bench) -> None:
    async with bench.queue(), bench.calling() as app:
        expiring = await app.submit("echo", 1, expires=1.0)
        impatient = await app.submit("echo", 1, timeout=1.0)
        with pytest.raises(Expired):
            await soon(expiring)
        with pytest.raises(JobTimeout):
            await soon(impatient)


async def test_the_same_key_is_the_same_job(bench: Bench) -> None:
    runs = []

    async def count(name: str) -> int:
        runs.append(name)
        return len(runs)

    async with bench.queue(), bench.working(count), bench.calling() as app:
        first = await app.submit("count", "a", key="k")
        second = await app.submit("count", "a", key="k")
        assert await soon(first) == await soon(second) == 1
        assert await soon(await app.submit("count", "a", key="k")) == 1
        with pytest.raises(KeyReused, match="'k'"):
            await app.submit("count", "b", key="k")
    assert runs == ["a"]


async def test_one_waits_and_one_runs(bench: Bench) -> None:
    running, go = asyncio.Event(), asyncio.Event()
    runs = []

    async def tidy(which: str) -> str:
        runs.append(which)
        running.set()
        await go.wait()
        return which

    async with bench.queue(), bench.working(tidy), bench.calling() as app:
        first = await app.submit("tidy", "first", unique="tidy")
        await soon(running.wait())
        second = await app.submit("tidy", "second", unique="tidy")
        third = await app.submit("tidy", "third", unique="tidy")
        go.set()
        assert [await soon(job) for job in (first, second, third)] == ["first", "second", "second"]
    assert runs == ["first", "second"]


async def test_so_many_at_once_in_the_whole_pool(bench: Bench) -> None:
    now, most = 0, 0
    full = asyncio.Event()  # else jobs may end as fast as a busy machine submits them

    async def crowd() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0.02)
        now -= 1

    async with bench.queue(), bench.calling() as app:
        jobs = [await app.submit("crowd", concurrency=3) for _ in range(12)]
        async with bench.working(crowd), bench.working(crowd):
            for job in jobs:
                await soon(job)
    assert most == 3


async def test_so_many_in_a_second(bench: Bench) -> None:
    begun = []

    async def tick() -> None:
        begun.append(asyncio.get_running_loop().time())

    async with bench.queue(), bench.working(tick), bench.calling() as app:
        jobs = [await app.submit("tick", rate="5/s") for _ in range(4)]
        for job in jobs:
            await soon(job)
    assert begun[-1] - begun[0] >= 0.55


async def test_after_others_with_their_results(bench: Bench) -> None:
    async with bench.queue(), bench.working(echo, total), bench.calling() as app:
        parents = [await app.submit("echo", value, delay=0.1) for value in (1, 20)]
        assert await soon(await app.submit("total", after=parents)) == 21
        assert await soon(await app.submit("total", after=[parents[1].id])) == 20


async def test_after_one_that_fails(bench: Bench) -> None:
    async def fall() -> None:
        raise ValueError("ouch")

    async with bench.queue(), bench.working(fall, total), bench.calling() as app:
        parent = await app.submit("fall", delay=0.1)
        child = await app.submit("total", after=[parent])
        grandchild = await app.submit("total", after=[child])
        with pytest.raises(ParentFailed, match=parent.id):
            await soon(child)
        with pytest.raises(ParentFailed):
            await soon(grandchild)


async def test_a_worker_with_the_labels(bench: Bench) -> None:
    async def where() -> str:
        return "plain"

    async def on_gpu() -> str:
        return "gpu"

    on_gpu.__name__ = "where"
    async with bench.queue(), bench.calling() as app, bench.working(where):
        job = await app.submit("where", where={"gpu": ["a100", "h100"]})
        assert await soon(await app.submit("where")) == "plain"
        async with bench.working(on_gpu, labels={"gpu": "h100"}):
            assert await soon(job) == "gpu"


async def test_cancel_reaches_what_runs_and_what_waits(bench: Bench) -> None:
    running, stopped = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        running.set()
        try:
            await asyncio.sleep(LIMIT)
        finally:
            stopped.set()

    async with bench.queue(), bench.working(hold), bench.calling() as app:
        waiting = await app.submit("hold", delay=LIMIT)
        waiting.cancel()
        with pytest.raises(JobCancelled):
            await soon(waiting)
        held = await app.submit("hold")
        await soon(running.wait())
        held.cancel("enough")
        with pytest.raises(JobCancelled, match="enough"):
            await soon(held)
        await soon(stopped.wait())


async def test_another_program_asks_for_it_by_id(bench: Bench) -> None:
    other = bench.server.fresh_user("app")
    async with bench.queue(allow={"*": "*"}), bench.calling() as app:
        job = await app.submit("echo", 7)
        async with bench.calling() as again, bench.calling(other) as stranger:
            same = await again.job(job.id)
            with pytest.raises(UnknownJob):
                await stranger.job(job.id)
            async with bench.working(echo):
                assert await soon(job) == await soon(same) == 7
            assert await soon(await again.job(job.id)) == 7


async def test_rights(bench: Bench) -> None:
    stranger = bench.server.fresh_user("app")
    allow = {bench.caller.jid: ["echo"]}
    async with bench.queue(allow=allow, work=[]), bench.working(echo), bench.calling() as app:
        with pytest.raises(NotAllowed, match="total"):
            await app.submit("total")
        async with bench.calling(stranger) as other:
            with pytest.raises(NotAllowed):
                await other.submit("echo", 1)
        job = await app.submit("echo", 1, expires=0.5)
        with pytest.raises(Expired):  # the worker is nobody's whom the queue would give a job
            await soon(job)


async def test_a_plain_worker_has_no_use_for_options(xmpp: Server) -> None:
    node = Node()
    node.task(echo)
    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        with pytest.raises(QueueNeeded, match="priority"):
            await app.submit("echo", 1, priority=3)


async def test_a_parameter_with_the_name_of_an_option(bench: Bench) -> None:
    async def lookup(key: str) -> str:
        return key

    async with bench.queue(), bench.working(lookup), bench.calling() as app:
        assert await soon(await app.submit("lookup", "a", key="k")) == "a"
        assert await soon(await app.submit("lookup", arguments={"key": "b"})) == "b"


async def test_a_queue_that_is_stopped_and_started_again_goes_on(bench: Bench) -> None:
    go = asyncio.Event()

    async def hold(value: int) -> int:
        await go.wait()
        return value

    async with bench.working(hold, concurrency=1), bench.calling() as app:
        async with bench.queue():
            jobs = [await app.submit("hold", value) for value in (1, 2, 3)]
        go.set()
        async with bench.queue():
            assert [await soon(job) for job in jobs] == [1, 2, 3]
