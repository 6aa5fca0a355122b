"""A program gives jobs to one node: results, errors, progress, cancelling, time limits."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import process_jobs
import pytest

from chatting import LIMIT, calling, serving, soon
from jabot import (
    BadArguments,
    ConfigError,
    ConnectionFailed,
    Context,
    Job,
    JobCancelled,
    JobTimeout,
    Middleware,
    NobodyThere,
    Node,
    RemoteProtocolError,
    Step,
    Submission,
    TaskFailed,
    TooLarge,
)
from servers import Server

MIB = 1024 * 1024


@dataclass
class Weight:
    kilos: float
    label: str = "iron"
    seen: list[datetime] = field(default_factory=list)


async def test_by_name_and_as_itself(xmpp: Server) -> None:
    node = Node()

    @node.task
    async def add(weight: Weight, kilos: float = 1.0) -> Weight:
        return Weight(weight.kilos + kilos, weight.label, [datetime(2026, 1, 2, tzinfo=UTC)])

    @node.task
    def shout(text: str, *, mark: str = "!") -> str:
        return text.upper() + mark

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        job = await app.submit("shout", "straße 山 😀", mark="‽")
        assert await job == "STRASSE 山 😀‽"
        assert await job == "STRASSE 山 😀‽"  # as often as one likes
        plain = await (await app.submit("add", Weight(2)))
        assert plain == {"kilos": 3, "label": "iron", "seen": ["2026-01-02T00:00:00Z"]}
        typed = await (await app.submit(add, Weight(2), kilos=2.5))
        assert typed == Weight(4.5, "iron", [datetime(2026, 1, 2, tzinfo=UTC)])
        # A task object of another program's; only its name and its types count here.
        elsewhere = Node().task(_get_weight, name="add")
        job = await app.submit(elsewhere, {"kilos": 1}, to=bot.full)
        assert await job == Weight(2, "iron", [datetime(2026, 1, 2, tzinfo=UTC)])
        assert (job.task, job.to, job.peer) == ("add", str(bot.full), str(bot.full))
        assert (job.attempt, job.status, UUID(job.id).version) == (1, "succeeded", 7)
        assert job.short_id == job.id[-4:]


def _get_weight(weight: Weight) -> Weight:
    raise NotImplementedError


async def test_a_result_of_another_type_than_the_caller_believes(xmpp: Server) -> None:
    node = Node()

    @node.task
    async def length(text: str) -> int:
        return len(text)

    believed = Node().task(_get_weight, name="length")
    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        job = await app.submit(believed, "four", to=bot.jid)
        with pytest.raises(RemoteProtocolError, match=f"the result of length {job.id}: Expected"):
            await job


async def test_callbacks_run_once_and_in_order(xmpp: Server) -> None:
    node, go = Node(), asyncio.Event()

    @node.task
    async def divide(a: int, b: int) -> float:
        await go.wait()
        return a / b

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        good, bad = await app.submit("divide", 6, 3), await app.submit("divide", 6, 0)
        told: list[object] = []
        for number in (1, 2):
            good.callback(lambda value, n=number: told.append((n, value)))
            good.errback(lambda error: told.append("never"))
            bad.callback(lambda value: told.append("never"))
            bad.errback(lambda error, n=number: told.append((n, type(error))))
        assert (good.status, told) == ("unknown", [])
        go.set()
        assert await good == 2
        with pytest.raises(TaskFailed):
            await bad
        assert told == [(1, 2.0), (2, 2.0), (1, TaskFailed), (2, TaskFailed)]
        good.callback(lambda value: told.append("late"))
        assert told[-1] == "late"


async def test_an_error_comes_with_its_type_and_traceback(xmpp: Server) -> None:
    node = Node()

    class TooHeavyError(Exception):
        pass

    @node.task
    async def on_the_loop() -> None:
        raise TooHeavyError("a tonne\u0007 of 山")

    @node.task
    def in_a_thread() -> None:
        raise ValueError

    node.tasks.add(process_jobs.lift_in_vain)

    @node.task
    async def wrong_result() -> int:
        return "three"  # type: ignore[return-value]

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        for task, kind, message in (
            ("on_the_loop", "TooHeavyError", "a tonne\u0007 of 山"),
            ("in_a_thread", "ValueError", ""),
            ("lift_in_vain", "ZeroDivisionError", "in vain"),
            ("wrong_result", "TypeError", "the result is not int as declared"),
        ):
            job = await app.submit(task)
            with pytest.raises(TaskFailed) as caught:
                await job
            assert caught.value.type == kind
            assert caught.value.message.startswith(message)
            assert str(caught.value).startswith(f"{kind}: {message}" if message else kind)
            assert f"{kind}" in caught.value.traceback
            assert "Traceback (most recent call last)" in caught.value.traceback


async def test_progress_comes_in_order_and_ends_with_the_job(xmpp: Server) -> None:
    node, go = Node(), asyncio.Event()

    @node.task
    async def count(to: int, *, ctx: Context) -> str:
        await go.wait()
        for n in range(1, to + 1):
            ctx.progress(n, to, f"n° {n}")
            await asyncio.sleep(0)
        return "done"

    @node.task
    def steps() -> object:
        yield 1, 2
        yield "half a way"
        yield 2, 2

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        job = await app.submit("count", 5)
        assert job.step is None
        first, second = aiter(job.progress), aiter(job.progress)
        go.set()
        heard = [step async for step in first]
        # Steps may be left out when the line is busy, never the order, nor the last one.
        done = [step.done for step in heard]
        assert done == sorted(set(done))
        assert heard[-1] == Step(5, 5, "n° 5")
        assert [step async for step in second] == heard
        assert await job == "done"
        assert [step async for step in job.progress] == [job.step] == [heard[-1]]

        job = await app.submit("steps")
        heard = [step async for step in job.progress]
        assert heard[-1] == Step(2, 2)
        assert await job is None
        job = await app.submit("count", 0)
        assert [step async for step in job.progress] == []


@pytest.mark.parametrize("kind", ["coroutine", "thread", "sleep"])
async def test_a_cancel_arrives(xmpp: Server, kind: str) -> None:
    node, stopped = Node(), threading.Event()
    node.tasks.add(process_jobs.sleep)

    @node.task
    async def coroutine(*, ctx: Context) -> None:
        ctx.progress(text="begun")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    @node.task
    def thread(*, ctx: Context) -> None:
        ctx.progress(text="begun")
        while not ctx.cancelled:
            time.sleep(0.005)
        stopped.set()

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        job = await app.submit(kind)
        assert (await anext(aiter(job.progress))).text == "begun"
        job.cancel("enough of it")
        job.cancel("and again")
        with pytest.raises(JobCancelled, match=f"^{kind} {job.id} was cancelled: enough of it$"):
            await job
        assert kind == "sleep" or stopped.wait(LIMIT)
        job.cancel("too late")
        assert bot.node._live.runner.running == 0


async def test_a_cancel_before_its_turn_and_one_that_comes_too_late(xmpp: Server) -> None:
    node, go, ran = Node(concurrency=1), asyncio.Event(), []

    @node.task
    async def hold(name: str) -> str:
        ran.append(name)
        try:
            await go.wait()
        except asyncio.CancelledError:
            return "would not stop"
        return name

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        first, second = await app.submit("hold", "first"), await app.submit("hold", "second")
        second.cancel()
        with pytest.raises(JobCancelled):
            await second
        first.cancel()
        assert await first == "would not stop"
        assert ran == ["first"]


async def test_a_submitter_that_gives_up_takes_its_job_back(xmpp: Server) -> None:
    account = xmpp.fresh_user("bot")
    async with calling(xmpp, account.jid, account) as app:
        waiting = asyncio.create_task(app.submit("lift", wait=True))
        while not len(app._calls):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(app._calls) == 0


async def test_a_time_limit_stops_the_job_at_its_node(xmpp: Server) -> None:
    node, begun, stopped = Node(concurrency=1), asyncio.Event(), asyncio.Event()

    @node.task
    async def hold() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        loop = asyncio.get_running_loop()
        began = loop.time()
        running = await app.submit("hold", timeout="1500ms")
        await begun.wait()
        waiting = await app.submit("hold", timeout=1.0)
        for job, limit in ((waiting, "1"), (running, "1.5")):
            with pytest.raises(JobTimeout, match=f"^hold {job.id} has no outcome after {limit} s$"):
                await job
        assert loop.time() - began >= 1.5
        await soon(stopped.wait())
        with pytest.raises(TimeoutError):  # it is one of Python's own as well
            await running


async def test_large_payloads(xmpp: Server) -> None:
    node = Node()

    @node.task
    async def turn(text: str) -> str:
        return text[::-1]

    @node.task
    async def much(size: int) -> str:
        return "山" * size

    async with serving(node, xmpp, for_people=False) as bot, calling(xmpp, bot) as app:
        text = "".join(chr(32 + n * n % 90) for n in range(5 * MIB))
        large = await app.submit("turn", text)
        small = await app.submit("turn", "abc")  # does not wait behind it for ever
        assert await small == "cba"
        assert await large == text[::-1]
        # Past the cap: an error at once where it is noticed, and nothing else.
        with pytest.raises(TooLarge, match=r"^17\.0 MiB as JSON; 16 MiB are carried"):
            await app.submit("turn", "x" * 17 * MIB)
        job = await app.submit("much", 6 * MIB)
        with pytest.raises(TooLarge, match=r"18\.0 MiB as JSON"):
            await job
        deep: list[object] = []
        for _ in range(150):
            deep = [deep]
        with pytest.raises(TooLarge, match="inside of each other"):
            await app.submit("turn", deep)
        assert await (await app.submit("turn", "abc")) == "cba"


async def test_what_cannot_be_sent_or_asked(xmpp: Server) -> None:
    account = xmpp.fresh_user("bot")
    async with calling(xmpp, None, account) as app:
        with pytest.raises(ConfigError, match="to whom"):
            await app.submit("lift")
        with pytest.raises(ConfigError):
            await app.submit("lift", to="no address at all@@")
        with pytest.raises(ConfigError, match="retries"):
            await app.submit("lift", to=account.jid, retries=-1)
        with pytest.raises(ConfigError):
            await app.submit("lift", to=account.jid, timeout="soon")
        with pytest.raises(ConfigError, match="where"):
            await app.submit("lift", to=account.jid, where={"gpu": 5})  # type: ignore[dict-item]
        with pytest.raises(ConfigError, match="is no task"):
            await app.submit(print, to=account.jid)  # type: ignore[call-overload]
        for argument in (object(), 1j, "\ud800", {(1, 2): 3}):
            with pytest.raises(BadArguments, match="cannot be sent as JSON"):
                await app.submit("lift", argument, to=account.jid)
        with pytest.raises(ConfigError, match="in_flight"):
            app.map("lift", [1], to=account.jid, in_flight=0)
        with pytest.raises(ConfigError, match="whose"):
            await app.nodes()
        assert len(app._calls) == 0
        with pytest.raises(NobodyThere, match=r"nowhere is not online; lift \S+ was not sent"):
            await app.submit("lift", to=f"{account.jid}/nowhere")


async def test_leaving_ends_the_handles_and_not_the_jobs(xmpp: Server) -> None:
    node, go, ran = Node(), asyncio.Event(), asyncio.Event()

    @node.task
    async def hold() -> None:
        await go.wait()
        ran.set()

    async with serving(node, xmpp, for_people=False) as bot:
        async with calling(xmpp, bot) as app:
            job = await app.submit("hold")
            nobody = asyncio.create_task(app.submit("hold", where={"x": "y"}, wait=True))
            while len(app._calls) < 2:
                await asyncio.sleep(0)
        for ended in (job, nobody):
            with pytest.raises(ConnectionFailed, match="the client was closed; its jobs go on"):
                await ended
        assert not ran.is_set()
        go.set()
        await soon(ran.wait())
        with pytest.raises(Exception, match="not connected"):
            await app.submit("hold")


async def test_middleware_on_both_sides(xmpp: Server) -> None:
    told: list[tuple[object, ...]] = []

    class Notes(Middleware):
        def before_submit(self, submission: Submission) -> None:
            submission.meta["color"] = "green 山"
            told.append(("submit", submission.task))

        def after_result(self, submission: Submission, error: BaseException | None) -> None:
            told.append(("result", submission.meta["color"], type(error)))

        def before_run(self, run: object) -> None:
            told.append(("run", dict(run.meta)))  # type: ignore[attr-defined]

        def after_run(self, run: object, error: BaseException | None) -> None:
            told.append(("ran", type(error)))

    class Broken(Middleware):
        def before_submit(self, submission: Submission) -> None:
            raise RuntimeError("broken")

        after_result = before_run = after_run = before_submit  # type: ignore[assignment]

    node = Node(middleware=[Broken(), Notes()])

    @node.task
    async def divide(a: int, b: int) -> float:
        return a / b

    async with (
        serving(node, xmpp, for_people=False) as bot,
        calling(xmpp, bot, middleware=[Broken(), Notes()]) as app,
    ):
        jobs: list[Job[float]] = [await app.submit("divide", 4, n) for n in (2, 0)]
        assert await jobs[0] == 2
        with pytest.raises(TaskFailed):
            await jobs[1]
    assert [entry for entry in told if entry[0] in ("submit", "result")] == [
        ("submit", "divide"),
        ("result", "green 山", type(None)),
        ("submit", "divide"),
        ("result", "green 山", TaskFailed),
    ]
    assert told.count(("run", {"color": "green 山"})) == 2
    assert ("ran", type(None)) in told
