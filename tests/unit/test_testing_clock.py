"""The made-up time of an event loop."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from jabot import ConfigError
from jabot.runner.threads import run_in_thread
from jabot.testing import Clock


async def test_time_passes_at_once_when_all_wait_for_it(clock):
    begun, order = time.monotonic(), []

    async def wait(seconds):
        await asyncio.sleep(seconds)
        order.append((seconds, asyncio.get_running_loop().time() - 1000))

    await asyncio.gather(wait(3600), wait(1), wait(0.5))
    assert order == [(0.5, 0.5), (1, 1), (3600, 3600)]
    assert time.monotonic() - begun < 60


async def test_it_stands_still_while_there_is_something_to_do(clock):
    for _ in range(50):
        await asyncio.sleep(0)
    assert clock.now == 1000


async def test_what_asks_again_and_again_gets_on(clock):
    """As code does that compares two clocks: what is left is too little for a timer."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 1e-10
    while loop.time() < until:
        await asyncio.sleep(until - loop.time())


async def test_advance_brings_all_that_is_due_and_what_comes_of_it(clock):
    ticks = []

    async def tick():
        while True:
            await asyncio.sleep(10)
            ticks.append(clock.now - 1000)

    ticking = asyncio.ensure_future(tick())
    await clock.advance(30)
    assert ticks == [10, 20, 30]
    assert clock.now == 1030
    await clock.advance(9.5)
    assert len(ticks) == 3
    ticking.cancel()


async def test_a_limit_in_time_is_one_of_made_up_time(clock):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 3600)
    assert clock.now == 4600


async def test_the_date_goes_along_and_can_be_set(clock):
    clock.date = datetime(2030, 1, 1, tzinfo=UTC)
    await clock.advance(86_400)
    assert clock.date == datetime(2030, 1, 2, tzinfo=UTC)
    assert clock.wall() == datetime(2030, 1, 2, tzinfo=UTC).timestamp()
    with pytest.raises(ConfigError, match="time zone"):
        clock.date = datetime(2030, 1, 1)


async def test_a_thread_is_waited_for(clock):
    done = []

    def work():
        time.sleep(0.05)
        done.append(clock.now)

    await asyncio.gather(asyncio.to_thread(work), run_in_thread(work, "work"), asyncio.sleep(600))
    assert done == [1000, 1000]
    assert clock.now == 1600


async def test_advance_and_settle_go_on_without_a_thread_that_does_not_end(clock):
    go = threading.Event()
    blocked = asyncio.ensure_future(run_in_thread(go.wait, "blocks"))
    await clock.settle()
    assert clock.now == 1000
    await clock.advance(3600)
    assert clock.now == 4600
    go.set()
    assert await blocked


async def test_a_store_is_waited_for_however_many_calls_it_takes(clock):
    """As on a busy machine: all together takes longer than the patience for one of them."""
    done = []

    async def keep():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as store:
            for number in range(4):
                await loop.run_in_executor(store, time.sleep, 0.2)
                done.append(number)

    keeping = asyncio.ensure_future(keep())
    await clock.settle()
    assert done == [0, 1, 2, 3]
    await keeping


async def test_a_thread_of_an_earlier_test_is_nobody_s(clock):
    go = threading.Event()
    blocked = asyncio.ensure_future(run_in_thread(go.wait, "blocks"))
    await asyncio.sleep(0)
    clock.release()
    begun = time.monotonic()
    later = Clock(asyncio.get_running_loop(), patience=30)
    await asyncio.sleep(3600)
    assert time.monotonic() - begun < 20
    go.set()
    later.release()
    await blocked


async def test_what_waits_for_such_a_thread_waits_as_long_as_it_really_takes(clock):
    go = threading.Event()
    blocked = asyncio.ensure_future(run_in_thread(go.wait, "blocks"))
    begun = time.monotonic()
    await asyncio.sleep(0.2)
    assert time.monotonic() - begun >= 0.7  # the patience, and what passed
    go.set()
    await blocked


async def test_a_process_is_waited_for(clock):
    program = "import time; time.sleep(0.1); print('done')"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 0.001)
    assert out == b"done\n"
    assert clock.now == 1000


async def test_a_socket_is_given_its_time_while_a_task_runs(clock):
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    clock.anybody_runs = lambda: True
    threading.Timer(0.1, theirs.sendall, (b"hi\n",)).start()
    assert await asyncio.wait_for(reader.readline(), 60) == b"hi\n"
    assert clock.now < 1030
    clock.anybody_runs = lambda: False
    await asyncio.sleep(3600)
    writer.close()
    theirs.close()


def test_a_test_that_waits_for_what_never_comes_ends_with_an_error():
    passed = []

    async def beat():
        while True:
            await asyncio.sleep(5000)

    async def hang():
        clock = Clock(asyncio.get_running_loop())
        clock.explain = lambda: "Not over: lift."
        beating = asyncio.ensure_future(beat())
        await clock.advance(200_000)  # asked for: no matter
        begun = clock.now
        try:
            await asyncio.Event().wait()
        finally:
            passed.append(clock.now - begun)
            beating.cancel()
            clock.release()

    with pytest.raises(TimeoutError, match=r"within a day.*advance\(\).*Not over: lift"):
        asyncio.run(hang())
    assert 86_400 < passed[0] < 100_000


def test_timers_from_before_come_after_it_is_released():
    async def main():
        loop = asyncio.get_running_loop()
        clock = Clock(loop)
        await asyncio.sleep(10_000)
        late = loop.time() + 0.01
        fired = loop.create_future()
        loop.call_at(late, fired.set_result, None)
        clock.release()
        assert late - 1 < loop.time() < late + 60
        await fired
        assert await asyncio.to_thread(lambda: 7) == 7
        again = Clock(loop)
        await asyncio.sleep(3600)
        again.release()

    asyncio.run(main())


async def test_it_needs_a_loop_whose_time_can_be_taken_over(clock):
    class Loop:
        pass

    with pytest.raises(ConfigError, match=r"asyncio's own"):
        Clock(Loop())
    with pytest.raises(ConfigError, match="one at a time"):
        Clock(asyncio.get_running_loop())
