"""A queue inside a test: what a user's own tests can see and do."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import jabot
from jabot import (
    ConfigError,
    Context,
    JobTimeout,
    NobodyThere,
    Node,
    NotAllowed,
    Retry,
    TaskFailed,
    WorkerLost,
)
from jabot.testing import queue


class Gym:
    """A node, and what its tasks have seen."""

    def __init__(self, **options):
        self.node = Node(**options)
        self.began = []
        for task in (self.lift, self.weigh, self.fall, self.hold):
            self.node.task(task)

    async def lift(self, reps: int = 30, *, ctx: Context) -> str:
        self.began.append((ctx.attempt, ctx.caller.bare))
        for done in range(reps):
            await asyncio.sleep(0.1)
            ctx.progress(done + 1, reps)
        return f"Lifted {reps}"

    def weigh(self, kilos: float) -> float:
        time.sleep(0.001)
        return kilos

    async def fall(self) -> None:
        raise ValueError("ouch")

    async def hold(self, *, ctx: Context) -> int:
        self.began.append(ctx.attempt)
        if ctx.attempt == 1:
            await asyncio.sleep(3600)
        return ctx.attempt


@pytest.fixture
def gym():
    return Gym()


async def test_not_before_its_time(gym):
    async with queue(gym.node) as q:
        job = await q.submit("lift", 3, delay="10m")
        await q.advance("9m 59s")
        assert job.status == "unknown"
        assert gym.began == []
        await q.advance("2s")
        assert job.status == "succeeded"
        assert await job == "Lifted 3"
    assert gym.began == [(1, "app@localhost")]


async def test_what_is_awaited_needs_no_advance(gym):
    begun = time.monotonic()
    async with queue(gym.node) as q:
        before = q.now
        assert await (await q.submit("lift", 300, delay="20m")) == "Lifted 300"
        assert timedelta(minutes=20.5) <= q.now - before < timedelta(minutes=20.6)
    assert time.monotonic() - begun < 60


async def test_all_that_a_client_can_do(gym):
    async with queue(gym.node) as q:
        assert [kilos async for kilos in q.map("weigh", [1, 2, 3])] == [1, 2, 3]
        job = await q.submit("lift", 2)
        same = await q.job(job.id)
        assert [step.done async for step in job.progress][-1] == 2
        assert await same == "Lifted 2"
        assert "lift" in await q.describe()
        stats = await (await q.submit("queue.stats"))
        assert [worker["jid"] for worker in stats["workers"]] == [str(gym.node.jid)]


def test_with_nothing_but_asyncio_one_after_the_other(gym):
    async def once(reps):
        async with queue(gym.node) as q:
            return await (await q.submit("lift", reps))

    async def several():
        return [await once(reps) for reps in (1, 2)]

    assert asyncio.run(once(3)) == "Lifted 3"
    assert asyncio.run(several()) == ["Lifted 1", "Lifted 2"]


async def test_a_lost_worker(gym):
    async with queue(gym.node) as q:
        job = await q.submit("hold")
        await q.advance()
        assert gym.began == [1]
        await q.lose(gym.node)
        await q.start(gym.node)
        before = q.now
        assert await job == 2
        assert q.now - before <= timedelta(seconds=1.5)  # the grace, and not the lease


async def test_a_job_that_loses_its_workers_too_often(gym):
    async with queue(gym.node, losses=2) as q:
        job = await q.submit("lift")
        for _ in range(2):
            await q.advance("2s")
            await q.lose(gym.node)
            await q.start(gym.node)
        with pytest.raises(WorkerLost):
            await job
        assert len(gym.began) == 2


async def test_a_dead_line_that_nobody_notices(gym):
    other = Gym()
    async with queue(gym.node, lease="20s") as q:
        job = await q.submit("hold")
        await q.advance()
        q.cut_off(gym.node)
        await q.advance("15s")
        q.join(gym.node)
        await q.advance("30s")
        assert gym.began == [1]  # back in time: it keeps the job
        q.cut_off(gym.node)
        await q.start(other.node)
        await q.advance("13s")  # it is silent for longer by up to a third of its lease
        assert (gym.began, other.began) == ([1], [])
        await q.advance("8s")
        assert (gym.began, other.began) == ([1], [2])
        assert await job == 2
        q.join(gym.node)


async def test_a_worker_that_is_stopped_finishes_what_it_runs(gym):
    other = Gym()
    async with queue(gym.node, other.node) as q:
        jobs = [await q.submit("lift", 3) for _ in range(4)]
        await q.stop(gym.node)
        assert [await job for job in jobs] == ["Lifted 3"] * 4
        assert all(attempt == 1 for attempt, _ in gym.began + other.began)


async def test_the_date(gym):
    dates = []

    @gym.node.task
    async def note(*, ctx: Context) -> None:
        dates.append(q.now)

    eve = datetime(2030, 1, 1, 2, 59, tzinfo=UTC)
    async with queue(gym.node, now=eve) as q:
        assert q.now == eve
        at = datetime(2030, 1, 1, 3, 10, tzinfo=UTC)
        await q.submit("note", at=at)
        await (await q.submit("queue.schedule", "nightly", "note", cron="0 3 * * *"))
        await q.advance(to=at - timedelta(seconds=1))
        assert [date.isoformat()[:16] for date in dates] == ["2030-01-01T03:00"]
        await q.advance(to=at)
        assert dates[1:] == [at]
        with pytest.raises(ConfigError, match="already"):
            await q.advance(to=eve)


async def test_timers_of_a_node_go_by_its_clock(gym):
    ticks = []

    @gym.node.cron("30 * * * *", UTC)
    async def half_past():
        ticks.append(q.now.minute)

    async with queue(gym.node, now=datetime(2030, 1, 1, tzinfo=UTC)) as q:
        await q.advance("31m")
    assert ticks == [30]


async def test_retries_and_limits_take_no_time(gym):
    async with queue(gym.node) as q:
        before = q.now
        job = await q.submit("fall", retries=Retry(3, backoff=1000, most=5000, jitter=0))
        with pytest.raises(TaskFailed, match="ouch"):
            await job
        assert timedelta(seconds=3000) <= q.now - before < timedelta(seconds=3010)
        slow = await q.submit("lift", timeout="1s")
        with pytest.raises(JobTimeout):
            await slow


async def test_a_failure_that_nobody_has_seen_fails_the_test(gym):
    with pytest.raises(AssertionError, match=r"fall .*: ValueError: ouch"):
        async with queue(gym.node) as q:
            await q.submit("fall")
            await q.advance()
    async with queue(gym.node, strict=False) as q:
        await q.submit("fall")
        await q.advance()


async def test_one_of_a_schedule_as_well(gym):
    with pytest.raises(AssertionError, match="fall"):
        async with queue(gym.node) as q:
            await (await q.submit("queue.schedule", "falling", "fall", every="10s"))
            await q.advance("15s")
    async with queue(gym.node) as q:
        await (await q.submit("queue.schedule", "falling", "fall", every="10s"))
        await q.advance("15s")
        (failure,) = await q.failures()
        assert failure.error == "ValueError: ouch"


async def test_a_failure_that_a_task_has_heard_of_is_the_tasks(gym):
    @gym.node.task
    async def parent() -> str:
        try:
            await (await gym.node.submit("fall", to=q.address))
        except TaskFailed as error:
            return error.type
        return ""

    async with queue(gym.node) as q:
        assert await (await q.submit("parent")) == "ValueError"


async def look_by_status(job):
    assert job.status == "failed"


async def look_by_error(job):
    assert "ouch" in str(job.error)


async def look_by_errback(job):
    errors = []
    job.errback(errors.append)
    assert len(errors) == 1


async def look_by_completion(job):
    job.completion(lambda job: None)


async def look_by_await(job):
    with pytest.raises(TaskFailed):
        await job


@pytest.mark.parametrize(
    "look", [look_by_status, look_by_error, look_by_errback, look_by_completion, look_by_await]
)
async def test_ways_to_see_a_failure(gym, look):
    async with queue(gym.node) as q:
        job = await q.submit("fall")
        await q.advance()
        await look(job)


async def test_an_error_of_the_test_is_not_covered_by_failures(gym):
    with pytest.raises(KeyError):
        async with queue(gym.node) as q:
            await q.submit("fall")
            await q.advance()
            raise KeyError


async def test_rights_and_other_accounts(gym):
    allow = {"app@localhost": "*", "ann@example.org": ["weigh"]}
    async with queue(gym.node, allow=allow) as q, q.connect("ann@example.org") as ann:
        assert await (await ann.submit("weigh", 5)) == 5
        with pytest.raises(NotAllowed):
            await ann.submit("lift", 1)
        async with jabot.connect(account=q.account("eve@evil.example"), to=q.address) as eve:
            with pytest.raises(NotAllowed):
                await eve.submit("weigh", 1)


async def test_direct_jobs_go_as_well():
    gym = Gym(allow={"app@localhost": "*"})
    async with queue(gym.node) as q:
        assert await (await q.submit("lift", 1, to="bot@localhost")) == "Lifted 1"
        with pytest.raises(NobodyThere):
            await q.submit("lift", 1, to="nobody@localhost")


async def test_the_addresses_that_a_node_names(gym):
    gym = Gym(jid="lifter@gym.example", queue="jobs@gym.example")
    async with queue(gym.node) as q:
        assert q.address == "jobs@gym.example"
        assert gym.node.jid.bare == "lifter@gym.example"
        assert await (await q.submit("lift", 1)) == "Lifted 1"


async def test_what_keeps_a_node_from_work_is_raised(gym):
    @gym.node.on_start
    def fails():
        raise OSError("no gym")

    with pytest.raises(OSError, match="no gym"):
        async with queue(gym.node):
            pass


async def test_a_worker_that_the_queue_does_not_take(gym):
    with pytest.raises(jabot.JabotError, match="not at work for jobs@localhost"):
        async with queue(gym.node, work=["carl@localhost"]):
            pass


async def test_at_the_end_a_node_stops_in_good_order(gym):
    go, order = threading.Event(), []

    @gym.node.task
    def block() -> None:
        go.wait(60)

    @gym.node.task
    async def step() -> None:
        await asyncio.sleep(5)
        order.append("stepped")

    @gym.node.on_stop
    async def stop():
        order.append("stopped")

    begun = time.monotonic()
    async with queue(gym.node) as q:
        for task in ("hold", "step", "block"):
            await q.submit(task)
        await q.advance()
    assert order == ["stepped", "stopped"]
    assert time.monotonic() - begun < 30  # neither an hour for `hold`, nor a minute for `block`
    go.set()


async def test_it_says_what_a_test_waits_for(gym):
    async with queue(gym.node) as q:
        await q.submit("hold", delay="30d")
        assert "Not over: hold " in q._clock.explain()


@pytest.fixture
async def q(gym):
    async with queue(gym.node) as q:
        yield q


async def test_as_a_fixture(q):
    assert await (await q.submit("lift", 2)) == "Lifted 2"
