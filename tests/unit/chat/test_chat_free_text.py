"""What is no command goes to the node's own function."""

import asyncio
import logging
import threading

import pytest

from jabot import Message
from jabot.chat import texts
from jabot.errors import BadArguments
from jabot.hooks import text_handler
from unit.clock import turns
from unit.fakes import ALICE, EVE, Room, finish, lift


def talkative(function):
    room = Room(on_message=text_handler(function))
    room.task(lift)
    return room


async def test_free_text_goes_to_the_nodes_own_function(clock):
    heard = []

    async def on_message(message):
        heard.append(message)
        return f"You said: {message.text}"

    room = talkative(on_message)
    room.hear("it's a “fine” día — no?")
    room.hear("lfit")
    await turns()
    assert heard == [Message(ALICE, "it's a “fine” día — no?"), Message(ALICE, "lfit")]
    assert room.mouth.said() == ["You said: it's a “fine” día — no?", "You said: lfit"]


async def test_a_plain_function_runs_in_a_thread(clock):
    threads = []

    def on_message(message):
        threads.append(threading.current_thread())
        return 42

    room = talkative(on_message)
    room.hear("hello")
    while not room.mouth.texts:
        await asyncio.sleep(0)
    assert room.mouth.said() == ["42"]
    assert threads != [threading.main_thread()]


@pytest.mark.parametrize("answer", [None, ""])
async def test_a_function_may_say_nothing(clock, answer):
    async def on_message(message):
        return answer

    room = talkative(on_message)
    room.hear("hello")
    await turns()
    assert room.mouth.said() == []


@pytest.mark.parametrize("error", [ValueError("secret"), BadArguments("secret")])
async def test_a_function_that_raises_is_logged_and_said(clock, caplog, error):
    async def on_message(message):
        raise error

    room = talkative(on_message)
    with caplog.at_level(logging.ERROR, "jabot.chat"):
        room.hear("hello")
        await turns()
    assert room.mouth.said() == [texts.WENT_WRONG]
    assert "secret" in caplog.text


async def test_calls_of_the_function_are_bounded(clock):
    free, calls = asyncio.Event(), []

    async def on_message(message):
        calls.append(message)
        await free.wait()

    room = talkative(on_message)
    for n in range(20):
        room.hear(f"hello {n}")
    await turns()
    assert len(calls) == 8
    assert "still busy" in room.mouth.said()[-1]
    free.set()
    await turns()
    room.hear("hello again")
    await turns()
    assert len(calls) == 9


async def test_closing_gives_up_what_the_function_still_does(clock):
    gave_up = []

    async def on_message(message):
        try:
            await asyncio.Event().wait()
        finally:
            gave_up.append(message.text)

    room = talkative(on_message)
    room.hear("hello")
    await turns()
    room.obeying.close()
    await turns()
    assert (gave_up, room.mouth.said()) == (["hello"], [])


async def test_commands_tasks_and_strangers_do_not_reach_the_function(clock):
    heard = []

    async def on_message(message):
        heard.append(message.text)

    room = talkative(on_message)
    for line, sender in (("status", ALICE), ("lift", ALICE), ("hello", EVE), ("lift x", ALICE)):
        room.hear(line, sender)
    room.hear("hello", delayed=True)
    room.hear("hello", automatic=True)
    await finish(room)
    assert heard == []
