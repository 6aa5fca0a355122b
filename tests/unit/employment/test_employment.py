"""Working for queues, over a made-up session: a node of it is found, kept to, and left."""

import base64
import itertools
import random

import pytest
from msgspec import Raw, structs

from jabot.protocol import limits
from jabot.protocol.frames import Heartbeat, Hello, Part, Rejected, Submit, Succeeded
from unit.clock import turns
from unit.employed import ANN, HELLO, ONE, QUEUE, TWO, submit

# -- finding a node ----------------------------------------------------------------------------


async def test_it_greets_the_queue_and_says_hello_to_one_of_its_nodes(scene):
    assert scene.greetings() == [QUEUE]
    scene.shows(TWO)
    await scene.clock.advance(0.05)
    scene.shows(ONE)
    assert await scene.hear() == []  # not to the quickest one
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]
    assert scene.choices == [[ONE, TWO]]


async def test_only_nodes_of_a_queue_are_worked_for(scene):
    scene.see(ONE, node={"tasks": "hold", "slots": "8"})  # a worker of the same account
    await scene.clock.advance(3)
    assert await scene.hear() == []
    scene.shows(TWO)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(TWO, HELLO)]


async def test_a_queue_that_is_not_there_is_looked_for(scene, caplog):
    times = []
    for _ in range(300):
        await scene.clock.advance(0.1)
        times += [round(scene.clock.now - 1000, 1)] * len(scene.greetings())
    gaps = [round(b - a, 1) for a, b in itertools.pairwise(times)]
    assert gaps[:3] == [pytest.approx(seconds, abs=0.1) for seconds in (1, 2, 4)]
    assert set(gaps[3:]) == {5.0}
    assert caplog.text.count(f"nobody at {QUEUE} answers") == 1
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]


async def test_a_queue_that_does_not_take_us_is_asked_again(scene, caplog):
    scene.see(QUEUE, "error", condition="forbidden")
    await scene.clock.advance(3)
    assert f"{QUEUE} does not allow" in caplog.text
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]


async def test_when_its_node_goes_it_goes_to_another_one_at_once(working):
    working.see(ONE, "unavailable")
    assert await working.hear() == [(TWO, HELLO)]
    working.see(TWO, "unavailable")
    assert await working.hear() == []
    working.greetings()
    await working.clock.advance(0.6)
    assert working.greetings() == [QUEUE]
    working.shows(ONE)
    assert await working.hear() == [(ONE, HELLO)]


async def test_an_address_that_nobody_has_is_left(scene):
    scene.shows(ONE, TWO)
    await scene.clock.advance(0.2)
    ((peer, _, number),) = scene.take()
    scene.answer(peer, number, "service-unavailable")
    assert await scene.hear() == [(TWO, HELLO)]


@pytest.mark.parametrize("how", ["forbidden", "resource-constraint", "rejected"])
async def test_a_node_that_refuses(scene, how):
    async def refuse():
        await turns()
        ((peer, frames, number),) = scene.batches()
        assert frames == [HELLO]
        if how == "rejected":
            scene.answer(peer, number)
            scene.say(peer, Rejected("hello", 0, "not_allowed", "you may not"))
        else:
            scene.answer(peer, number, how)
        await turns()
        return peer

    scene.shows(ONE, TWO)
    await scene.clock.advance(0.2)
    assert await refuse() == ONE
    assert await refuse() == TWO  # at once
    now, gaps = scene.clock.now, []
    for _ in range(6):
        while not any(stanza.get("type") == "set" for stanza in scene.session.stanzas):
            await scene.clock.advance(0.1)
        gaps.append(scene.clock.now - now)
        now = scene.clock.now
        await refuse()
    assert max(gaps) <= 5.1
    assert gaps[-1] > 1
    while not (heard := await scene.hear()):
        await scene.clock.advance(0.1)
    assert heard[0][1] == HELLO  # it never gives up


async def test_what_a_refusal_says_is_logged_once(scene, caplog):
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    for _ in range(40):
        for peer, frame in await scene.hear():
            assert isinstance(frame, Hello)
            scene.say(peer, Rejected("hello", 0, "not_allowed", "you may not work here"))
        await scene.clock.advance(0.5)
    assert caplog.text.count("you may not work here") == 1


# -- signs of life -----------------------------------------------------------------------------


async def test_heartbeats_name_what_it_has(working):
    await working.clock.advance(4.9)
    assert await working.hear() == [(ONE, Heartbeat([]))]
    await working.gives(ONE, submit("a"), submit("b", attempt=3))
    await working.clock.advance(5)
    assert await working.hear() == [(ONE, Heartbeat([("a", 1), ("b", 3)]))]


