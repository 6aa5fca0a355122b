"""Submits jobs and does not wait for their results. Usage: caller.py QUEUE

Each order `{"submit": N}` on stdin is answered, once the queue has them all, with how many seconds
that took. With `{"submit": 1}` it waits until there is a queue.
"""

import asyncio
import json
import os
import sys
import time

import jabot
from bench.closed_loop import say

_IN_FLIGHT = 1_000
_AT_A_TIME = 25_000  # jobs of one connection: their handles go with it


async def submit(queue: str, jobs: int) -> float:
    """Seconds for so many, with connections that are up."""
    async with jabot.connect(os.environ["JABOT_JID"], to=queue) as app:
        if jobs == 1:
            await app.submit("echo", 0, wait=True)
            return 0.0
        await app.nodes()  # it has met the queue
        numbers = iter(range(jobs))

        async def one_after_another() -> None:
            for number in numbers:
                await app.submit("echo", number)

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(one_after_another())
        return time.perf_counter() - begin


async def main(queue: str) -> None:
    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        left, seconds = json.loads(line)["submit"], 0.0
        while left:
            jobs = min(left, _AT_A_TIME)
            seconds += await submit(queue, jobs)
            left -= jobs
        say(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
