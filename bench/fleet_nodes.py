"""Nodes in a room: `python fleet_nodes.py COUNT ROOM`, orders and answers as `Program` has them.

Account and server come from the environment. `ready` comes before they sign in; the order says how
many nodes the room is to have, and is answered when each of these knows that many.
"""

import asyncio
import json
import logging
import os
import sys

from bench.closed_loop import say
from jabot import Node
from jabot.account import resolve_account

_LOOK_EVERY = 0.05  # seconds


def node(room: str) -> Node:
    made = Node(allow={os.environ["BENCH_CALLER"]: "*"}, rooms=[room], drain_limit=1)

    @made.task
    async def echo(value: int) -> int:
        """Say what was said."""
        return value

    return made


async def main(count: int, room: str) -> None:
    account = resolve_account(None)
    nodes = [node(room) for _ in range(count)]
    say("ready")
    wanted = json.loads(await asyncio.to_thread(sys.stdin.readline))["nodes"]
    serving = [asyncio.create_task(each.serve(account)) for each in nodes]
    waiting = list(nodes)
    while waiting:
        await asyncio.sleep(_LOOK_EVERY)
        waiting = [each for each in waiting if not _knows(each, room, wanted)]
    say(json.dumps({"inside": count}))
    await asyncio.gather(*serving)


def _knows(each: Node, room: str, wanted: int) -> bool:
    serving = each._serving
    if serving is None or not serving.rooms.is_inside(room):
        return False
    there = serving.rooms.occupants(room)
    return sum(each.is_node and each.jid is not None for each in there) >= wanted


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
