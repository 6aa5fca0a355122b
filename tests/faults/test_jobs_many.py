"""A campaign: many workers and one caller on one server.

`JABOT_CAMPAIGN=full` makes it 200 workers and 100,000 jobs; without it, it is a fraction of that.
"""

import asyncio
import collections
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chatting import account_environment, calling, program
from jabot.calls import begin
from jabot.calls.options import options
from servers import Server

FULL = os.environ.get("JABOT_CAMPAIGN") == "full"
WORKERS, JOBS, IN_FLIGHT = (200, 100_000, 2000) if FULL else (30, 3_000, 300)
# Each is a process and an account of its own: among 200 sessions of one account, an ejabberd is
# busy with their presence to each other.
POOLS = 10 if FULL else 2
LIMIT = 900 if FULL else 150


@pytest.mark.timeout(LIMIT + 30)
async def test_work_is_spread(
    own_xmpp: Server, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    loop = asyncio.get_running_loop()
    accounts = [own_xmpp.fresh_user("bot") for _ in range(POOLS)]
    started = loop.time()
    share = WORKERS // POOLS
    command = [sys.executable, str(Path(__file__).with_name("worker_fleet.py")), str(share)]
    async with AsyncExitStack() as stack:
        fleets = []
        for number, account in enumerate(accounts):
            environment = account_environment(own_xmpp, account)
            fleet = program(command, tmp_path, environment, f"fleet{number}")
            fleets.append(await stack.enter_async_context(fleet))
        for fleet in fleets:
            await fleet.printed("all online", LIMIT)
        caller = calling(own_xmpp, None, own_xmpp.fresh_user("app"))
        app = await stack.enter_async_context(caller)
        async with asyncio.timeout(LIMIT):
            for account in accounts:
                while len(await app.nodes(account.jid)) < share:
                    await asyncio.sleep(0.2)
        ready = loop.time() - started
        began = loop.time()
        by_worker: collections.Counter[str | None] = collections.Counter()
        chosen = [options(account.jid) for account in accounts]
        room, jobs = asyncio.Semaphore(IN_FLIGHT), []
        for number in range(JOBS):
            await room.acquire()
            job = await begin(app, "square", (number,), {}, chosen[number % POOLS])
            job.completion(lambda job: (room.release(), by_worker.update([job.peer])))
            jobs.append(job)
        results = [await job for job in jobs]
        took = loop.time() - began
        assert results == [number * number for number in range(JOBS)]
        for fleet in fleets:
            fleet.send(signal.SIGTERM)
        told = []
        for fleet in fleets:
            assert await fleet.ended() == 0
            told.append(json.loads(fleet.out.splitlines()[-1]))
    least, most = min(by_worker.values()), max(by_worker.values())
    there = f"{WORKERS} workers (there after {ready:.1f} s)"
    figures = f"{there}, {JOBS} jobs in {took:.1f} s, {least} to {most} a worker"
    record_property("campaign", figures)
    print(f"{own_xmpp.kind}: {figures}")
    assert len(by_worker) == WORKERS
    assert most <= 2 * least
    # Each ran once, somewhere.
    assert sum(fleet["jobs"] for fleet in told) == sum(fleet["runs"] for fleet in told) == JOBS
