"""Sends jobs and asks for their results, oldest first.

Taskiq's way to wait for a result is to ask again and again. A thousand coroutines that ask would
keep Redis busy with questions about jobs that nobody has begun: only those that have waited longest
do.
"""

import asyncio
from typing import Any

from tasks import broker, tasks

from bench.durable.orders import answer_orders

_ASKING = 4  # coroutines
_ASK_EVERY = 0.01  # seconds
_TIMEOUT = 60.0  # seconds


async def main() -> None:
    turn = asyncio.Semaphore(_ASKING)  # first come, first served

    async def submit(task: str, *arguments: Any) -> Any:
        return await tasks[task].kiq(*arguments)

    async def result(job: Any) -> Any:
        async with turn:
            answer = await job.wait_result(check_interval=_ASK_EVERY, timeout=_TIMEOUT)
        return answer.return_value

    await broker.startup()
    await answer_orders(submit, result)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
