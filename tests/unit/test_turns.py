import asyncio
import contextvars

import pytest

from jabot.runner.turns import Turns
from jabot.tasks import Task

LOCAL = contextvars.ContextVar("local", default="nothing")


class Jobs:
    """Stands in for jobs: each is a coroutine function that is given its name."""

    def __init__(self):
        self.log = []
        self.turns = Turns(self.run)

    async def run(self, job):
        try:
            await job.task(job.id)
        finally:
            self.log.append(job.id)

    def start(self, *functions):
        tasks = {function: Task(function) for function in functions}
        jobs = [Named(tasks[function], f"{number}") for number, function in enumerate(functions)]
        for job in jobs:
            self.turns.start(job)
        return jobs


class Named:
    def __init__(self, task, name):
        self.task, self.id = task, name


@pytest.fixture
async def jobs():
    return Jobs()


async def quick(name):
    LOCAL.set(name)


async def turn():
    await asyncio.sleep(0)


async def test_those_that_do_not_wait_are_through_in_the_next_turn_in_one_task(jobs):
    tasks = set()

    async def job(name):
        tasks.add(asyncio.current_task())

    jobs.start(*[job] * 3)
    assert jobs.log == []
    await turn()
    assert jobs.log == ["0", "1", "2"]
    assert len(tasks) == 1
    assert not jobs.turns.tasks


async def test_one_that_waits_keeps_its_task_and_its_limits_and_holds_nobody_up(jobs):
    tasks = []

    async def waits(name):
        tasks.append(asyncio.current_task())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(1)
        tasks.append(asyncio.current_task())

    async def after_it(name):
        tasks.append(asyncio.current_task())

    (job, _) = jobs.start(waits, after_it)
    await turn()
    await turn()
    assert jobs.log == ["1"]
    assert list(jobs.turns.tasks) == [job]
    while jobs.turns.tasks:
        await asyncio.sleep(0.001)
    first, other, last = tasks
    assert first is last
    assert first is not other
    assert first.get_name() == "job 0"
    assert jobs.log == ["1", "0"]


@pytest.mark.parametrize("pauses", [False, True])
async def test_each_has_a_context_of_its_own_from_its_begin_to_its_end(jobs, pauses):
    seen = []

    async def job(name):
        seen.append(LOCAL.get())
        LOCAL.set(name)
        if pauses:
            await turn()
        seen.append(LOCAL.get())

    jobs.start(job, job)
    for _ in range(4):
        await turn()
    assert sorted(seen) == ["0", "1", "nothing", "nothing"]
    assert LOCAL.get() == "nothing"


async def test_to_cancel_one_leaves_the_others(jobs):
    caught = []

    async def waits(name):
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            caught.append(name)
            await turn()  # it may wait while it ends
            raise

    first, second = jobs.start(waits, waits)
    await turn()
    await turn()
    jobs.turns.tasks[first].cancel()
    for _ in range(3):
        await turn()
    assert caught == jobs.log == ["0"]
    assert list(jobs.turns.tasks) == [second]
    jobs.turns.tasks[second].cancel()
    for _ in range(3):
        await turn()
    assert jobs.log == ["0", "1"]


async def test_one_that_cancels_itself_and_ends_takes_nobody_along(jobs):
    async def cancels_itself(name):
        asyncio.current_task().cancel()

    async def waits(name):
        await turn()

    jobs.start(cancels_itself, waits, quick)
    for _ in range(4):
        await turn()
    assert sorted(jobs.log) == ["0", "1", "2"]


async def test_one_that_leaves_by_an_error_takes_nobody_along(jobs):
    async def raises(name):
        raise asyncio.CancelledError

    jobs.start(raises, quick)
    for _ in range(3):
        await turn()
    assert jobs.log == ["0", "1"]
    assert not jobs.turns.tasks


async def test_what_is_started_meanwhile_is_for_the_next_turn(jobs):
    async def starts_another(name):
        if len(jobs.log) < 5:
            jobs.start(starts_another)

    jobs.start(starts_another)
    await turn()
    assert len(jobs.log) == 1
    await turn()
    assert len(jobs.log) == 2
    for _ in range(5):
        await turn()
    assert len(jobs.log) == 6


async def test_as_many_as_there_are_begin_to_wait_at_once(jobs):
    begun, gate = [], asyncio.Event()

    async def waits(name):
        begun.append(name)
        await gate.wait()

    jobs.start(*[waits] * 100)
    await turn()
    await turn()  # the first one has shown that they wait
    assert len(begun) == 100
    assert len(set(jobs.turns.tasks.values())) == 100
    task = next(iter(jobs.turns.tasks)).task
    for name in ("a", "b"):
        jobs.turns.start(Named(task, name))
    await turn()
    assert begun[100:] == ["a", "b"]
    gate.set()
    for _ in range(3):
        await turn()
    assert len(jobs.log) == 102
    assert not jobs.turns.tasks
