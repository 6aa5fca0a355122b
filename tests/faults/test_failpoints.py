"""Crash a queue or its worker before and after each transaction and each frame: nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from campaign.checker import History, Lost, Outcome, judge
from campaign.evidence import records_of, stored
from failpoints import APP, LEASE, Failpoints, Point, Yard, points

from jabot import JabotError, Retry, queue_serving
from jabot.errors import BadArguments, KeyReused, TaskFailed
from jabot.queue.store import open_store
from jabot.queue.store.verbs import Claim, Orphans, Told, Untold
from jabot.queue.store.verbs import Tell as TellVerb
from jabot.testing import Clock

# What nobody sends there, and why it cannot be a point of its own.
NEVER = {
    "queue": {
        "accepted": "the answer to the batch says it",
        "heartbeat": "of workers",
    },
    "worker": {
        "accepted": "the answer to the batch says it",
        "submit": "a worker gives nothing away",
        "cancel": "nor stops it",
        "query": "nor asks",
        "describe": "nor what others offer",
    },
}


POSSIBLE = [
    point
    for point in points()
    if not (point.at.startswith("send ") and point.at.removeprefix("send ") in NEVER[point.who])
]
PLACES = list(dict.fromkeys((point.who, point.at) for point in POSSIBLE))


MOST_ROUNDS = 3  # that the story is told until a point was passed again after a crash


class Story:
    """What befalls some jobs, told by the one who submits them."""

    def __init__(self, yard: Yard, app: Any) -> None:
        self._yard = yard
        self._app = app
        self.submitted: list[int] = []
        self.acknowledged: list[tuple[int, str]] = []
        self.outcomes: list[Outcome] = []
        self.round = 0
        self.revived: set[str] = set()  # jobs with two lives
        self.purged: set[str] = set()

    async def submit(self, task: str, *args: Any, number: int = 0, **options: Any) -> Any:
        """A job, and the acknowledgement noted; one of that number again, if there is one."""
        number = number or len(self.submitted) + 1
        self.submitted.append(number)

        async def once() -> Any:
            return await self._app.submit(task, number, *args, wait=True, **options)

        job = await insist(once)
        self.acknowledged.append((number, job.id))
        return job

    async def end(self, job: Any) -> Any:
        """Its outcome, noted."""
        try:
            value = await job
        except JabotError as error:
            name = error.type if isinstance(error, TaskFailed) else type(error).__name__
            self.outcomes.append(Outcome(job.id, error=name))
            return error
        self.outcomes.append(Outcome(job.id, result=value))
        return value

    async def ask(
        self, task: str, *args: Any, done: tuple[type[JabotError], ...] = (), **options: Any
    ) -> Any:
        """A question or an order to the queue itself. It is said again when no answer comes; then
        `done` may be what tells that it was heard the first time."""

        async def once() -> Any:
            try:
                return await (await self._app.submit(f"queue.{task}", *args, wait=True, **options))
            except done:
                return None

        return await insist(once)


async def refused(error: type[JabotError], asked: Callable[[], Awaitable[Any]]) -> None:
    """Ask until the answer is that no."""

    async def once() -> bool:
        try:
            await asked()
        except error:
            return True
        return False

    assert await insist(once)


async def insist(asked: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until there is an answer."""
    for _ in range(100):
        try:
            return await asked()
        except JabotError:
            await asyncio.sleep(0.3)
    return await asked()


async def tell(story: Story, yard: Yard) -> None:
    """All of it; it may be told again."""
    story.round += 1
    key, often = f"once {story.round}", f"often {story.round}"
    plain = await story.submit("lift")
    await story.end(plain)
    await story.end(await story.submit("lift", size=60_000))
    await story.end(await story.submit("drop", 1, retries=Retry(5, backoff=0.5)))
    failed = await story.submit("drop", 1_000)
    await story.end(failed)
    story.revived.add(failed.id)
    await story.ask("retry", failed.id)
    child = await story.submit("lift", after=[plain])
    delayed = await story.submit("lift", delay=1.0)
    first = await story.submit("lift", key=key)
    again = await story.submit("lift", number=story.submitted[-1], key=key)
    for job in (child, delayed, first, again):
        await story.end(job)
    await refused(KeyReused, lambda: story._app.submit("lift", 0, key=key, wait=True))
    await story.end(await story.submit("lift", 5 * LEASE, labels={"kind": "long"}))
    await orders(story, yard, often)
    await ends(story)
    await people(story, yard)


async def orders(story: Story, yard: Yard, often: str) -> None:
    """What is said to the queue itself."""
    await story.ask("pause", "lift")
    waiting = await story.submit("lift", priority=3)
    await story.ask("jobs")
    await story.ask("job", waiting.id)
    await story.ask("stats")
    await story.ask("resume", "lift")
    await story.end(waiting)
    await story.ask("schedule", often, "lift", args=[1], every=1.0)
    await story.ask("schedules")
    begun = len(yard.runs)
    await yard.until(lambda: len(yard.runs) > begun + 1)
    await story.ask("remove_schedule", often, done=(BadArguments,))  # there is none any more
    await insist(lambda: story._app.describe())
    done = await story.submit("lift", labels={"kind": "done"})
    await story.end(done)
    story.purged.add(done.id)
    await story.ask("count", label={"kind": "done"})
    await story.ask("purge", label={"kind": "done"})


