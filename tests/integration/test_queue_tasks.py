"""What a queue knows of the tasks of its workers, and tells others."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chatting import LIMIT, Bench, serving, soon
from jabot import Client, Context, NobodyThere, Node, NotAllowed, Retry, TaskFailed, UnknownTask
from jabot.queue_node import QueueNode
from servers.postgres import Postgres


@dataclasses.dataclass
class Bar:
    kilos: float
    name: str = "bar"


async def lift(reps: int, bar: Bar | None = None, *, ctx: Context) -> str:
    """Lift something heavy.

    For as long as it takes.
    """
    if ctx.attempt < 3:
        raise OSError("not yet")
    return f"Lifted {reps}"


async def carry(what: str) -> str:
    return what


async def described(app: Client, bench: Bench, *names: str) -> dict[str, object]:
    """What it says when it has learned these."""
    async with asyncio.timeout(LIMIT):
        while not set(names) <= set(found := await app.describe(bench.account.jid)):
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def working(bench: Bench) -> AsyncIterator[None]:
    node = Node(queue=bench.account.jid)
    node.task(retries=Retry(3, backoff=0.01), done="Done: {result}")(lift)
    node.task(carry)
    async with serving(node, bench.server, bench.worker, for_people=False):
        yield


async def test_it_describes_its_workers_tasks_and_its_own(bench: Bench) -> None:
    async with bench.queue(), working(bench), bench.calling() as app:
        found = await described(app, bench, "lift", "carry")
        direct = Node(allow={bench.caller.jid: "*"})
        direct.task(retries=Retry(3, backoff=0.01), done="Done: {result}")(lift)
        async with serving(direct, bench.server) as other:
            (same,) = (await app.describe(other.account.jid)).values()
        assert found["lift"] == same
        assert found["lift"].doc.endswith("takes.")
        assert (await app.describe(bench.account.jid, "carry"))["carry"] == found["carry"]
        with pytest.raises(UnknownTask):
            await app.describe(bench.account.jid, "dance")


async def test_it_tells_everybody_what_they_may_have_run(bench: Bench) -> None:
    allow = {bench.caller.jid: ["carry"]}
    async with bench.queue(allow=allow), working(bench):
        async with bench.calling() as app, bench.calling(bench.account) as owner:
            assert {"lift", "carry"} <= set(await described(owner, bench, "lift", "carry"))
            assert "lift" not in await described(app, bench, "carry")
            with pytest.raises(UnknownTask):
                await app.describe(bench.account.jid, "lift")
        stranger = bench.server.fresh_user("eve")
        async with bench.calling(stranger) as app:
            with pytest.raises((NotAllowed, NobodyThere)):
                await app.describe(bench.account.jid)


async def test_what_was_said_holds_after_a_restart(bench: Bench) -> None:
    async with bench.queue(), working(bench), bench.calling() as app:
        before = await described(app, bench, "lift", "carry")
    async with bench.queue(), bench.calling() as app:
        assert await described(app, bench, "lift") == before
        job = await app.submit("lift", 5)  # before any worker says hello
        plain = Node(queue=bench.account.jid)
        plain.task(lift)  # another version of it, whose jobs are not run again
        async with serving(plain, bench.server, bench.worker, for_people=False):
            assert await soon(job) == "Lifted 5"
            with pytest.raises(TaskFailed):
                await soon(await app.submit("lift", 5))


async def test_the_newest_word_is_told(bench: Bench) -> None:
    async with bench.queue(), bench.calling() as app:
        async with working(bench):
            await described(app, bench, "lift")

        async def lift_(kilos: float) -> None:
            """Lift it."""

        newer = Node(queue=bench.account.jid)
        newer.task(name="lift")(lift_)
        async with (
            serving(newer, bench.server, bench.worker, for_people=False),
            asyncio.timeout(LIMIT),
        ):
            while (await app.describe(bench.account.jid))["lift"].doc != "Lift it.":
                await asyncio.sleep(0.02)


async def test_every_node_of_a_queue_knows_what_one_was_told(
    bench: Bench, postgres: Postgres
) -> None:
    store = postgres.fresh_database()
    nodes = [QueueNode(store=store, allow={bench.caller.jid: "*"}) for _ in range(2)]
    worker = Node(queue=bench.account.jid)
    worker.task(retries=Retry(3, backoff=0.01))(lift)
    async with (
        serving(nodes[0], bench.server, bench.account, for_people=False),
        serving(nodes[1], bench.server, bench.account, for_people=False),
        bench.calling() as app,
    ):
        async with serving(worker, bench.server, bench.account, for_people=False):
            for node in nodes:
                async with asyncio.timeout(LIMIT):
                    while "lift" not in await app.describe(str(node.jid)):
                        await asyncio.sleep(0.02)
        jobs = [await app.submit("lift", 5, to=str(node.jid)) for node in nodes]
        plain = Node(queue=bench.account.jid)
        plain.task(name="lift")(lift)
        async with serving(plain, bench.server, bench.account, for_people=False):
            for job in jobs:
                assert await soon(job) == "Lifted 5"
