"""Many workers in one process: python worker_fleet.py COUNT. It logs who is online, and prints what
they have done when it is told to stop (SIGTERM)."""

import asyncio
import collections
import json
import logging
import signal
import sys

from jabot import Context, Node
from jabot.account import resolve_account


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
        await asyncio.sleep(0)  # making its TLS context takes a while: others may go on
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    for node in nodes:
        node.stop()
    await asyncio.gather(*serving)
    print(json.dumps({"jobs": len(ran), "runs": ran.total()}), flush=True)


if __name__ == "__main__":
    logging.basicConfig()
    logging.getLogger("jabot.xmpp.session").setLevel(logging.INFO)
    asyncio.run(main(int(sys.argv[1])))
