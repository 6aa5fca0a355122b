"""Takes all jobs of a store in PostgreSQL, as one of several queue processes; a line for each.

    store_claimer.py URL NAME MOST

A line holds the job's id, its attempt, and when it ran: from after the claim to before its end.
"""

import asyncio
import json
import sys
import time

from msgspec import Raw

from jabot.queue.store import open_store
from jabot.queue.store.verbs import Claim, Finish, Stats

KINDS = ["lift", "carry"]


async def main(url: str, name: str, most: int) -> None:
    store = open_store(url)
    await store.open()
    worker = f"bot@example.org/{name}"
    while True:
        (records,) = await store.apply([Claim(name, worker, KINDS, most, time.time())])
        since = time.monotonic()
        await asyncio.sleep(0)
        until = time.monotonic()
        ends = [
            Finish(record.id, record.attempt, "succeed", time.time(), Raw(b"1"), worker=worker)
            for record in records
        ]
        for record, done in zip(records, await store.apply(ends), strict=True):
            assert done.stands
            print(json.dumps([record.id, record.attempt, since, until]))
        if not records:
            (figures,) = await store.apply([Stats(time.time())])
            if not figures.kinds:
                break
    await store.close()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
