"""Nodes tell how they are: to those who have a right there, and to nobody else."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatting import calling, serving, soon
from jabot import BadArguments, Client, Node, NodeStatus, NotAllowed, TaskFailed
from jabot.queue_node import QueueNode
from servers import Server


async def status_of(app: Client, **options: Any) -> NodeStatus:
    job = await app.submit("node.status", **options)
    return msgspec.convert(await soon(job), NodeStatus)


async def test_a_node_that_is_full_tells_how_it_is(xmpp: Server) -> None:
    bot, ann, bob, boss, eve = (xmpp.fresh_user(n) for n in ("bot", "ann", "bob", "boss", "eve"))
    node = Node(allow={ann.jid: "*", bob.jid: ["fall"]}, manage=[boss.jid], concurrency=1)
    node.status_fields["queue_depth"] = 3
    node.status_fields["twice"] = lambda: 2 * node.status_fields["queue_depth"]
    running = asyncio.Event()

    @node.task
    async def hold() -> None:
        running.set()
        await asyncio.Event().wait()

    @node.task
    async def fall() -> None:
        raise ValueError("ouch")

    async with (
        serving(node, xmpp, bot, for_people=False),
        calling(xmpp, bot.jid, ann) as app,
        calling(xmpp, bot.jid, bob) as other,
        calling(xmpp, bot.jid, boss) as manager,
        calling(xmpp, bot.jid, eve) as stranger,
    ):
        with pytest.raises(TaskFailed):
            await (await app.submit("fall"))
        job = await app.submit("hold")
        await soon(running.wait())
        found = await status_of(app)
        assert (found.jid, found.running, found.slots, found.load) == (str(node.jid), 1, 1, 1.0)
        assert found.fields == {"queue_depth": 3, "twice": 6}
        (shown,) = found.jobs
        assert (shown.id, shown.task, shown.caller) == (job.id, "hold", ann.jid)
        assert found.last_error is not None
        assert (found.last_error.task, found.last_error.message) == ("fall", "ValueError: ouch")

        theirs = await status_of(other)
        assert (theirs.running, theirs.jobs, theirs.last_error) == (1, [], None)
        whole = await status_of(manager, to=str(node.jid))
        assert ([job.id for job in whole.jobs], whole.last_error) == (
            [job.id],
            found.last_error,
        )
        with pytest.raises(NotAllowed):
            await status_of(stranger)
        with pytest.raises(NotAllowed):
            await stranger.describe(task="node.status")
        with pytest.raises(BadArguments):
            await app.submit("node.status", 1)

        # It is in no list, and described to those who know its name.
        assert set(await app.describe()) == {"hold", "fall"}
        assert set(await app.describe(task="node.status")) == {"node.status"}
        (peer,) = await app.nodes()
        assert peer.tasks == {"hold", "fall"}
        job.cancel()


async def test_a_queue_tells_how_its_workers_are(xmpp: Server, tmp_path: Path) -> None:
    jobs, bot, ann, eve = (xmpp.fresh_user(name) for name in ("jobs", "bot", "ann", "eve"))
    queue = QueueNode(store=f"sqlite:///{tmp_path}/jobs.db", allow={ann.jid: "*"}, work=[bot.jid])
    queue.status_fields["shift"] = "night"
    worker = Node(queue=jobs.jid, concurrency=5)

    @worker.task
    async def lift() -> str:
        return "Lifted"

    async with (
        serving(queue, xmpp, jobs, for_people=False),
        serving(worker, xmpp, bot, for_people=False),
        calling(xmpp, jobs.jid, ann) as app,
        calling(xmpp, jobs.jid, eve) as stranger,
    ):
        assert await soon(await app.submit("lift")) == "Lifted"
        found = await status_of(app)
        assert (found.jid, found.slots, found.jobs) == (str(queue.jid), 5, [])
        assert found.fields == {"shift": "night"}
        with pytest.raises(NotAllowed):
            await status_of(stranger)
