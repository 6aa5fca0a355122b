"""The tasks that every worker of a durable subject offers, as plain functions.

`echo` and `clock` do nothing; `hold` writes into a journal when it starts and when it ends, so that
afterwards nobody has to ask a queue what it did.
"""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

JOURNAL = "BENCH_JOURNAL"  # environment variable: where the journal is
WORKER = "BENCH_WORKER"  # environment variable: what the worker calls itself in it
_SHORT = 0.1  # seconds of an attempt after the first


@dataclass(frozen=True)
class Entry:
    """One line of the journal."""

    job: int
    what: Literal["start", "end"]
    worker: str
    at: int  # time.time_ns()


def echo(value: int) -> int:
    return value


def clock() -> int:
    """When the job started."""
    return time.time_ns()


def hold(job: int, seconds: float) -> int:
    """Keep a worker busy. A further attempt is short: its start is what is waited for."""
    seconds = _started(job, seconds)
    time.sleep(seconds)
    _note(job, "end")
    return job


async def hold_on_loop(job: int, seconds: float) -> int:
    """`hold`, for workers whose tasks are coroutines."""
    seconds = _started(job, seconds)
    await asyncio.sleep(seconds)
    _note(job, "end")
    return job


def read_journal(journal: Path) -> list[Entry]:
    """What was written so far, in order."""
    if not journal.is_file():
        return []
    text, complete, _ = journal.read_text().rpartition("\n")
    return [Entry(**json.loads(line)) for line in (text + complete).splitlines()]


def _started(job: int, seconds: float) -> float:
    """Note the start; how long this attempt is to take."""
    again = any(entry.job == job for entry in read_journal(Path(os.environ[JOURNAL])))
    _note(job, "start")
    return _SHORT if again else seconds


def _note(job: int, what: Literal["start", "end"]) -> None:
    entry = Entry(job, what, os.environ[WORKER], time.time_ns())
    line = json.dumps(asdict(entry)).encode() + b"\n"
    journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(journal, line)  # one write: lines of several processes do not mix
    finally:
        os.close(journal)
