"""Defers jobs, and takes their results from the table where the tasks put them."""

import asyncio
import itertools
import os
from typing import Any

import psycopg
from tasks import app, tasks

from bench.durable.orders import answer_orders

_LOOK_EVERY = 0.02  # seconds


async def main() -> None:
    numbers = itertools.count()
    waiting: dict[int, asyncio.Future[int]] = {}
    results = await psycopg.AsyncConnection.connect(os.environ["BENCH_POSTGRESQL"], autocommit=True)

    async def look() -> None:
        while True:
            found = await results.execute("DELETE FROM results RETURNING token, value")
            for token, value in await found.fetchall():
                future = waiting.pop(token, None)
                if future is not None:  # a job that was run again was here before
                    future.set_result(value)
            await asyncio.sleep(_LOOK_EVERY)

    async def submit(task: str, *arguments: Any) -> asyncio.Future[int]:
        token = next(numbers)
        future = waiting[token] = asyncio.get_running_loop().create_future()
        await tasks[task].defer_async(token=token, arguments=list(arguments))
        return future

    async def result(job: asyncio.Future[int]) -> int:
        return await job

    async with app.open_async():
        looking = asyncio.create_task(look())
        await answer_orders(submit, result)
        looking.cancel()
    await results.close()


if __name__ == "__main__":
    asyncio.run(main())
