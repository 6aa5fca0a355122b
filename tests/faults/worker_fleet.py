"""Many workers in one process: python worker_fleet.py COUNT.

It prints when they are online, and what they have done when it is told to stop (SIGTERM).
"""

import asyncio
import collections
import json
import logging
import signal
import sys

from jabot import Context, Node
from jabot.account import resolve_account

STEP = 0.3  # seconds between two of them


async def main(count: int) -> None:
    ran: collections.Counter[str] = collections.Counter()
    account = resolve_account(None)
    nodes = [Node(allow={"*": "*"}, drain_limit=5) for _ in range(count)]

    async def square(number: int, *, ctx: Context) -> int:
        ran[ctx.job_id] += 1
        return number * number

    for node in nodes:
        node.task(square)
    serving = []
    for node in nodes:
        serving.append(asyncio.create_task(node.serve(account)))
        # One after the other: an ejabberd that is to tell 200 sessions of one account of each other
        # all at once is busy with that for minutes.
        await asyncio.sleep(STEP)
    while not all(node._serving and node._serving.session.is_online for node in nodes):
        await asyncio.sleep(STEP)
    print("all online", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    for node in nodes:
        node.stop()
    await asyncio.gather(*serving)
    print(json.dumps({"jobs": len(ran), "runs": ran.total()}), flush=True)


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(main(int(sys.argv[1])))
