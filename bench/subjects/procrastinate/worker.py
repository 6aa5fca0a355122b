"""A worker. It fetches one job after another; so many coroutines may run at the same time."""

import asyncio

from tasks import app

from bench.closed_loop import say

_CONCURRENCY = 100


async def main() -> None:
    async with app.open_async():
        say("ready")
        await app.run_worker_async(concurrency=_CONCURRENCY)


if __name__ == "__main__":
    asyncio.run(main())
