"""Functions that a node runs by the clock."""

import asyncio
import itertools
import logging
import threading
from datetime import datetime

import pytest

from jabot.runner.timers import Timer
from jabot.schedule import Cron, Every
from unit.clock import turns

EPOCH = datetime(2024, 6, 1, 12).astimezone()


@pytest.fixture
def wall(clock):
    """The wall clock, going with the made-up one; `wall.shift` sets it."""

    class Wall:
        shift = 0.0

        def __call__(self):
            return EPOCH.timestamp() + clock.now - 1000 + self.shift

    return Wall()


@pytest.fixture
async def start(clock, wall):
    running = []

    def start(function, schedule):
        timer = Timer(function, schedule)
        running.append(asyncio.ensure_future(timer.run(wall)))
        timer.running = running[-1]
        return timer

    yield start
    for task in running:
        task.cancel()


def ticker(clock, takes=0.0):
    times = []

    async def tick():
        times.append(round(clock.now - 1000, 3))
        await asyncio.sleep(takes)

    return times, tick


async def test_it_ticks_at_each_interval_first_after_one(clock, start):
    times, tick = ticker(clock)
    start(tick, Every(10))
    await clock.advance(45)
    assert times == [10, 20, 30, 40]


async def test_ticks_do_not_overlap_and_missed_ones_are_left_out(clock, start):
    times, tick = ticker(clock, takes=25)
    start(tick, Every(10))
    await clock.advance(100)
    assert times == [10, 40, 70, 100]


async def test_a_cron_line(clock, start):
    times, tick = ticker(clock)
    start(tick, Cron("*/15 * * * *"))
    await clock.advance(3600)
    assert times == [900, 1800, 2700, 3600]


@pytest.mark.parametrize("schedule", [Every(60), Cron("* * * * *")])
@pytest.mark.parametrize("back", [0.001, 30, 3600])
async def test_a_clock_that_is_set_back_brings_no_tick_twice(clock, start, wall, schedule, back):
    times, tick = ticker(clock)
    start(tick, schedule)
    await clock.advance(60.5)
    assert times == [60]
    wall.shift = -back
    await clock.advance(119)
    assert len(times) <= 3
    assert min(b - a for a, b in itertools.pairwise(times)) >= 59


async def test_a_clock_that_is_set_forward_leaves_ticks_out(clock, start, wall):
    times, tick = ticker(clock)
    start(tick, Every(60))
    await clock.advance(61)
    wall.shift = 3600
    await clock.advance(120)
    assert len(times) == 3


async def test_what_it_raises_is_logged_and_the_next_tick_comes(clock, start, caplog):
    ticks = []

    async def fails():
        ticks.append(1)
        raise ValueError("größer")

    with caplog.at_level(logging.ERROR, "jabot"):
        start(fails, Every(1))
        await clock.advance(3.5)
    assert len(ticks) == 3
    assert [r.getMessage().endswith("fails raised") for r in caplog.records] == [True] * 3
    assert "größer" in caplog.text


async def test_a_cancelled_timer_ends_and_never_ticks(clock, start):
    times, tick = ticker(clock)
    timer = start(tick, Every(10))
    await clock.advance(15)
    timer.cancel()
    await timer.running
    await clock.advance(100)
    assert times == [10]


async def test_a_function_may_cancel_its_own_timer(clock, start):
    times = []

    async def once():
        times.append(1)
        timer.cancel()

    timer = start(once, Every(10))
    await timer.running
    assert times == [1]


async def test_a_timer_that_is_never_due_ends_and_says_so(clock, start, caplog):
    times, tick = ticker(clock)
    timer = start(tick, Cron("0 0 */31 * MON#5"))
    await timer.running
    assert times == []
    assert "never due again" in caplog.text


async def test_a_plain_function_runs_in_a_thread(clock, start):
    threads, ticked = [], asyncio.Event()
    loop = asyncio.get_running_loop()

    def tick():
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(ticked.set)

    timer = start(tick, Every(10))
    await ticked.wait()
    timer.cancel()
    await turns()
    assert threads[0] is not threading.main_thread()
    await timer.running