async def test_heartbeats_are_as_frequent_as_the_lease_wants(scene):
    scene.shows(ONE, lease="3")
    await scene.clock.advance(0.2)
    await scene.hear()
    beats = 0
    for _ in range(10):
        await scene.clock.advance(1)
        beats += len(await scene.hear())
    assert beats == 10


async def test_only_the_queues_jobs_are_named(working):
    await working.gives(ANN, Submit("mine", "hold"))
    await working.gives(ONE, submit("a"))
    await working.clock.advance(5)
    heard = await working.hear()
    assert [frame for _, frame in heard if isinstance(frame, Heartbeat)] == [Heartbeat([("a", 1)])]


async def test_a_heartbeat_does_not_wait_behind_a_large_result(working):
    await working.gives(ONE, submit("a"))
    noise = base64.b64encode(random.Random(1).randbytes(2_000_000)).decode()
    working.ends("a", noise)
    await turns()
    sent = working.batches()
    assert len(sent) == limits.WINDOW
    await working.clock.advance(5)
    assert working.batches() == []  # the window is full
    working.answer(ONE, sent[0][2])
    await turns()
    ((_, frames, _),) = working.batches()
    assert frames[0] == Heartbeat([("a", 1)])
    assert isinstance(frames[1], Part)


async def test_a_node_that_is_silent_is_left_for_another_one(working, caplog):
    await working.gives(ONE, submit("a"))
    for _ in range(2):
        await working.clock.advance(5)
        heard = await working.hear(but=[ONE])
    assert (TWO, structs.replace(HELLO, held=[("a", 1)])) in heard
    assert "has taken nothing" in caplog.text


async def test_the_only_node_is_not_left_for_its_silence(scene):
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    await scene.hear()
    for _ in range(10):
        await scene.clock.advance(5)
        heard = await scene.hear(but=[ONE])
        assert all(isinstance(frame, Heartbeat) for _, frame in heard)


# -- what it holds, when it changes nodes ------------------------------------------------------


async def test_the_next_node_hears_what_it_has_and_then_the_outcomes(working):
    await working.gives(ONE, submit("runs"), submit("ended", attempt=2))
    working.ends("ended")
    outcome = Succeeded("ended", 2, Raw(b'"done"'))
    assert await working.hear(but=[ONE]) == [(ONE, outcome)]
    working.see(ONE, "unavailable")
    heard = await working.hear()
    hello = structs.replace(HELLO, held=[("runs", 1), ("ended", 2)])
    assert heard == [(TWO, hello), (TWO, outcome)]
    working.shows(ONE)
    working.ends("runs")
    assert await working.hear() == [(TWO, Succeeded("runs", 1, Raw(b'"done"')))]  # and to no other
    working.see(TWO, "unavailable")
    assert await working.hear() == [(ONE, HELLO)]


async def test_what_ended_while_nobody_was_there(scene):
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    await scene.hear()
    await scene.gives(ONE, submit("a"))
    scene.see(ONE, "unavailable")
    scene.ends("a")
    assert await scene.hear() == []
    scene.shows(TWO)
    (hello, outcome) = await scene.hear()
    assert (hello[0], hello[1].held) == (TWO, [("a", 1)])
    assert outcome == (TWO, Succeeded("a", 1, Raw(b'"done"')))


async def test_after_a_reconnect_the_same_node_hears_of_it_at_once(working):
    await working.gives(ONE, submit("runs"), submit("ended"))
    working.drop()
    working.ends("ended")
    await turns()
    working.greetings()
    working.back()
    heard = await working.hear()
    assert working.greetings() == [QUEUE]
    assert [peer for peer, _ in heard] == [ONE, ONE]
    assert heard[0][1].held == [("runs", 1), ("ended", 1)]
    assert heard[1][1] == Succeeded("ended", 1, Raw(b'"done"'))


async def test_after_a_reconnect_the_node_may_be_another_one(working):
    await working.gives(ONE, submit("runs"))
    working.drop()
    working.back()
    await turns()
    ((peer, _, number),) = working.batches()
    assert peer == ONE
    working.answer(peer, number, "service-unavailable")
    working.shows(TWO)
    ((peer, hello),) = await working.hear()
    assert (peer, hello.held) == (TWO, [("runs", 1)])


async def test_an_old_hello_is_never_said_again(working):
    """A queue takes what a hello does not name for lost."""
    working.see(ONE, "unavailable")
    assert await working.hear(answer=False) == [(TWO, HELLO)]
    await working.gives(TWO, submit("a"))
    hellos = []
    for _ in range(8):
        await working.clock.advance(5)
        heard = await working.hear(but=[TWO])
        hellos += [frame.held for _, frame in heard if isinstance(frame, Hello)]
    assert hellos == [[("a", 1)]]
