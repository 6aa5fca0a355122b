"""A node with one task. Account and server come from the environment, as for any node."""

import os

from bench.closed_loop import say
from jabot import Node

node = Node(allow={os.environ["BENCH_CALLER"]: "*"}, concurrency=256)


@node.task
async def echo(value: int) -> int:
    """Say what was said."""
    return value


@node.on_start
def started() -> None:
    say("ready")


if __name__ == "__main__":
    node.run()
