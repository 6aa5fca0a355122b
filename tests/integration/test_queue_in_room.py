"""A queue in a room, among nodes that do things themselves: what it answers, and what it keeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chatting import Fleet, Heard, Person, calling, soon
from jabot import NobodyThere, Node, Room
from jabot.queue_node import QueueNode
from servers import Server


@pytest.fixture
async def fleet(xmpp: Server) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(xmpp, stack)


async def lines(fleet: Fleet, person: Person, *told: tuple[str, str]) -> None:
    """Each line said in the room gets this answer."""
    for line, answer in told:
        await said(fleet, person, line, f"^{answer}$")


async def said(fleet: Fleet, person: Person, line: str, pattern: str) -> Heard:
    person.say(fleet.room, line, type="groupchat")
    heard = await person.hear(pattern)
    assert heard.sender.bare == fleet.room
    return heard


async def test_a_queue_among_its_workers(fleet: Fleet, tmp_path: Path) -> None:
    names = ("jobs", "bot", "ann", "boss", "eve")
    jobs, bot, ann, boss, eve = (fleet.server.fresh_user(name) for name in names)
    queue = QueueNode(
        store=f"sqlite:///{tmp_path}/jobs.db",
        allow={ann.jid: ["lift"]},
        manage=[boss.jid],
        work=[bot.jid],
        rooms=[Room(fleet.room, nick="jobs")],
    )
    worker = Node(queue=jobs.jid, rooms=[Room(fleet.room, nick="w1")], allow={ann.jid: "*"})
    ran = []

    @worker.task
    async def lift(reps: int = 30) -> str:
        ran.append(reps)
        return f"Lifted {reps}"

    served = [await fleet.serve(queue, jobs), await fleet.serve(worker, bot)]
    await fleet.gathered(*served)
    async with calling(fleet.server, jobs.jid, ann) as app:
        assert await soon(await app.submit(lift, 1)) == "Lifted 1"
        while "args" in (await app.describe())["lift"].args["properties"]:
            await asyncio.sleep(0.1)  # the queue has not had it described yet
        person, manager = await fleet.person("ann", ann), await fleet.person("boss", boss)
        stranger = await fleet.person("eve", eve)

        # By its name: its words, jobs that are kept, and rights by the real address.
        await lines(fleet, person, ("jobs: jobs", "No jobs."), ("jobs: stats", ".*lift.*"))
        await said(fleet, person, "jobs: lift 2", "^Scheduled lift, job ")
        ended = await person.hear("is done: Lifted 2$")
        assert ended.sender.bare == jobs.jid  # told to the person alone
        await lines(fleet, person, ("jobs: pause lift", "You may not do that."))
        await said(fleet, manager, "jobs: pause lift", "^No more jobs of lift are begun")
        await said(fleet, manager, "jobs: resume lift", "^Jobs of lift are begun again")
        await lines(fleet, stranger, ("jobs: stats", "That is not for you to ask here."))

        # With all others: what it does itself. It has no worker do what that does anyway.
        await said(fleet, person, "all: jobs", "^all 2: No jobs.$")
        await lines(fleet, person, ("all: lift 3", "Lifted 3"))
        reply = [reply async for reply in app.broadcast("lift", 4, to=fleet.room)]
        assert [(each.name, each.result) for each in reply] == [("w1", "Lifted 4")]
        reply = [reply async for reply in app.broadcast("node.status", to=fleet.room)]
        assert {each.name: each.status for each in reply} == {"w1": "answered", "jobs": "answered"}
        assert ran == [1, 2, 3, 4]

        # Without them: it is what is meant.
        worker.stop()
        await served[1].left()
        await person.see(f"{fleet.room}/w1", type="unavailable")
        await said(fleet, person, "all: lift 5", "^Scheduled lift, job ")
        with pytest.raises(NobodyThere, match="only queues are in the room"):
            async for _ in app.broadcast("lift", 5, to=fleet.room):
                pass
