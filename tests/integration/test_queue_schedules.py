"""Schedules of a queue: they fire, over restarts too, and say why they cannot."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatting import LIMIT, QUICK, calling, serving
from jabot import BadArguments, Client, Context, Node, NotAllowed
from jabot.queue_node import QueueNode
from servers import Server

HOUR = 3600.0


class Place:
    """A queue that can be served at another time of day, and a worker that says who asks it."""

    def __init__(self, server: Server, store: Path) -> None:
        self.server = server
        self.store = store
        self.queue = server.fresh_user("jobs")
        self.caller = server.fresh_user("app")
        self.ran: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    @asynccontextmanager
    async def serving_queue(self, later: float = 0.0, tasks: str = "tick") -> AsyncIterator[None]:
        node = QueueNode(store=f"sqlite:///{self.store}", allow={self.caller.jid: [tasks]})
        timing = dataclasses.replace(QUICK, wall=lambda: time.time() + later)
        async with serving(node, self.server, self.queue, timing=timing, for_people=False):
            yield

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        node = Node(queue=self.queue.jid)
        node.task(self.tick)
        async with serving(node, self.server, self.queue, for_people=False):
            yield

    def calling(self) -> Client:
        return calling(self.server, self.queue.jid, self.caller)

    async def tick(self, value: int, *, ctx: Context) -> None:
        self.ran.put_nowait((value, ctx.caller.bare))


@pytest.fixture
def place(xmpp: Server, tmp_path: Path) -> Place:
    return Place(xmpp, tmp_path / "jobs.db")


async def ask(app: Client, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """What one of the queue's own tasks answers."""
    async with asyncio.timeout(LIMIT):
        return await (await app.submit(f"queue.{name}", *args, **kwargs))


async def jobs_after(app: Client, fired: float) -> list[dict[str, Any]]:
    """The jobs there are when the schedule has fired for that time, or gone past it."""
    async with asyncio.timeout(LIMIT):
        while True:
            (line,) = await ask(app, "schedules")
            if line["upcoming"][0] > fired:
                return await ask(app, "jobs", task="tick")
            await asyncio.sleep(0.05)


async def test_its_jobs_are_done_for_its_owner(place: Place) -> None:
    async with place.serving_queue(), place.working(), place.calling() as app:
        await ask(app, "schedule", "each second", "tick", [7], every="1s", options={"priority": 5})
        for _ in range(2):
            async with asyncio.timeout(LIMIT):
                assert await place.ran.get() == (7, place.caller.jid)
        await ask(app, "remove_schedule", "each second")
        jobs = await ask(app, "jobs", task="tick")
        assert {job["priority"] for job in jobs} == {5}
        assert await ask(app, "schedules") == []


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("skip", 0), ("all", 6)])
async def test_what_was_missed_while_the_queue_was_down(
    place: Place, missed: str, count: int
) -> None:
    async with place.serving_queue(), place.calling() as app:
        line = await ask(app, "schedule", "tens", "tick", [1], every=HOUR / 6, missed=missed)
    async with place.serving_queue(later=HOUR + 30), place.calling() as app:
        jobs = await jobs_after(app, line["upcoming"][0] + 5 * HOUR / 6)
        assert len(jobs) == count
        (after,) = await ask(app, "schedules")
        assert after["upcoming"][0] == pytest.approx(line["upcoming"][0] + HOUR, abs=0.01)


async def test_a_restart_within_the_minute_misses_nothing(place: Place) -> None:
    async with place.serving_queue(), place.calling() as app:
        line = await ask(app, "schedule", "tens", "tick", [1], every=HOUR / 6, missed="skip")
    async with place.serving_queue(later=HOUR / 6 + 20), place.calling() as app:
        assert len(await jobs_after(app, line["upcoming"][0])) == 1


async def test_one_that_cannot_fire_says_why(place: Place) -> None:
    async with place.serving_queue(), place.calling() as app:
        line = await ask(app, "schedule", "tens", "tick", [1], every=HOUR / 6)
        assert line["problem"] == ""
    async with place.serving_queue(later=HOUR / 6, tasks="other"), place.calling() as app:
        (line,) = await ask(app, "schedules")
        assert line["problem"].startswith(f"{place.caller.jid} may not run tick: ")
        assert await jobs_after(app, time.time() + HOUR / 6) == []


async def test_what_could_never_fire_is_refused_at_once(place: Place) -> None:
    async with place.serving_queue(), place.calling() as app:
        for fields, said in [
            ({"cron": "0 0 30 2 *"}, "30 2"),
            ({"cron": "0 3 * * *", "zone": "Mars/Olympus"}, "Mars/Olympus"),
            ({"every": "0.5s"}, "at least 1 s"),
            ({"every": "often"}, "often"),
            ({"cron": "0 3 * * *", "missed": "some"}, "missed"),
            ({"every": 5, "options": {"priority": 1000}}, "options"),
        ]:
            with pytest.raises(BadArguments, match=said):
                await ask(app, "schedule", "never", "tick", **fields)
        with pytest.raises(NotAllowed, match="fly"):
            await ask(app, "schedule", "never", "fly", every=5)
        assert await ask(app, "schedules") == []
