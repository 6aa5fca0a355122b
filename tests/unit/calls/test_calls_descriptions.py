"""Descriptions of tasks that are asked for, once a version."""

import asyncio
import gc

import pytest
from msgspec import Raw

from jabot.errors import NotAllowed, WorkerLost
from jabot.protocol.frames import Describe, Description
from unit.calling import NODE, POOL
from unit.clock import turns
from unit.linked import BOT, OTHER


async def test_descriptions_are_kept_by_their_version(caller):
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "lift"))
    again = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "lift"))
    await turns()
    caller.see(BOT, node=NODE)
    await caller.clock.advance(0.4)
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Describe("lift")])
    caller.answer(BOT, number)
    text = b'{"lift":{"doc":"d","args":{},"result":{},"new":1}}'
    caller.say(BOT, Description("lift", "v", Raw(text)))
    assert (await asking)["lift"].doc == "d"
    assert (await again)["lift"].doc == "d"
    assert (await caller.calls.descriptions.at(POOL, "lift"))["lift"].doc == "d"
    assert caller.batches() == []
    caller.see(BOT, node=NODE | {"version": "w"})
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "lift"))
    await caller.clock.advance(0.4)
    assert len(caller.batches()) == 1
    caller.see(BOT, "unavailable")
    with pytest.raises(WorkerLost):
        await asking


async def test_a_question_that_was_given_up_fails_in_silence(caller):
    asking = asyncio.ensure_future(caller.calls.descriptions.of_node(BOT))
    await turns()
    asking.cancel()
    await turns()
    caller.see(BOT, "unavailable")
    await turns()
    gc.collect()  # a future that nobody awaits complains when it goes


async def test_a_question_is_asked_again_after_a_break(caller, caplog):
    caller.calls.directory.watch(BOT)
    asking = asyncio.ensure_future(caller.calls.descriptions.of_node(BOT, "lift"))
    await turns()
    assert [frames for _, frames, _ in caller.batches()] == [[Describe("lift")]]
    caller.drop()
    also = asyncio.ensure_future(caller.calls.descriptions.of_node(BOT))  # while it is away
    await turns()
    caller.back()
    await turns()
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Describe("lift"), Describe(None)])
    caller.answer(BOT, number, "forbidden")
    for refused in (asking, also):
        with pytest.raises(NotAllowed):
            await refused
    caller.see(BOT, node=NODE)
    caller.say(BOT, Description("lift", "v", Raw(b"{}")))
    assert "a description that nobody asked for" in caplog.text


async def test_a_pool_of_two_versions_is_described_as_a_whole(caller):
    """Each version is asked once. Where both have a task, any of them may tell of it."""
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, None))
    await turns()
    third = "bot@localhost/host-3"
    caller.see(BOT, node=NODE | {"version": "old", "tasks": "lift"})
    caller.see(third, node=NODE | {"version": "old", "tasks": "lift"})
    caller.see(OTHER, node=NODE | {"version": "new", "tasks": "lift weigh"})
    described = {"old": ["lift"], "new": ["lift", "weigh"]}
    asked = []
    for _ in described:
        await caller.clock.advance(0.4)
        ((peer, frames, number),) = caller.batches()
        assert frames == [Describe(None)]
        version = "new" if peer == OTHER else "old"
        asked.append(version)
        tasks = ",".join(
            f'"{name}":{{"doc":"{version}","args":{{}},"result":{{}}}}'
            for name in described[version]
        )
        caller.answer(peer, number)
        caller.say(peer, Description(None, version, Raw(f"{{{tasks}}}".encode())))
    found = await asking
    assert sorted(asked) == ["new", "old"]
    assert sorted(found) == ["lift", "weigh"]
    assert found["lift"].doc in described
    # A task that one version alone has is asked for there.
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "weigh"))
    await caller.clock.advance(0.4)
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (OTHER, [Describe("weigh")])
    caller.answer(peer, number)
    text = b'{"weigh":{"doc":"d","args":{},"result":{}}}'
    caller.say(peer, Description("weigh", "new", Raw(text)))
    assert (await asking)["weigh"].doc == "d"
