"""A bot that takes one heavy job by chat, after a Ruby program of 2008.

$ jabot run examples/heavy.py
"""

import time

from jabot import Context, Node

everybody = "*@localhost"  # the accounts of this machine's own server
node = Node("bot@localhost", allow={everybody: "*"}, manage=[everybody])


@node.task(scheduled="Scheduled heavy job...", done="Done lifting")
def lift(seconds: float = 2.0, *, ctx: Context) -> None:
    """Lift something heavy."""
    for tenth in range(round(10 * seconds)):
        if not ctx.cancelled:
            time.sleep(0.1)
            ctx.progress(tenth + 1, round(10 * seconds))


if __name__ == "__main__":
    node.run()
