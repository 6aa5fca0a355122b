"""Plain functions run in threads: their last step, and how they end."""

import asyncio
import threading

from jabot import Context, Step
from jabot.runner import Runner
from jabot.runner.threads import LatestStep, run_in_thread
from unit.clock import turns
from unit.running import submit


async def test_of_a_burst_of_progress_the_last_step_arrives_before_the_result():
    seen = []

    def task(*, ctx: Context):
        for n in range(10_000):
            ctx.progress(n)
        return "done"

    job = submit(Runner(), task)
    job.on_progress(seen.append)
    job.callback(seen.append)
    await job
    assert seen[-2:] == [Step(9999), "done"]
    assert [s.done for s in seen[:-1]] == sorted({s.done for s in seen[:-1]})


async def test_a_burst_is_one_call_on_the_loop(monkeypatch):
    seen, calls = [], []
    loop = asyncio.get_running_loop()
    call = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *a: (calls.append(a), call(*a)))
    latest = LatestStep(seen.append)
    for n in range(100):
        latest(Step(n))
    assert len(calls) == 1
    await turns()
    assert seen == [Step(99)]
    latest(Step(100))
    latest.flush()
    await turns()
    assert seen == [Step(99), Step(100)]


async def test_a_thread_cannot_keep_the_process_alive():
    assert await run_in_thread(lambda: threading.current_thread().daemon, "x")


def test_a_thread_that_outlives_its_loop_says_nothing(recwarn):
    free = threading.Event()

    def late():
        free.wait(10)

    async def main():
        waiting = asyncio.ensure_future(run_in_thread(late, "late"))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(main())
    [thread] = [t for t in threading.enumerate() if t.name == "late"]
    free.set()
    thread.join(10)
    assert not thread.is_alive()
