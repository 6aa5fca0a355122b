"""Tasks that go wrong in every way that a task can."""

import asyncio
import logging
import re
import signal
from pathlib import Path

import psutil
import pytest

from chatting import all_ended, node_program, serving, signed_in
from jabot import Node
from servers import Server

RAISING = """
    import sys
    from jabot import Node

    node = Node(allow={"*@localhost": "*"}, drain_limit=0.1)

    class Quit(BaseException):
        pass

    def reason(word):
        kinds = {"exit": SystemExit(3), "base": Quit("base"),
                 "stop": StopIteration("stop"), "empty": ValueError()}
        return kinds.get(word, ValueError(f"no such weight: {word}"))

    @node.task
    async def on_the_loop(word: str):
        raise reason(word)

    @node.task
    def in_a_thread(word: str):
        raise reason(word)

    @node.task
    def step_by_step(word: str):
        yield 1, 2
        raise reason(word)

    @node.task
    async def steps_on_the_loop(word: str):
        yield 1, 2
        raise reason(word)

    @node.task(process=True)
    def in_a_process(word: str):
        raise reason(word)

    @node.task
    async def wrong_type() -> int:
        return "three"

    @node.task(process=True)
    def hard_exit():
        import os
        os._exit(7)
"""
TASKS = ("on_the_loop", "in_a_thread", "step_by_step", "steps_on_the_loop", "in_a_process")


async def test_a_person_gets_the_error_and_the_log_the_traceback(
    xmpp: Server, tmp_path: Path
) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(RAISING, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        for task in TASKS:
            ann.say(account.jid, f"{task} feather")
            text = await ann.hear("failed")
            assert text.body.partition(" failed: ")[2] == "ValueError: no such weight: feather"
        await bot.logged(r"Traceback (?s:.*)raise reason\(word\)")
        assert bot.log.count("ValueError: no such weight: feather") >= len(TASKS)
        for task in TASKS:
            ann.say(account.jid, f"{task} empty")
            assert (await ann.hear("failed")).body.endswith(" failed: ValueError")
        await ann.ask(account.jid, "wrong_type", "^wrong_type .* failed: ")
        await ann.ask(account.jid, "hard_exit", r"failed: the process .* died \(exit code 7\)$")
        assert not [body for body in ann.bodies if "Traceback" in body or "File " in body]
        await ann.ask(account.jid, "status", "^0 of 8 running")


@pytest.mark.parametrize("word", ["exit", "base", "stop"])
async def test_what_is_no_ordinary_error_ends_the_job_and_nothing_else(
    xmpp: Server, tmp_path: Path, word: str
) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(RAISING, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        for task in TASKS:
            await ann.ask(account.jid, f"{task} {word}", f"^{task} .* (failed: |is done)")
        await ann.ask(account.jid, "status", "^0 of 8 running")
        bot.send(signal.SIGTERM)
        assert await bot.ended() == 0


STUBBORN = """
    import asyncio, os, signal, threading, time
    from jabot import Node

    node = Node(allow={"*@localhost": "*"}, manage=["*@localhost"], concurrency=4, drain_limit=0.1)

    @node.task
    def block():
        threading.Event().wait()

    @node.task
    async def swallow():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("no!", flush=True)

    @node.task(process=True)
    def ignore():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("process", os.getpid(), flush=True)
        while True:
            time.sleep(1)
"""


async def test_what_does_not_stop_is_given_up_and_keeps_nobody(
    xmpp: Server, tmp_path: Path
) -> None:
    """Five seconds' grace for all three at once; then the node leaves in spite of them."""
    account = xmpp.fresh_user("bot")
    async with node_program(STUBBORN, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        await ann.greet(account.jid)
        for task in ("block", "swallow", "ignore"):
            await ann.ask(account.jid, task, "^Scheduled")
        child = psutil.Process(int(await bot.printed(r"process (\d+)")))
        for task in ("block", "swallow", "ignore"):
            await ann.ask(account.jid, f"cancel {task}", f"^Cancelling {task}")
        await ann.ask(account.jid, "jobs", "block .*: stopping.*swallow .*: stopping")
        await ann.hear("^block .* was cancelled; it does not stop yet.$")
        await ann.hear("^swallow .* was cancelled; it does not stop yet.$")
        await ann.hear("^ignore .* was cancelled.$")  # a process can be killed
        assert not child.is_running()
        # The two keep their slots, so that there are never more of them than that.
        await ann.ask(account.jid, "status", "^2 of 4 running")
        bot.send(signal.SIGTERM)
        await ann.see(account.jid, type="unavailable", status="jabot down")
        assert await bot.ended() == 0
        assert re.search("WARNING .*left .*behind", bot.log)


async def test_a_node_leaves_in_spite_of_jobs_that_nobody_cancelled(
    xmpp: Server, tmp_path: Path
) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(STUBBORN, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        await ann.greet(account.jid)
        for task in ("block", "swallow"):
            await ann.ask(account.jid, task, "^Scheduled")
        bot.send(signal.SIGTERM)
        for task in ("block", "swallow"):
            await ann.hear(
                f"^{task} .* was cancelled: the node is stopping; it does not stop yet.$"
            )
        await ann.see(account.jid, type="unavailable", status="jabot down")
        assert await bot.ended() == 0


async def test_a_coroutine_that_never_ends_is_cancelled(
    xmpp: Server, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(allow={"*": "*"})
    cleaned_up = asyncio.Event()

    @node.task
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()

    caplog.set_level(logging.ERROR, "jabot")
    async with serving(node, xmpp) as bot, signed_in(xmpp) as ann:
        await ann.ask(bot.jid, "wait", "^Scheduled")
        await ann.ask(bot.jid, "status", "^1 of 8 running")
        await ann.ask(bot.jid, "cancel wait", "^Cancelling wait")
        await ann.hear("^wait .* was cancelled.$")
        assert cleaned_up.is_set()
        await ann.ask(bot.jid, "status", "^0 of 8 running")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


SLEEPING = """
    import os, subprocess, time
    from jabot import Node

    node = Node(allow={"*@localhost": "*"}, drain_limit=0.1)

    @node.task(process=True)
    def sleep(seconds: float = 3600) -> str:
        helper = subprocess.Popen(["sleep", str(seconds)])
        print("process", os.getpid(), flush=True)
        helper.wait()
        return "slept"
"""


async def test_a_process_that_is_killed_from_outside_fails_its_job_only(
    xmpp: Server, tmp_path: Path
) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(SLEEPING, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        await ann.ask(account.jid, "sleep", "^Scheduled")
        child = psutil.Process(int(await bot.printed(r"process (\d+)")))
        started = child.children()
        assert len(started) == 1
        child.kill()
        await ann.hear(r"^sleep .* failed: the process of sleep died \(signal SIGKILL\)$")
        assert await all_ended(started)
        await ann.ask(account.jid, "sleep 0.1", "is done: slept$")


async def test_with_a_node_that_is_killed_end_its_processes(xmpp: Server, tmp_path: Path) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(SLEEPING, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        await ann.greet(account.jid)
        await ann.ask(account.jid, "sleep", "^Scheduled")
        child = psutil.Process(int(await bot.printed(r"process (\d+)")))
        family = [child, *child.children()]
        assert len(family) == 2
        bot.send(signal.SIGKILL)
        assert await bot.ended() == -signal.SIGKILL
        assert await all_ended(family)
        await ann.see(account.jid, type="unavailable")
