"""Submits jobs to a pool and awaits them. Usage: caller.py POOL"""

import asyncio
import os
import sys

import jabot
from bench.closed_loop import answer_orders


async def main(pool: str) -> None:
    async with jabot.connect(os.environ["JABOT_JID"]) as app:

        async def call(value: int) -> int:
            job = await app.submit("echo", value, to=pool)
            return await job

        await (await app.submit("echo", 0, to=pool, wait=True))  # the worker may still sign in
        await answer_orders(call)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
