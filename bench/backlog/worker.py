"""Does jobs and counts them. Usage: worker.py QUEUE

It signs in when it is given the order `{"jobs": N}` on stdin. Once it has done N jobs it answers
with how many seconds all but the first thousand of them took.
"""

import asyncio
import json
import sys
import time

from bench.closed_loop import say
from jabot import Node

node = Node(queue=sys.argv[1], concurrency=256)
_SKIPPED = 1_000  # jobs while all begins to move
_done = 0
_begun = 0.0
_wanted = 0


@node.task
async def echo(value: int) -> int:
    """Say what was said."""
    global _done, _begun, _wanted
    _done += 1
    if _done == _SKIPPED:
        _begun = time.perf_counter()
    elif _done == _wanted:
        say(json.dumps({"seconds": time.perf_counter() - _begun, "jobs": _done - _SKIPPED}))
    return value


@node.on_start
async def started() -> None:
    global _wanted
    say("ready")
    line = await asyncio.to_thread(sys.stdin.readline)
    _wanted = json.loads(line)["jobs"] if line else 0


if __name__ == "__main__":
    node.run()
