"""Stopping a node's process: once in good order, twice at once."""

import signal
from pathlib import Path

import pytest

from chatting import node_program, signed_in
from servers import Server

LIFTING = """
    import asyncio
    from pathlib import Path
    from jabot import Node

    node = Node(allow={"*@localhost": "*"}, drain_limit=60)

    @node.task(done="Done lifting")
    async def lift():
        while not Path("let go").exists():
            await asyncio.sleep(0.02)

    @node.on_stop
    def tidy_up():
        print("tidied up", flush=True)
"""

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])


@BOTH
async def test_the_first_signal_lets_jobs_finish(
    xmpp: Server, tmp_path: Path, number: signal.Signals
) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(LIFTING, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        full = (await ann.greet(account.jid)).sender
        await ann.ask(account.jid, "lift", "^Scheduled")
        bot.send(number)
        await bot.logged("stopping; jobs to finish: 1")
        await ann.ask(full, "status", "^1 of 8 running, stopping")
        await ann.ask(full, "lift", "^I am stopping and take no new jobs.$")
        (tmp_path / "let go").touch()
        await ann.hear("^Done lifting$")
        await ann.see(full, show="away", status="jabot down")
        await ann.see(full, type="unavailable", status="jabot down")
        assert await bot.ended() == 0
        assert bot.out == "tidied up\n"


@BOTH
async def test_the_second_signal_leaves_at_once(
    xmpp: Server, tmp_path: Path, number: signal.Signals
) -> None:
    account = xmpp.fresh_user("bot")
    async with node_program(LIFTING, tmp_path, xmpp, account) as bot, signed_in(xmpp) as ann:
        full = (await ann.greet(account.jid)).sender
        await ann.ask(account.jid, "lift", "^Scheduled")
        bot.send(number)
        await bot.logged("stopping; jobs to finish: 1")
        bot.send(number)
        assert await bot.ended() == 128 + number
        assert f"{number.name} again: leaving now" in bot.log
        assert "Traceback" not in bot.log
        await ann.see(full, type="unavailable")
        assert "Done lifting" not in ann.bodies


@BOTH
async def test_a_signal_before_the_node_is_online_ends_it(
    own_xmpp: Server, tmp_path: Path, number: signal.Signals
) -> None:
    account = own_xmpp.fresh_user("bot")
    async with node_program(LIFTING, tmp_path, own_xmpp, account) as bot:
        own_xmpp.kill()
        await bot.logged("trying again in")
        bot.send(number)
        assert await bot.ended() == 0
        assert bot.out == "tidied up\n"
        assert "Traceback" not in bot.log
