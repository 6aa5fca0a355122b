"""What a node does by itself: hooks, timers, texts to whom it pleases."""

import asyncio
import contextlib
import logging
import threading
from datetime import datetime

import pytest

from chatting import LIMIT, Person, jabot_account, serving, signed_in, soon
from jabot import ConfigError, JabotError, Node
from jabot.chat import Message
from servers import Server


async def test_start_and_stop_are_called_around_everything_else(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"}, drain_limit=LIMIT)
    calls: list[str] = []
    go_on = asyncio.Event()

    @node.on_start
    async def begin() -> None:
        calls.append("start")

    @node.on_start
    def begin_in_a_thread() -> None:
        assert threading.current_thread() is not threading.main_thread()
        calls.append("start in a thread")

    @node.on_stop
    async def stumble() -> None:
        calls.append("stop")
        node.deliver(ann.boundjid.bare, "I am going")
        raise RuntimeError("a hook that raises keeps nobody")

    @node.on_stop
    def end_in_a_thread() -> None:
        calls.append("stop in a thread")

    @node.task
    async def lift() -> None:
        await go_on.wait()
        calls.append("lifted")

    async with serving(node, xmpp) as bot:
        await ann.greet(bot.jid)
        await ann.ask(bot.jid, "lift", "Scheduled")
        node.stop()
        go_on.set()
        await ann.see(bot.full, type="unavailable", status="jabot down")
        await bot.left()
    assert calls == ["start", "start in a thread", "lifted", "stop", "stop in a thread"]
    assert ann.bodies[-1] == "I am going"


@pytest.mark.also_prosody
async def test_a_node_can_be_served_again(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})
    account = xmpp.fresh_user("bot")
    for _ in range(2):
        async with serving(node, xmpp, account) as bot:
            with pytest.raises(ConfigError, match="served already"):
                await node.serve(jabot_account(xmpp, account))
            await ann.ask(bot.jid, "status", "running")


async def test_free_text_goes_to_the_handler(
    xmpp: Server, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})

    @node.task
    async def lift() -> str:
        return "up"

    @node.on_message
    async def answer(message: Message) -> str | None:
        if "secret" in message.text:
            raise KeyError("the safe")
        return None if message.text == "shh" else f"{message.sender}: {message.text!r}"

    async with serving(node, xmpp) as bot:
        await ann.ask(bot.jid, "Good  day", f"^{ann.boundjid.full}: 'Good  day'$")
        await ann.ask(bot.jid, "it's \"unbalanced", "unbalanced'$")
        await ann.ask(bot.jid, "the secret?", "^That went wrong; my log says why.$")
        assert "KeyError: 'the safe'" in caplog.text
        ann.say(bot.jid, "shh")
        await ann.ask(bot.jid, "lift", "is done: up$")
        await ann.ask(bot.jid, "status", "running")
        assert len(ann.bodies) == 6


async def test_a_handler_that_takes_its_time_holds_nobody_up(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})
    go_on = threading.Event()

    @node.on_message
    def think(message: Message) -> str:
        assert go_on.wait(LIMIT)
        return f"about {message.text}"

    async with serving(node, xmpp) as bot:
        ann.say(bot.jid, "life")
        await ann.ask(bot.jid, "status", "running")
        go_on.set()
        await ann.hear("^about life$")


@pytest.mark.also_prosody
async def test_deliver_reaches_people_now_or_later(xmpp: Server, ann: Person) -> None:
    node = Node()
    with pytest.raises(JabotError, match="not being served"):
        node.deliver(ann.boundjid.bare, "too early")
    later = xmpp.fresh_user("later")
    async with serving(node, xmpp):
        node.deliver(ann.boundjid.bare, "now")
        node.deliver(ann.boundjid, "here")
        node.deliver(later.jid, "when you come")
        with pytest.raises(ConfigError, match="not an address"):
            node.deliver("a@b@c", "nowhere")
        await ann.hear("^now$")
        await ann.hear("^here$")
    async with signed_in(xmpp, later) as person:
        assert (await person.hear("^when you come$")).delayed


async def test_timers_tick_from_the_start_to_the_stop(
    xmpp: Server, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})
    ticks: list[str] = []
    enough = asyncio.Event()

    @node.every(0.02)
    async def tick() -> None:
        ticks.append("tick")
        if len(ticks) == 3:
            enough.set()
            raise RuntimeError("one tick in three goes wrong")
        if len(ticks) == 6:
            tick.cancel()

    @node.every("50ms")
    def tell() -> None:
        told.set()

    told = threading.Event()

    async with serving(node, xmpp) as bot:
        async with asyncio.timeout(LIMIT):
            await enough.wait()
            await asyncio.to_thread(told.wait, LIMIT)
            while len(ticks) < 6:
                await asyncio.sleep(0.01)
        told.clear()
        await asyncio.to_thread(told.wait, LIMIT)
        assert len(ticks) == 6  # it was cancelled; the other one went on
        await ann.ask(bot.jid, "status", "^0 of 8 running")  # a tick is no job
    assert "one tick in three goes wrong" in caplog.text
    told.clear()
    with contextlib.suppress(TimeoutError):
        await soon(asyncio.to_thread(told.wait, 0.15))
    assert not told.is_set()


async def test_cron_lines_are_kept(xmpp: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    node = Node()
    ticked: asyncio.Queue[datetime] = asyncio.Queue()

    @node.cron("* * * * * *")  # with six fields, the last one: each second
    async def tick() -> None:
        ticked.put_nowait(datetime.now())

    with pytest.raises(ConfigError):
        node.cron("each now and then")
    async with serving(node, xmpp), asyncio.timeout(LIMIT):
        first, second = await ticked.get(), await ticked.get()
    assert second.replace(microsecond=0) > first.replace(microsecond=0)
