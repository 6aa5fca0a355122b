"""How often the disk is synced for a batch that is acknowledged: system calls, counted by strace.

    .venv/bin/python bench/durable/syncs.py

A transaction of a queue on SQLite carries all that a turn of its event loop brought; it is answered
when its one `fdatasync` has returned.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Raw

from jabot.protocol.options import NO_OPTIONS
from jabot.queue.store import open_store
from jabot.queue.store.verbs import Add, Claim, Finish
from jabot.runner.job import new_job_id

_CALLS = "fsync,fdatasync,sync_file_range,msync"


async def apply_turns(path: str, turns: int, jobs: int) -> None:
    """So many transactions on a new store, each with so many submits, starts and outcomes."""
    store = open_store(f"sqlite:///{path}")
    await store.open()
    ended: list[Finish] = []
    for _ in range(turns):
        now = time.time()
        adds = [
            Add(new_job_id(), "a@b", "echo", Raw(b"[1]"), Raw(b"{}"), NO_OPTIONS, {}, now)
            for _ in range(jobs)
        ]
        claim = Claim("jobs@b/1", "worker@b/1", ["echo"], jobs, now)
        answers = await store.apply([*adds, claim, *ended])
        started = answers[len(adds)]
        assert len(started) == jobs  # noqa: S101 - nothing is left out
        ended = [
            Finish(job.id, job.attempt, "succeed", now, result=Raw(b"1"), worker=job.worker)
            for job in started
        ]
    await store.close()


def syncs(turns: int, jobs: int) -> int:
    """How many calls it took to sync so many transactions: those of opening and closing the store
    are not among them."""
    return _counted(turns, jobs) - _counted(0, jobs)


def _counted(turns: int, jobs: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        program = [sys.executable, __file__, str(Path(folder) / "jobs.db"), str(turns), str(jobs)]
        subprocess.run(  # noqa: S603 - our own command line
            ["strace", "-f", "-e", f"trace={_CALLS}", "-o", str(trace), *program],  # noqa: S607
            check=True,
            timeout=120,
        )
        return len(re.findall(r"sync\w*\(", trace.read_text()))


def main() -> None:
    print("jobs a batch   transactions   syncs   jobs a sync")
    for jobs in (1, 10, 100):
        turns = 100
        found = syncs(turns, jobs)
        print(f"{jobs:12}   {turns:12}   {found:5}   {turns * jobs / found:11.0f}")


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(apply_turns(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
