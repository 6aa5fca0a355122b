"""A node that works for a queue. Usage: worker.py QUEUE"""

import sys

from bench.closed_loop import say
from bench.durable import jobs
from jabot import Node

node = Node(queue=sys.argv[1], concurrency=1000)  # as JetStream's: `max_ack_pending`


@node.task
async def echo(value: int) -> int:
    """Say what was said."""
    return jobs.echo(value)


@node.task
async def clock() -> int:
    """Tell when it started."""
    return jobs.clock()


@node.task
async def hold(job: int, seconds: float) -> int:
    """Keep the worker busy."""
    return await jobs.hold_on_loop(job, seconds)


@node.on_start
def started() -> None:
    say("ready")


if __name__ == "__main__":
    node.run()
