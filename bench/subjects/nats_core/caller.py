"""Sends requests and awaits the replies. Usage: caller.py URL"""

import asyncio
import json
import sys
from typing import Any

import nats

from bench.closed_loop import answer_orders

_TIMEOUT = 60.0  # seconds; with 30,000 in flight each reply takes some


async def main(url: str) -> None:
    connection = await nats.connect(url)

    async def call(value: int) -> Any:
        reply = await connection.request("echo", json.dumps(value).encode(), timeout=_TIMEOUT)
        return json.loads(reply.data)

    await answer_orders(call)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
