"""Waiting for the outcomes of jobs that somebody submitted before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jabot.calls import Job
from jabot.cli.asking import Queue, short
from jabot.cli.exit_codes import failure
from jabot.cli.progress import ProgressLine
from jabot.errors import JabotError, JobTimeout, NotAllowed
from jabot.queue.answers import JobSheet
from jabot.tasks import Step


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    id: str
    task: str
    result: Any = None
    error: JabotError | None = None

    @property
    def name(self) -> str:
        """As people know it."""
        return f"{self.task} {short(self.id)}"

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = {"id": self.id, "task": self.task}
        if self.error is None:
            return {**found, "result": self.result}
        return {**found, "error": failure(self.error).message, "type": type(self.error).__name__}


async def wait_for(queue: Queue, ids: Sequence[str], timeout: float | None) -> list[Outcome]:
    """The outcomes of jobs, in the order of their ids. Those that have none in time have
    `JobTimeout`; they go on."""
    sheets: list[JobSheet] = [await queue.ask("job", JobSheet, id=each) for each in ids]
    for sheet in sheets:
        if sheet.owner != queue.own:
            raise NotAllowed(
                f"{sheet.task} {short(sheet.id)} is a job of {sheet.owner}: only that account has "
                "its outcome"
            )
    jobs = [await queue.app.job(sheet.id, to=queue.address) for sheet in sheets]
    name = sheets[0].task if len(sheets) == 1 else f"{len(sheets)} jobs"
    with ProgressLine(name) as line:
        waiting = [asyncio.ensure_future(_ended(job)) for job in jobs]
        following = asyncio.ensure_future(_follow(jobs, waiting, line))
        await asyncio.wait(waiting, timeout=timeout)
        following.cancel()
        for task in waiting:
            task.cancel()
    return [_outcome(sheet, job, timeout) for sheet, job in zip(sheets, jobs, strict=True)]


async def _ended(job: Job[Any]) -> None:
    ended = asyncio.Event()
    job.completion(lambda _: ended.set())
    await ended.wait()


async def _follow(
    jobs: Sequence[Job[Any]], waiting: Sequence[asyncio.Future[None]], line: ProgressLine
) -> None:
    """Show how they get on: of one its own progress, of many how many have ended."""
    if len(jobs) == 1:
        await line.follow(jobs[0])
        return
    for number, each in enumerate(asyncio.as_completed(waiting)):
        line.step(Step(number, len(jobs)))
        await each


def _outcome(sheet: JobSheet, job: Job[Any], timeout: float | None) -> Outcome:
    if job.status == "succeeded":
        return Outcome(sheet.id, sheet.task, result=job.value)
    if isinstance(job.error, JabotError):
        return Outcome(sheet.id, sheet.task, error=job.error)
    error = JobTimeout(f"it has not ended within {timeout:g} s; it goes on")
    return Outcome(sheet.id, sheet.task, error=error)
