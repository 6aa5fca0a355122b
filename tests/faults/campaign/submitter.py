"""What the callers of a campaign run: jobs of many sorts, and each word about them written down.

It goes on where a killed one before it stopped: whatever was acknowledged to that, it asks for. It
ends when there is a file `quiet` and each of its jobs has its outcome.
"""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jabot
from campaign.journal import Journal, read
from jabot import JabotError, Retry

NAME = os.environ["CAMPAIGN_NAME"]
QUEUE = os.environ["CAMPAIGN_QUEUE"]
RATE = float(os.environ["CAMPAIGN_RATE"])  # jobs in a second
ONLY = os.environ.get("CAMPAIGN_ONLY", "")
MOST = 150  # without an outcome at a time
AGAIN = 0.1  # the share of outcomes that is asked for once more
PAUSE = 0.3  # seconds before something is tried again


class Caller:
    """One run of the program."""

    def __init__(self, app: jabot.Client, journal: Journal, first: int) -> None:
        self._app = app
        self._journal = journal
        self._number = first
        self._chance = random.Random(f"{NAME} {first}")
        self._last: jabot.Job[Any] | None = None

    async def go_on(self, waiting: dict[str, int]) -> None:
        """Wait for what earlier runs have submitted, and submit more."""
        async with asyncio.TaskGroup() as group:
            watching = {
                group.create_task(self._ask(job_id, number)) for job_id, number in waiting.items()
            }
            while not Path("quiet").exists():
                watching = {task for task in watching if not task.done()}
                if len(watching) < (1 if ONLY else MOST):
                    watching.add(group.create_task(self._submit()))
                await asyncio.sleep(self._chance.expovariate(RATE))

    async def _submit(self) -> None:
        self._number += 1
        number = self._number
        sorts = [sort for sort in SORTS if sort.name == ONLY] if ONLY else SORTS
        sort = self._chance.choices(sorts, [sort.share + (sort.name == ONLY) for sort in sorts])[0]
        options = sort.options(self._chance, f"{NAME} {number}", self._last)
        task = self._chance.choice(("work", "work", "grind"))
        seconds = sort.seconds(self._chance)
        for _ in range(sort.times):
            self._journal.note("submit", number=self._numbered(number), sort=sort.name)
            try:
                job = await self._app.submit(
                    task, self._numbered(number), seconds, sort.fails, wait=True, **options
                )
            except JabotError as error:
                self._journal.note("refused", number=self._numbered(number), why=repr(error))
                return
            self._acknowledged(job, number)
            self._last = job
            if sort.cancelled:
                await asyncio.sleep(self._chance.uniform(0.0, 1.0))
                self._journal.note("cancel", job=job.id)
                job.cancel("enough of it")
            await self._outcome(job, number)

    def _numbered(self, number: int) -> int:
        """A number that no other caller has."""
        return number * 10 + int(NAME[-1])

    def _acknowledged(self, job: jabot.Job[Any], number: int) -> None:
        self._journal.note("acknowledged", number=self._numbered(number), job=job.id)

    async def _ask(self, job_id: str, number: int) -> None:
        while True:
            try:
                job = await self._app.job(job_id)
                break
            except jabot.UnknownJob:
                self._journal.note("unknown", number=number, job=job_id)
                return
            except JabotError:
                await asyncio.sleep(PAUSE)
        await self._outcome(job, number // 10, again=False)

    async def _outcome(self, job: jabot.Job[Any], number: int, *, again: bool = True) -> None:
        numbered = self._numbered(number)
        try:
            value = await job
        except jabot.ConnectionFailed:
            raise  # says nothing of the job
        except JabotError as error:
            if isinstance(error, jabot.UnknownJob):
                self._journal.note("unknown", number=numbered, job=job.id)
                return
            self._journal.note(
                "outcome", number=numbered, job=job.id, error=_name(error), text=str(error)
            )
        else:
            self._journal.note("outcome", number=numbered, job=job.id, value=value)
        if again and self._chance.random() < AGAIN:
            await self._ask(job.id, numbered)


class Sort:
    """A sort of job."""

    def __init__(
        self,
        name: str,
        share: float,
        seconds: tuple[float, float] = (0.0, 0.3),
        *,
        options: Callable[[random.Random, str, Any], dict[str, Any]] = lambda *_: {},
        fails: int = 0,
        times: int = 1,
        cancelled: bool = False,
    ) -> None:
        self.name = name
        self.share = share
        self._seconds = seconds
        self.options = options
        self.fails = fails  # attempts that raise
        self.times = times  # that it is submitted
        self.cancelled = cancelled

    def seconds(self, chance: random.Random) -> float:
        return chance.uniform(*self._seconds)


def _after(_: random.Random, __: str, last: jabot.Job[Any] | None) -> dict[str, Any]:
    return {} if last is None else {"after": last}


NEVER = 1_000_000
AT_ONCE = Retry(1_000_000, backoff=0.0)
SORTS = [
    Sort("plain", 55),
    Sort("long", 10, (2.0, 7.0)),
    Sort("delayed", 8, options=lambda chance, *_: {"delay": chance.uniform(0.2, 2.0)}),
    Sort("preferred", 5, options=lambda *_: {"priority": 5}),
    Sort("retried", 6, fails=2, options=lambda *_: {"retries": Retry(8, backoff=0.2, most=1.0)}),
    Sort("failing", 3, fails=NEVER),
    Sort("keyed", 5, times=2, options=lambda _, name, __: {"key": name}),
    Sort("after", 4, options=_after),
    Sort("endless", 0, (86_400.0, 86_400.0), options=lambda *_: {"retries": AT_ONCE}),
    Sort("cancelled", 4, (0.0, 3.0), cancelled=True),
]


def _name(error: JabotError) -> str:
    """As the store has it: of what the task raised, its own name."""
    return error.type if isinstance(error, jabot.TaskFailed) else type(error).__name__


async def main() -> None:
    path = Path(f"{NAME}.jsonl")
    waiting: dict[str, int] = {}
    newest = 0
    for line in read(path):
        if line["what"] == "submit":
            newest = max(newest, line["number"] // 10)
        elif line["what"] == "acknowledged":
            waiting[line["job"]] = line["number"]
        elif line["what"] in ("outcome", "unknown"):
            waiting.pop(line["job"], None)
    journal = Journal(path)
    while True:
        try:
            async with jabot.connect(to=QUEUE) as app:
                await Caller(app, journal, newest).go_on(waiting)
                return
        except jabot.ConnectionFailed:  # the first attempt; later it connects again by itself
            await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(main())
