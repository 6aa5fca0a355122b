"""People who talk to a queue: their jobs are kept, and they hear of them."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from chatting import LIMIT, Bench, Person, serving, signed_in
from jabot import Context, Node
from jabot.queue_node import QueueNode


async def lift(reps: int = 30, *, ctx: Context) -> str:
    """Lift something heavy."""
    for done in range(reps):
        ctx.progress(done + 1, reps)
        await asyncio.sleep(0)
    return f"Lifted {reps}"


async def who(*, ctx: Context) -> str:
    return f"{ctx.caller} via {ctx.via}"


async def fail() -> None:
    raise ValueError("größer")


_NO_PROGRESS = r"^(?!hold \w{4}: 1 of 2 \(50%\)$)"


class Hall:
    """A queue that Ann may talk to, and workers."""

    def __init__(self, bench: Bench, ann: Person) -> None:
        self.bench = bench
        self.ann = ann
        self.jid = bench.account.jid
        self.go = asyncio.Event()

    async def hold(self, *, ctx: Context) -> str:
        ctx.progress(1, 2)
        await self.go.wait()
        return "held"

    @asynccontextmanager
    async def queue(self, **options: object) -> AsyncIterator[QueueNode]:
        allow = {self.ann.account.jid: ["lift", "who", "fail", "hold"]}
        node = QueueNode(
            store=f"sqlite:///{self.bench.store}",
            **{
                "allow": allow,
                "manage": [self.bench.caller.jid],
                "work": [self.bench.worker.jid],
                **options,
            },
        )
        async with serving(node, self.bench.server, self.bench.account):
            yield node

    @asynccontextmanager
    async def working(
        self, *functions: Callable[..., object], **options: object
    ) -> AsyncIterator[Node]:
        """Inside, the queue knows what it can do."""
        node = Node(queue=self.jid)
        for function in functions or (lift, who, fail, self.hold):
            node.task(**options)(function)
        async with serving(node, self.bench.server, self.bench.worker, for_people=False):
            await self.until_known(*(task.name for task in node.tasks))
            yield node

    async def until_known(self, *names: str) -> None:
        """The queue has had these described."""
        async with asyncio.timeout(LIMIT), self.bench.calling(self.bench.account) as app:
            while not set(names) <= set(found := await app.describe(self.jid)) or any(
                "args" in found[name].args["properties"] for name in names
            ):
                await asyncio.sleep(0.02)

    def boss(self) -> AbstractAsyncContextManager[Person]:
        """Somebody who manages the queue."""
        return signed_in(self.bench.server, self.bench.caller)

    async def ask(self, line: str, pattern: str = "") -> str:
        """The answer. On a busy machine people are also told how a job gets on that is held."""
        return (await self.ann.ask(self.jid, line, pattern or _NO_PROGRESS)).body


@pytest.fixture
def hall(bench: Bench, ann: Person) -> Hall:
    return Hall(bench, ann)


def job_of(scheduled: str) -> str:
    match = re.fullmatch(r"Scheduled \w+, job (\w{4})\.", scheduled)
    assert match, scheduled
    return match[1]


async def test_it_answers_as_a_worker_does(hall: Hall) -> None:
    async with hall.queue(), hall.working():
        job = job_of(await hall.ask("lift 3"))
        assert (await hall.ann.hear(" is done")).body == f"lift {job} is done: Lifted 3"
        job = job_of(await hall.ask("Lift reps=2"))
        await hall.ann.hear(f"^lift {job} is done: Lifted 2$")
        assert await hall.ask("lift many") == (
            "reps: 'many' is not a whole number.\nUsage: lift [reps=30]"
        )
        assert await hall.ask("lfit") == "Dunno how to lfit. Did you mean lift?"
        assert await hall.ask("help lift") == (
            "lift [reps=30]\nLift something heavy.\n  reps: int, 30 if left out"
        )
        listed = await hall.ask("help")
        assert "  lift [reps=30] - Lift something heavy.\n" in listed
        assert "queue." not in listed
        assert listed.endswith(
            "and: help TASK, jobs, show ID, cancel ID, retry ID, stats, status, can JID TASK"
        )
        job = job_of(await hall.ask("fail"))
        await hall.ann.hear(f"^fail {job} failed: ValueError: größer$")
        job_of(await hall.ask("who"))
        said = f"{hall.ann.boundjid.full} via {hall.jid}"
        await hall.ann.hear(f"^who .... is done: {re.escape(said)}$")


async def test_the_author_has_the_word(hall: Hall) -> None:
    async def heavy() -> str:
        return "lifting"

    sentences = {"scheduled": "Scheduled heavy job...", "done": "Done {result}", "name": "lift"}
    async with hall.queue(), hall.working(heavy, **sentences):
        assert await hall.ask("lift") == "Scheduled heavy job..."
        await hall.ann.hear("^Done lifting$")


async def test_typing_and_progress_show_while_it_runs(hall: Hall) -> None:
    async with hall.queue(), hall.working():
        job = job_of(await hall.ask("hold"))
        first = await hall.ann.hear("^hold ")
        assert first.body == f"hold {job}: 1 of 2 (50%)"
        assert {state for _, state in hall.ann.typing} == {"composing"}
        assert re.fullmatch(
            rf"hold {job}: running for \d s, 1 of 2 \(50%\)", await hall.ask("jobs")
        )
        hall.go.set()
        last = await hall.ann.hear("is done")
        assert (last.body, last.state, last.replaces) == (
            f"hold {job} is done: held",
            "active",
            None,
        )
        assert await hall.ask("jobs") == "No jobs."


async def test_a_job_waits_for_a_worker_without_typing(hall: Hall) -> None:
    async with hall.queue():
        async with hall.working():
            pass
        job = job_of(await hall.ask("lift 1"))
        assert await hall.ask("jobs") == f"lift {job}: waiting"
        assert hall.ann.typing == []
        async with hall.working():
            await hall.ann.hear(f"^lift {job} is done: Lifted 1$")


async def test_a_job_that_is_unique_is_the_same(hall: Hall) -> None:
    async with hall.queue(), hall.working(hall.hold, unique=True):
        first = job_of(await hall.ask("hold"))
        await hall.ann.hear("1 of 2")
        second = job_of(await hall.ask("hold"))
        assert await hall.ask("hold") == f"hold {second} waits already."
        hall.go.set()
        for job in (first, second):
            await hall.ann.hear(f"^hold {job} is done: held$")


async def test_who_may_not_is_told_why(hall: Hall) -> None:
    async def carry() -> None: ...

    async with hall.queue(), hall.working(carry, hall.hold), signed_in(hall.bench.server) as eve:
        assert (await hall.ask("carry")).startswith(
            f"You may not run carry: the rule for {hall.ann.account.jid} does not name carry."
        )
        assert (await hall.ask("can " + hall.ann.account.jid + " carry")).startswith("No: ")
        assert "carry" not in await hall.ask("help")
        for line in ("pause hold", "resume hold"):
            answer = await hall.ask(line)
            assert answer.startswith(f"You may not {line}: {hall.ann.account.jid} is not among"), (
                line
            )
        assert (await hall.ask("exit")).startswith("You may not stop me")
        assert (await eve.ask(hall.jid, "hold")).body.startswith("I do not take commands")
        job = job_of(await hall.ask("hold"))
        async with signed_in(hall.bench.server) as other:
            assert (await other.ask(hall.jid, f"cancel {job}")).body.startswith("I do not take")
        hall.go.set()
        await hall.ann.hear("is done")


async def test_jobs_are_looked_after(hall: Hall) -> None:
    async with (
        hall.queue(),
        hall.working(),
        hall.boss() as boss,
    ):
        job = job_of(await hall.ask("fail"))
        await hall.ann.hear("failed: ValueError: größer")
        shown = await hall.ask(f"show {job}")
        assert re.fullmatch(
            rf"fail {job}: it failed at .* ago\): ValueError: größer\nSubmitted .*, id \S+{job}",
            shown,
        )
        assert await hall.ask(f"retry {job}") == f"Running fail {job} again."
        await hall.ann.hear(f"^fail {job} failed")
        assert f"for {hall.ann.account.jid}" in (await boss.ask(hall.jid, f"show {job}")).body
        assert (await boss.ask(hall.jid, f"retry {job}")).body == f"Running fail {job} again."
        await boss.hear(f"^fail {job} failed: ValueError: größer$")  # who asks is told

        job = job_of(await hall.ask("hold"))
        await hall.ann.hear("1 of 2")
        said = (await boss.ask(hall.jid, "jobs")).body
        assert re.fullmatch(
            rf"hold {job}: running for \d s, 1 of 2 \(50%\), for {hall.ann.account.jid}", said
        )
        stats = (await boss.ask(hall.jid, "stats")).body
        assert stats.startswith("1 running, 1 failed; ")
        assert f"\nWorkers: 1\n  {hall.bench.worker.jid}/" in stats
        assert "Workers" not in await hall.ask("stats")
        assert (await boss.ask(hall.jid, f"cancel {job}")).body == f"Cancelling hold {job}."
        await hall.ann.hear(f"^hold {job} was cancelled: by {hall.bench.caller.jid}.$")
        assert await hall.ask(f"cancel {job}") == f"Cancelling hold {job}."
        assert (await hall.ask("cancel 0000")).startswith("There is no job 0000 of yours here")


async def test_tasks_are_paused(hall: Hall) -> None:
    async with (
        hall.queue(),
        hall.working(),
        hall.boss() as boss,
    ):
        assert (await boss.ask(hall.jid, "pause lfit")).body == (
            "Dunno how to lfit. Did you mean lift?"
        )
        await boss.ask(hall.jid, "pause lift", "^No more jobs of lift are begun")
        job = job_of(await hall.ask("lift 1"))
        assert await hall.ask(f"show {job}", "lift is paused")
        assert "lift: 1 waiting; paused" in (await boss.ask(hall.jid, "stats")).body
        await boss.ask(hall.jid, "resume lift", "^Jobs of lift are begun again")
        await hall.ann.hear(f"^lift {job} is done: Lifted 1$")


async def test_the_right_one_is_cancelled_by_name(hall: Hall) -> None:
    async with hall.queue(), hall.working():
        first = job_of(await hall.ask("hold"))
        assert await hall.ask("cancel hold") == f"Cancelling hold {first}."
        await hall.ann.hear(f"^hold {first} was cancelled.$")
        ids = {job_of(await hall.ask("hold")) for _ in range(2)}
        which = (await hall.ask("cancel hold")).splitlines()
        assert which[0] == "Which one?"
        assert {line.split(":")[0] for line in which[1:]} == {f"hold {job}" for job in ids}
        hall.go.set()
        for job in ids:
            await hall.ann.hear(f"^hold {job} is done")


async def test_a_queue_that_leaves_keeps_the_jobs(hall: Hall) -> None:
    async with hall.queue():
        async with hall.working():
            pass
        job = job_of(await hall.ask("lift 2"))
        async with hall.boss() as boss:
            said = await boss.ask(hall.jid, "exit", "Leaving")
            assert said.body == "Leaving. The jobs are kept, and go on when I am back."
    async with hall.queue(), hall.working():
        await hall.ann.hear(f"^lift {job} is done: Lifted 2$")


async def test_what_ended_while_the_queue_was_away_is_told(hall: Hall) -> None:
    worker = Node(queue=hall.jid)
    worker.task(hall.hold)
    async with serving(worker, hall.bench.server, hall.bench.worker, for_people=False):
        async with hall.queue():
            await hall.until_known("hold")
            job = job_of(await hall.ask("hold"))
            await hall.ann.hear("1 of 2")
        hall.go.set()
        async with hall.queue():
            await hall.ann.hear(f"^hold {job} is done: held$")
            assert await hall.ask("jobs") == "No jobs."
    assert hall.ann.bodies.count(f"hold {job} is done: held") == 1


async def test_a_person_who_is_offline_finds_it_later(hall: Hall) -> None:
    account = hall.bench.server.fresh_user("bob")
    allow = {account.jid: "*", hall.ann.account.jid: "*"}
    async with hall.queue(allow=allow), hall.working():
        async with signed_in(hall.bench.server, account) as bob:
            job = job_of((await bob.ask(hall.jid, "hold")).body)
            await bob.hear("1 of 2")
        hall.go.set()
        mine = job_of(await hall.ask("lift 1"))
        await hall.ann.hear(f"lift {mine} is done")
        async with signed_in(hall.bench.server, account) as bob:
            heard = await bob.hear(f"^hold {job} is done: held$")
            assert bob.bodies.count(heard.body) == 1
