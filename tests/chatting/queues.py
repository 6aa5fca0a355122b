"""A queue in the loop of the test, and what stands around it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from jabot import Client, Node
from jabot.queue_node import QueueNode
from servers import Account, InMemory, Server

from .callers import calling
from .nodes import serving


@dataclass
class Bench:
    """A queue, and the accounts around it."""

    server: Server | InMemory
    store: Path
    account: Account
    worker: Account
    caller: Account

    @asynccontextmanager
    async def queue(self, **options: object) -> AsyncIterator[QueueNode]:
        allow = {self.caller.jid: "*"}
        node = QueueNode(
            store=f"sqlite:///{self.store}",
            **{"allow": allow, "work": [self.worker.jid], **options},
        )
        async with serving(node, self.server, self.account, for_people=False):
            yield node

    @asynccontextmanager
    async def working(self, *functions: Callable[..., object], **options: object):
        node = Node(queue=self.account.jid, **options)
        for function in functions:
            node.task(function)
        async with serving(node, self.server, self.worker, for_people=False):
            yield node

    def calling(self, account: Account | None = None) -> Client:
        return calling(self.server, self.account.jid, account or self.caller)

    def wall(self) -> float:
        """The date, as queue and workers have it."""
        return self.server.wall()
