"""The blocking client, used from threads while the node is in the loop of the test."""

import asyncio
import concurrent.futures
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

import jabot.sync
from chatting import LIMIT, account_environment, jabot_account, program, serving
from jabot import (
    ConnectionFailed,
    Context,
    JabotError,
    JobCancelled,
    JobTimeout,
    NobodyThere,
    Node,
    Step,
    TaskFailed,
    UnknownTask,
)
from servers import Server


@dataclass
class Weight:
    kilos: float


async def test_blocking(xmpp: Server) -> None:
    node, go = Node(labels={"gpu": "a100"}), asyncio.Event()

    @node.task
    async def double(weight: Weight) -> Weight:
        return Weight(2 * weight.kilos)

    @node.task
    async def lift(reps: int = 3, *, ctx: Context) -> str:
        for number in range(reps):
            ctx.progress(number + 1, reps)
        await go.wait()
        return f"Lifted {reps}"

    @node.task
    async def fail() -> None:
        raise ValueError("too heavy")

    loop = asyncio.get_running_loop()

    def program(client: jabot.sync.Client) -> None:
        with client as app:
            job = app.submit("lift", 3)
            with pytest.raises(concurrent.futures.TimeoutError):
                job.result(timeout=0.01)
            assert not job.done()
            steps = iter(job.progress)
            while next(steps) != Step(3, 3):
                pass
            assert job.step == Step(3, 3)
            again = app.job(job.id)
            loop.call_soon_threadsafe(go.set)
            assert job.result(timeout=LIMIT) == again.result(LIMIT) == "Lifted 3"
            assert list(steps) == []
            assert not job.cancel()
            assert app.submit(double, Weight(4), to=app.nodes()[0].jid).result(LIMIT) == Weight(8)
            error = app.submit("fail").exception(LIMIT)
            assert isinstance(error, TaskFailed)
            assert error.type == "ValueError"
            with pytest.raises(UnknownTask):
                app.submit("lifd")
            assert list(app.map(double, [Weight(1), Weight(2)])) == [Weight(2), Weight(4)]
            assert list(app.map("lift", range(30), in_flight=4)) == [
                f"Lifted {n}" for n in range(30)
            ]
            assert app.nodes()[0].labels == {"gpu": "a100"}
            assert app.describe(task="fail").keys() == {"fail"}

            loop.call_soon_threadsafe(go.clear)
            jobs = [app.submit("lift", 1, timeout=limit) for limit in (None, 0.2, None)]
            assert jobs[0].cancel("enough")
            with pytest.raises(JobCancelled, match="enough"):
                jobs[0].result(LIMIT)
            with pytest.raises(JobTimeout):
                jobs[1].result(LIMIT)
            done, running = concurrent.futures.wait(jobs, timeout=0.01)
            assert (done, running) == ({jobs[0], jobs[1]}, {jobs[2]})
        with pytest.raises(ConnectionFailed, match="was closed"):
            jobs[2].result(LIMIT)
        # What is left of it opens no new session.
        assert list(job.progress) == [Step(3, 3)]
        assert list(jobs[2].progress) in ([], [Step(1, 1)])  # as far as it was told
        assert not jobs[2].cancel()
        for use in (app.nodes, lambda: app.submit("lift"), lambda: list(app.map("lift", [1]))):
            with pytest.raises(ConnectionFailed, match="was closed"):
                use()
        assert "jabot client" not in {thread.name for thread in threading.enumerate()}
        with app:  # This does, for it says so.
            assert app.nodes()[0].running == 1
        app.close()

    async with serving(node, xmpp, for_people=False) as bot:
        account = jabot_account(xmpp, bot.account)
        await asyncio.to_thread(program, jabot.sync.connect(account=account, to=bot.jid))
        go.set()
    assert "jabot client" not in {thread.name for thread in threading.enumerate()}


async def test_several_threads(xmpp: Server) -> None:
    node = Node(concurrency=50)

    @node.task
    async def square(number: int) -> int:
        return number * number

    def work(app: jabot.sync.Client, thread: int) -> int:
        jobs = [app.submit("square", thread * 100 + n) for n in range(50)]
        return sum(job.result(LIMIT) for job in concurrent.futures.as_completed(jobs, LIMIT))

    def program(app: jabot.sync.Client) -> list[int]:
        with concurrent.futures.ThreadPoolExecutor(8) as pool, app:
            return list(pool.map(lambda thread: work(app, thread), range(8)))

    async with serving(node, xmpp, for_people=False) as bot:
        account = jabot_account(xmpp, bot.account)
        sums = await asyncio.to_thread(program, jabot.sync.connect(account=account, to=bot.jid))
    assert sums == [sum((t * 100 + n) ** 2 for n in range(50)) for t in range(8)]


