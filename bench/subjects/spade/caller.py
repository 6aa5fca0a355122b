"""An agent that sends jobs as messages. Usage: caller.py PORT JID WORKER

SPADE knows no request and reply. The number of a job travels in the body, since a thread or other
metadata would add a form to each message and make it slower.
"""

import asyncio
import itertools
import os
import sys

import spade
from plain import PlainAgent
from spade.behaviour import CyclicBehaviour
from spade.message import Message

from bench.closed_loop import answer_orders

_PATIENCE = 10.0  # seconds


class Requests(CyclicBehaviour):
    """Sends requests, and hands each answer to whoever waits for it."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[int]] = {}

    async def run(self) -> None:
        message = await self.receive(timeout=_PATIENCE)
        if message is not None:
            job, value = message.body.split()
            self._waiting.pop(int(job)).set_result(int(value))

    async def call(self, value: int) -> int:
        job = next(self._numbers)
        answer = self._waiting[job] = asyncio.get_running_loop().create_future()
        await self.send(Message(to=self._worker, body=f"{job} {value}"))
        return await answer


async def main() -> None:
    port, jid, worker = sys.argv[1:]
    agent = PlainAgent(jid, os.environ["BENCH_PASSWORD"], port=int(port))
    await agent.start(auto_register=False)
    requests = Requests(worker)
    agent.add_behaviour(requests)
    await answer_orders(requests.call)
    await agent.stop()


if __name__ == "__main__":
    spade.run(main())
