"""Answers requests, as one of a queue group. Usage: worker.py URL"""

import asyncio
import json
import sys

import nats
from nats.aio.msg import Msg

from bench.closed_loop import say


async def echo(request: Msg) -> None:
    value = json.loads(request.data)
    await request.respond(json.dumps(value).encode())


async def main(url: str) -> None:
    connection = await nats.connect(url)
    await connection.subscribe("echo", queue="workers", cb=echo)
    await connection.flush()
    say("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
