"""Many jobs that wait: they are on the disk, and nowhere else."""

import asyncio
import gc
import tracemalloc

from chatting.queues import Bench

JOBS = 1_500


async def test_a_waiting_job_takes_none_of_the_queues_memory(bench: Bench) -> None:
    async def submit() -> None:
        async with bench.calling() as app:
            await asyncio.gather(*(app.submit("later", number) for number in range(JOBS)))

    async def held() -> int:
        await submit()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async with bench.queue():
        tracemalloc.start()
        try:
            await submit()  # what is kept once is there after that
            grown = -await held() + await held()
        finally:
            tracemalloc.stop()
    assert grown < JOBS * 20  # bytes
