"""Jobs and servers for tests.

async with jabot.testing.queue(node) as q:      # a queue, its worker, and a clock of their own
    job = await q.submit("lift", 3, delay="1h")
    assert await job == "Lifted 3"              # in a few milliseconds

async with jabot.testing.server(users={"bot": "secret"}) as s:
    s.address, s.port, s.domain                 # a real XMPP server
"""

from jabot.testing.clock import Clock
from jabot.testing.exchange import Exchange
from jabot.testing.queues import TestQueue, queue
from jabot.testing.servers import TestServer, server

__all__ = ["Clock", "Exchange", "TestQueue", "TestServer", "queue", "server"]
