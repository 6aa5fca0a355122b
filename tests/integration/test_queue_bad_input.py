"""What callers, workers and files may say that a queue should not stumble over."""

import asyncio
import sqlite3

import pytest

from chatting import Bench, soon
from chatting.frames import by_hand
from jabot import Context, JobCancelled, ParentFailed, TaskFailed, TooManyJobs


async def echo(value: int | str) -> int | str:
    return value


async def total(*, ctx: Context) -> int:
    return sum(ctx.parents)


def frame(job: str, task: str = "echo", args: object = (1,), **options: object) -> list[object]:
    return ["submit", f"0192f0c4-{job}", task, args, {}, 1, None, {}, options or None]


async def test_submits_that_no_program_of_ours_would_say(bench: Bench) -> None:
    """Each is refused with a reason, and nothing else suffers from it."""
    bad = {
        "no array": (frame("1", args={}), "protocol", "args is an array"),
        "no task": (frame("2", "echo {"), "bad_arguments", "no name of a task"),
        "priority": (frame("3", priority=1000), "bad_arguments", "an option cannot be used"),
        "parent": (frame("4", after=["none"]), "bad_arguments", "no job none of yours"),
        "key": (frame("5", args=[2], key="k"), "key_reused", "stands for another job, 0192f0c4-0"),
        "nul": (frame("6", key="k\0"), "bad_arguments", "U+0000"),
    }
    async with bench.queue() as queue, by_hand(bench.server, bench.caller) as hand:
        assert await hand.send(queue.jid, [frame("0", key="k")]) == ""
        assert await hand.send(queue.jid, [sent for sent, _, _ in bad.values()]) == ""
        for sent, code, text in bad.values():
            refusal = await hand.hear("rejected", sent[1])
            assert (refusal[3], text in refusal[4]) == (code, True), refusal
        async with bench.working(echo):
            assert (await hand.hear("succeeded", "0192f0c4-0"))[3] == 1
            await hand.send(queue.jid, [frame("7")])
            assert (await hand.hear("succeeded", "0192f0c4-7"))[3] == 1


async def test_the_id_of_anothers_job(bench: Bench) -> None:
    other = bench.server.fresh_user("app")
    async with (
        bench.queue(allow={"*": "*"}) as queue,
        by_hand(bench.server, bench.caller) as mine,
        by_hand(bench.server, other) as theirs,
    ):
        await mine.send(queue.jid, [frame("0")])
        await theirs.send(
            queue.jid, [frame("0"), ["cancel", "0192f0c4-0", 1], ["query", "0192f0c4-0"]]
        )
        assert (await theirs.hear("rejected"))[3:] == [
            "protocol",
            "the id 0192f0c4-0 is another job's",
        ]
        assert await theirs.hear("state") == ["state", "0192f0c4-0", 1, "unknown"]
        async with bench.working(echo):
            assert (await mine.hear("succeeded"))[3] == 1


async def test_a_worker_that_lies_about_attempts(bench: Bench) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def hold() -> str:
        begun.set()
        await go.wait()
        return "held"

    async with bench.queue() as queue, bench.working(hold), bench.calling() as app:
        job = await app.submit("hold")
        await soon(begun.wait())  # else the liar is given it
        async with by_hand(bench.server, bench.worker, "liar") as liar:
            lies = [
                ["hello", [[job.id, 1], ["none", 3]], 8, {"hold": {}}],
                ["heartbeat", [[job.id, 1], [job.id, 7]]],
                ["succeeded", job.id, 1, "a lie"],
                ["succeeded", job.id, 7, "a lie"],
                ["failed", job.id, 1, "Lie", "a lie"],
                ["cancelled", job.id, 1],
                ["rejected", job.id, 0, "bad_arguments"],
                ["state", job.id, 1, "unknown"],
                ["progress", job.id, 1, 1, 1, 2],
            ]
            for lie in lies:
                assert await liar.send(queue.jid, [lie]) == ""
            assert (await liar.hear("cancel", "none"))[3] == "this attempt is over"
            go.set()
            assert await soon(job) == "held"
            assert job.step is None


async def test_a_row_that_cannot_be_read(bench: Bench) -> None:
    async with bench.queue(), bench.calling() as app:
        broken = await app.submit("echo", 1)
        child = await app.submit("total", after=[broken])
        whole = await app.submit("echo", 2)
        with sqlite3.connect(bench.store) as db:
            db.execute("UPDATE jobs SET args = '[1' WHERE id = ?", (broken.id,))
        db.close()
        async with bench.working(echo, total):
            assert await soon(whole) == 2
            with pytest.raises(TaskFailed, match="Undecodable: the stored job cannot be read"):
                await soon(broken)
            with pytest.raises(ParentFailed, match="cannot be read"):
                await soon(child)


async def test_more_jobs_than_one_account_may_have(bench: Bench) -> None:
    async with bench.queue(jobs_per_caller=2), bench.calling() as app:
        first = await app.submit("echo", 1)
        await app.submit("echo", 2)
        with pytest.raises(TooManyJobs, match="2 of your jobs in this queue are unfinished, and 2"):
            await app.submit("echo", 3)
        first.cancel()
        with pytest.raises(JobCancelled):
            await soon(first)
        await app.submit("echo", 3)


async def test_a_submitter_that_does_not_fetch_may_do_so_later(bench: Bench) -> None:
    async with bench.queue(), bench.working(echo):
        async with bench.calling() as app:
            jobs = [await app.submit("echo", n) for n in range(20)]
        async with bench.calling() as app:
            for n, job in enumerate(jobs):
                assert await soon(await app.job(job.id)) == n
