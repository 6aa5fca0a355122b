"""What `jabot queue --store STORE --allow CALLER --work WORKER --jobs-per-caller 2000000` runs, and
says when it is up.
"""

import sys

from bench.closed_loop import say
from jabot.queue_node import QueueNode


def main(store: str, caller: str, worker: str) -> None:
    most = 2_000_000  # the backlog has a million and some more
    node = QueueNode(store=store, allow={caller: "*"}, work=[worker], jobs_per_caller=most)
    node.on_start(lambda: say("ready"))
    node.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