async def ends(story: Story) -> None:
    """How jobs end otherwise."""
    yard = story._yard
    stopped = await story.submit("lift", 1_000.0)
    await yard.until(lambda: any(run.job == stopped.id for run in yard.runs))
    late = await story.submit("lift", delay=100.0, expires=1.0)
    async with yard.connect() as other:
        away = await insist(lambda: other.job(stopped.id))
        stopped.cancel("enough")
        await story.end(stopped)
        await story.end(away)
    late.cancel("not any more")
    await story.end(late)
    long = [await story.submit("press", 10.0) for _ in range(2)]  # one waits at the worker
    gone = await story.submit("lift", expires=0.5)
    await yard.until(lambda: any(run.job == long[0].id for run in yard.runs))
    await yard.restart("worker")
    for job in [gone, *long]:
        await story.end(job)
    running = await story.submit("lift", 20.0)
    await yard.until(lambda: any(run.job == running.id for run in yard.runs))
    yard.failpoints.slow.append(Orphans)  # so that its worker is there before it knows of it
    await yard.restart("queue")
    await story.end(running)
    yard.failpoints.doubts.append(Claim)
    await story.end(await story.submit("lift"))


async def people(story: Story, yard: Yard) -> None:
    """What a queue says to its store when it talks with people."""
    job = story.acknowledged[0][1]
    node = str(yard.nodes["queue"].jid)
    for verb in (lambda: TellVerb(job, APP, node), lambda: Untold(node), lambda: Told([job])):
        await insist(lambda verb=verb: committed(yard, verb()))


async def committed(yard: Yard, verb: Any) -> None:
    answered = asyncio.get_running_loop().create_future()
    yard.nodes["queue"]._live.ledger.do(verb, answered.set_result)
    try:
        async with asyncio.timeout(5.0):
            await answered
    except TimeoutError:
        raise JabotError("the queue crashed") from None


async def play(folder: Any, monkeypatch: Any, *armed: Point) -> tuple[Failpoints, Yard]:
    """The story with crashes at some points, one after the other; judged."""
    clock = Clock(asyncio.get_running_loop())
    failpoints = Failpoints(*armed)
    yard = Yard(folder, clock, failpoints)
    monkeypatch.setattr(queue_serving, "open_store", yard.opened)
    try:
        await yard.start()
        async with yard.connect() as app:
            story = Story(yard, app)
            async with asyncio.timeout(3_000):  # made up
                while not story.round or (failpoints.armed and story.round < MOST_ROUNDS):
                    await tell(story, yard)
        await yard.stop()
    finally:
        clock.release()
    store = open_store(yard.store)
    await store.open()
    records = await records_of(store)
    await store.close()
    verdict = judge(history(story, yard, records))
    assert verdict.holds, "\n".join(verdict.problems)
    return failpoints, yard


def history(story: Story, yard: Yard, records: Any) -> History:
    """Without the jobs that were deleted or have lived twice, and those of schedules."""
    aliases = {job: job for _, job in story.acknowledged}
    by_number = {msgspec.json.decode(r.args)[0]: r.id for r in records.values() if r.owner == APP}
    for number, job in story.acknowledged:
        if job not in records and number in by_number:
            aliases[job] = by_number[number]
    left = story.revived | story.purged
    known = {job for _, job in story.acknowledged}
    return History(
        submitted=story.submitted,
        acknowledged=[(n, j) for n, j in story.acknowledged if j not in left and j in records],
        runs=[run for run in yard.runs if run.job in known - left],
        outcomes=[outcome for outcome in story.outcomes if outcome.job not in left],
        stored={job: stored(r) for job, r in records.items() if job in known - left},
        aliases={},
        lost=[
            Lost(record.id, attempt.number)
            for record in records.values()
            for attempt in record.history
            if attempt.outcome == "lost"
        ],
        crashes=yard.crashes,
    )


async def test_the_story_passes_each_point(tmp_path, monkeypatch):
    """A verb, an event or a frame that no story reaches fails here, and so is not forgotten."""
    failpoints, _ = await play(tmp_path, monkeypatch)
    never = set(points()) - set(POSSIBLE)
    assert not never & failpoints.passed, f"passed after all: {named(never & failpoints.passed)}"
    missing = set(points()) - failpoints.passed - never
    assert not missing, f"no story passes {named(missing)}"


def named(found: set[Point]) -> str:
    return ", ".join(sorted(map(str, found)))


@pytest.mark.parametrize(("who", "at"), PLACES, ids=[f"{who}-{at}" for who, at in PLACES])
async def test_a_crash_there_loses_nothing(tmp_path, monkeypatch, who, at):
    """Once just before it, and once, in the program that was started after that, just after it."""
    armed = [point for point in POSSIBLE if (point.who, point.at) == (who, at)]
    failpoints, _ = await play(tmp_path, monkeypatch, *armed)
    assert not failpoints.armed, f"it never came to {named(set(failpoints.armed))}"
