"""Fetches jobs in batches, runs each as a task of the loop, replies, acknowledges. Usage: URL"""

import asyncio
import json
import sys

import nats
import stream
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingThereError

from bench.closed_loop import say
from bench.durable import jobs

_BATCH = 256
_WAIT = 5.0  # seconds for one fetch


async def main(url: str) -> None:
    connection = await nats.connect(url)
    jetstream = connection.jetstream()
    await stream.declare(jetstream)
    consumer = await stream.subscribe(jetstream)
    running: set[asyncio.Task[None]] = set()

    async def run(message: Msg) -> None:
        job = json.loads(message.data)
        match job["task"]:
            case "echo":
                result = jobs.echo(*job["arguments"])
            case "clock":
                result = jobs.clock()
            case _:
                result = await jobs.hold_on_loop(*job["arguments"])
        await connection.publish(job["reply"], json.dumps(result).encode())
        await message.ack()

    say("ready")
    while True:
        try:
            messages = await consumer.fetch(_BATCH, timeout=_WAIT)
        except NothingThereError:
            continue
        for message in messages:
            task = asyncio.create_task(run(message))
            running.add(task)
            task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
