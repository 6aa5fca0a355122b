"""An agent that answers each message. Usage: worker.py PORT JID"""

import asyncio
import os
import sys

import spade
from plain import PlainAgent
from spade.behaviour import CyclicBehaviour

from bench.closed_loop import say

_PATIENCE = 10.0  # seconds


class Echo(CyclicBehaviour):
    async def run(self) -> None:
        message = await self.receive(timeout=_PATIENCE)
        if message is not None:
            reply = message.make_reply()
            job, value = message.body.split()
            reply.body = f"{job} {int(value)}"
            await self.send(reply)


async def main() -> None:
    port, jid = sys.argv[1:]
    agent = PlainAgent(jid, os.environ["BENCH_PASSWORD"], port=int(port))
    await agent.start(auto_register=False)
    agent.add_behaviour(Echo())
    say("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    spade.run(main())
