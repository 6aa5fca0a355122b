"""Nodes in the loop of the test."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from slixmpp import JID

from jabot import Node
from jabot.account import Account, ServerAddress
from jabot.xmpp.backoff import Backoff
from jabot.xmpp.session import Timing
from servers import Account as TestAccount
from servers import InMemory, Server

from .waiting import LIMIT, soon

QUICK = Timing(backoff=Backoff(first=0.05, most=0.5))
"""Reconnects as fast as a test would have it."""


def jabot_timing(server: Server | InMemory, timing: Timing | None) -> Timing:
    """What is given, or what suits a test; with the made-up date where there is one."""
    timing = timing or QUICK
    return replace(timing, wall=server.wall) if isinstance(server, InMemory) else timing


@dataclass
class Served:
    """A node that is ready to be talked to."""

    node: Node
    account: TestAccount
    task: asyncio.Task[None]
    full: JID  # its full address

    @property
    def jid(self) -> JID:
        """Where people write to."""
        return JID(self.account.jid)

    async def left(self) -> None:
        """Wait until it has left by itself; raises what made it."""
        await soon(asyncio.shield(self.task))


class _Ready(logging.Handler):
    """Hears which nodes say that they are ready, by the log that an operator would read."""

    def __init__(self, for_people: bool) -> None:
        super().__init__(logging.INFO)
        self._pattern = r"(\S+) is ready" if for_people else r"online as (\S+)"
        self.addresses: set[str] = set()
        self.news = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if match := re.match(self._pattern, record.getMessage()):
            self.addresses.add(match[1])
            self.news.set()


def jabot_account(
    server: Server | InMemory, account: TestAccount, address: str | None = None
) -> Account:
    """The account as a node takes it: the server's certificate is checked."""
    if isinstance(server, InMemory):
        return server.account(account)
    return Account(
        JID(account.jid),
        account.password,
        ServerAddress.parse(address or server.address),
        server.ca_file,
    )


@asynccontextmanager
async def serving(
    node: Node,
    server: Server | InMemory,
    account: TestAccount | None = None,
    *,
    address: str | None = None,
    timing: Timing | None = None,
    with_ca: bool = True,
    for_people: bool = True,
) -> AsyncIterator[Served]:
    """Serve a node; inside, it is ready. It is stopped at the end if it has not left before.

    For those who talk to its pool it is so after half a second (they might get two answers before);
    programs that greet it need not wait for that.
    """
    account = account or server.fresh_user("bot")
    signs_in = jabot_account(server, account, address)
    if not with_ca:
        signs_in = replace(signs_in, ca_file=None)
    logger = logging.getLogger("jabot")
    logger.setLevel(logging.DEBUG)
    ready = _Ready(for_people)
    logger.addHandler(ready)
    task = asyncio.create_task(node.serve(signs_in, timing=jabot_timing(server, timing)))
    try:
        await _until_ready(node, task, ready)
        yield Served(node, account, task, node.jid)
    finally:
        logger.removeHandler(ready)
        node.stop()
        await asyncio.wait({task}, timeout=LIMIT)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=LIMIT)
            raise AssertionError("the node did not stop")
        if not task.cancelled():
            task.exception()  # left() raises it for the test that is about it


async def _until_ready(node: Node, task: asyncio.Task[None], ready: _Ready) -> None:
    async with asyncio.timeout(LIMIT):
        while not any(address == str(_address(node)) for address in ready.addresses):
            ready.news.clear()
            news = asyncio.ensure_future(ready.news.wait())
            await asyncio.wait({news, task}, return_when="FIRST_COMPLETED")
            news.cancel()
            if task.done():
                task.result()
                raise AssertionError("the node left before it was ready")


def _address(node: Node) -> JID | None:
    return node.jid if node._serving is not None else None
