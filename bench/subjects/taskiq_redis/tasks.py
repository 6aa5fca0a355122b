"""The broker, as in Taskiq's documentation, and its tasks."""

import os

from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from bench.closed_loop import say
from bench.durable import jobs

_URL = os.environ["BENCH_REDIS"]

broker = RedisStreamBroker(url=_URL + "/0").with_result_backend(
    RedisAsyncResultBackend(redis_url=_URL + "/1", result_ex_time=600)
)


@broker.task
async def echo(value: int) -> int:
    return jobs.echo(value)


@broker.task
async def clock() -> int:
    return jobs.clock()


@broker.task
async def hold(job: int, seconds: float) -> int:
    return await jobs.hold_on_loop(job, seconds)


tasks = {"echo": echo, "clock": clock, "hold": hold}


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _ready(_: TaskiqState) -> None:
    say("ready")
