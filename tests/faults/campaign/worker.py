"""What the workers of a campaign run: each execution is written down, from its begin to its end."""

import asyncio
import os
import threading
import time
from pathlib import Path

from campaign.evidence import token
from campaign.journal import Journal
from jabot import Context, Node

NAME = os.environ["CAMPAIGN_NAME"]
journal = Journal(Path(f"{NAME}.jsonl"))
node = Node(concurrency=8, queue=os.environ["CAMPAIGN_QUEUE"])


class Oops(Exception):
    """What some jobs are to fail with."""


class Run:
    """One execution of one job."""

    def __init__(self, number: int, fails: int, ctx: Context) -> None:
        self._fails = ctx.attempt <= fails
        self._run = {
            "number": number,
            "job": ctx.job_id,
            "attempt": ctx.attempt,
            "worker": NAME,
            "pid": os.getpid(),
        }
        self.note("begin")

    def note(self, what: str) -> None:
        journal.note(what, **self._run)

    def end(self) -> str:
        """Its result, which no other execution has."""
        if self._fails:
            self.note("raise")
            raise Oops(f"attempt {self._run['attempt']}")
        self.note("end")
        return token(self._run)


@node.task
async def work(number: int, seconds: float, fails: int, *, ctx: Context) -> str:
    run = Run(number, fails, ctx)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        run.note("stop")
        raise
    return run.end()


@node.task
def grind(number: int, seconds: float, fails: int, *, ctx: Context) -> str:
    run = Run(number, fails, ctx)
    until = time.monotonic() + seconds
    pause = threading.Event()  # under faketime a time.sleep() in a thread fails now and then
    while time.monotonic() < until:
        if ctx.cancelled:
            run.note("stop")
            break
        pause.wait(0.02)
    return run.end()