async def test_handles_are_touched_in_one_thread_only(
    xmpp: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may end between two lines of a thread that looks at it; so none looks."""
    threads = set()
    real = jabot.Job.completion, jabot.Job.progress.fget

    def completion(self: jabot.Job[object], function: object) -> object:
        threads.add(threading.current_thread().name)
        return real[0](self, function)  # type: ignore[arg-type]

    def progress(self: jabot.Job[object]) -> object:
        threads.add(threading.current_thread().name)
        return real[1](self)  # type: ignore[misc]

    monkeypatch.setattr(jabot.Job, "completion", completion)
    monkeypatch.setattr(jabot.Job, "progress", property(progress))
    node, go, loop = Node(), asyncio.Event(), asyncio.get_running_loop()

    @node.task
    async def hold() -> None:
        await go.wait()

    @node.task
    async def square(number: int) -> int:
        return number * number

    def program(app: jabot.sync.Client) -> None:
        with app:
            job = app.submit("square", 2)
            assert list(job.progress) == []
            assert app.job(job.id).result(LIMIT) == 4
            assert list(app.map("square", [3])) == [9]
            # A callback runs there, too, and is told that it must not wait there.
            errors: concurrent.futures.Future[BaseException] = concurrent.futures.Future()

            def submit_more(_: object) -> None:
                try:
                    with pytest.raises(JabotError, match="would wait for itself"):
                        other.result(LIMIT)
                    app.submit("square", 5)
                except JabotError as error:
                    errors.set_result(error)

            app.submit("hold").add_done_callback(submit_more)
            other = app.submit("hold")  # ends after the first one
            loop.call_soon_threadsafe(go.set)
            assert "would wait for itself" in str(errors.result(LIMIT))

    async with serving(node, xmpp, for_people=False) as bot:
        account = jabot_account(xmpp, bot.account)
        await asyncio.to_thread(program, jabot.sync.connect(account=account, to=bot.jid))
    assert threads == {"jabot client"}


FORKING = """
import os, signal, sys
import jabot, jabot.sync

app = jabot.sync.connect(to=sys.argv[1])
with app:
    before, over = app.submit("hold"), app.submit("square", 2)
    assert over.result(30) == 4
    events = app.follow("sensors/*")
    lock = app._thread._lock
    lock.acquire()  # as another thread may have it in that moment
    child = os.fork()
    if child:
        lock.release()
    if not child:
        signal.alarm(60)  # the end of one that waits for ever
        events.close()
        for use in (before.result, before.exception, before.cancel, lambda: list(before.progress)):
            try:
                use()
            except jabot.JabotError as error:
                assert "before this process was forked" in str(error), error
            else:
                os._exit(1)
        assert over.result() == 4
        assert app.submit("square", 3).result(30) == 9  # in a session of its own
        assert app.job(before.id).id == before.id
    else:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert app.submit("square", 4).result(30) == 16  # this one's goes on
        before.cancel()
        assert isinstance(before.exception(30), jabot.JobCancelled)
        print("both did")
"""


async def test_a_process_that_forks(xmpp: Server, tmp_path: Path) -> None:
    node = Node()

    @node.task
    async def hold() -> None:
        await asyncio.Event().wait()

    @node.task
    async def square(number: int) -> int:
        return number * number

    async with serving(node, xmpp, for_people=False) as bot:
        command = [sys.executable, "-c", FORKING, bot.account.jid]
        environment = account_environment(xmpp, bot.account)
        async with program(command, tmp_path, environment) as forking:
            await forking.printed("both did")
            assert await forking.ended() == 0


async def test_no_server_and_nobody(own_xmpp: Server) -> None:
    account = jabot_account(own_xmpp, own_xmpp.fresh_user("app"))
    app = jabot.sync.connect(account=account, to=account.jid)

    def nobody() -> None:
        with app, pytest.raises(NobodyThere):
            app.submit("lift")

    await asyncio.to_thread(nobody)
    own_xmpp.kill()

    def no_server() -> None:
        for _ in range(2):
            with pytest.raises(ConnectionFailed, match="cannot reach"), app:
                pass

    await asyncio.to_thread(no_server)
    assert "jabot client" not in {thread.name for thread in threading.enumerate()}
