"""Submits jobs to a queue and awaits them. Usage: caller.py QUEUE"""

import asyncio
import os
import sys
from typing import Any

import jabot
from bench.durable.orders import answer_orders


async def main(queue: str) -> None:
    async with jabot.connect(os.environ["JABOT_JID"], to=queue) as app:

        async def result(job: jabot.Job) -> Any:
            return await job

        await (await app.submit("echo", 0, wait=True))  # the worker may still sign in
        await answer_orders(app.submit, result)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
