"""What `jabot queue --store STORE --allow CALLER --work WORKER` runs, and says when it is up."""

import sys

from bench.closed_loop import say
from jabot.queue_node import QueueNode


def main(store: str, caller: str, worker: str) -> None:
    node = QueueNode(store=store, allow={caller: "*"}, work=[worker])
    node.on_start(lambda: say("ready"))
    node.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
