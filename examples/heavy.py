"""A bot that takes one heavy job by chat, after a Ruby program of 2008.

$ jabot run examples/heavy.py
"""

import time

from jabot import Node

everybody = "*@localhost"  # the accounts of this machine's own server
node = Node("bot@localhost", allow={everybody: "*"}, manage=[everybody])


@node.task(scheduled="Scheduled heavy job...", done="Done lifting")
def lift(seconds: float = 2.0) -> None:
    """Lift something heavy."""
    time.sleep(seconds)


if __name__ == "__main__":
    node.run()
