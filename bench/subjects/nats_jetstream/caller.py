"""Publishes jobs into the stream; results come back as plain messages. Usage: caller.py URL

JetStream has no results of its own. A work queue's usual way is NATS itself: the job names an
inbox of the caller, and the worker publishes into it.
"""

import asyncio
import itertools
import json
import sys
from typing import Any

import nats
import stream
from nats.aio.msg import Msg

from bench.durable.orders import answer_orders

_TIMEOUT = 60.0  # seconds


async def main(url: str) -> None:
    connection = await nats.connect(url)
    jetstream = connection.jetstream(timeout=_TIMEOUT)
    await stream.declare(jetstream)
    inbox = connection.new_inbox()
    numbers = itertools.count()
    waiting: dict[str, asyncio.Future[Any]] = {}

    async def replied(message: Msg) -> None:
        future = waiting.pop(message.subject.rpartition(".")[2], None)
        if future is not None:  # a job that was run again has replied before
            future.set_result(json.loads(message.data))

    async def submit(task: str, *arguments: Any) -> asyncio.Future[Any]:
        number = str(next(numbers))
        future = waiting[number] = asyncio.get_running_loop().create_future()
        job = {"task": task, "arguments": arguments, "reply": f"{inbox}.{number}"}
        await jetstream.publish(stream.SUBJECT, json.dumps(job).encode())
        return future

    async def result(job: asyncio.Future[Any]) -> Any:
        return await job

    await connection.subscribe(f"{inbox}.*", cb=replied)
    await answer_orders(submit, result)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
