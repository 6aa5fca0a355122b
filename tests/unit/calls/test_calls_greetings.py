"""Who is greeted and how often, and what an answer means."""

import asyncio
import itertools

import pytest
from msgspec import Raw

from jabot.errors import NobodyThere, NotAllowed
from jabot.protocol.frames import Succeeded
from unit.calling import NODE, POOL, taken
from unit.clock import turns
from unit.linked import BOT, OTHER


async def test_greetings_grow_rarer_until_somebody_answers(caller, clock):
    submitting = caller.submit(wait=True)
    await turns()
    began, at = clock.now, []
    for _ in range(1200):
        at += [round(clock.now - began, 1) for _ in caller.greetings()]
        await clock.advance(0.1)
    assert at[0] == 0
    pauses = [round(b - a) for a, b in itertools.pairwise(at)]
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert set(pauses[5:]) == {30}
    caller.see(BOT, node=NODE)
    assert len(await caller.offered()) == 1
    await submitting


async def test_nobody_answers(caller, clock):
    submitting = caller.submit()
    await clock.advance(1.9)
    assert not submitting.done()
    await clock.advance(0.2)
    with pytest.raises(NobodyThere, match=f"{POOL}"):
        await submitting
    assert len(caller.calls) == 0


async def test_a_refusal_ends_it_at_once_also_when_it_would_wait(caller):
    for wait in (False, True):
        submitting = caller.submit(wait=wait)
        await turns()
        caller.see(BOT, "error", condition="forbidden")
        await turns()
        with pytest.raises(NotAllowed):
            await submitting


async def test_a_refusal_counts_for_the_account_when_the_node_was_greeted_by_itself_before(caller):
    caller.calls.directory.watch(BOT)
    submitting = caller.submit()
    await turns()
    caller.see(BOT, "error", condition="forbidden")
    with pytest.raises(NotAllowed, match=f"^{POOL} does not allow"):
        await submitting


async def test_a_node_that_too_many_have_greeted(caller, clock):
    """The caller learns why nobody is there; with `wait` it greets on until there is room."""
    submitting, waiting = caller.submit(), caller.submit(wait=True)
    await turns()
    caller.see(BOT, "error", condition="resource-constraint")
    await clock.advance(0.2)
    with pytest.raises(NobodyThere, match="too many of them have greeted it"):
        await submitting
    caller.see(BOT, node=NODE)
    assert len(await caller.offered()) == 1
    await waiting


async def test_an_address_without_a_server_is_told_in_words(caller):
    submitting = caller.submit(to="bot")
    await turns()
    caller.see("bot", "error", condition="remote-server-not-found")
    with pytest.raises(NobodyThere, match=r"no server for bot; an account is written name@domain"):
        await submitting


async def test_the_refusal_of_one_node_is_not_that_of_the_pool(caller):
    submitting = caller.submit()
    await turns()
    caller.see(BOT, node=NODE)
    caller.see(OTHER, "error", condition="forbidden")
    ((peer, _),) = await caller.offered()
    assert peer == BOT
    await submitting


async def test_the_first_that_answers_does_not_get_all(caller, clock):
    submitting = [caller.submit() for _ in range(16)]
    await turns()
    caller.see(BOT, node=NODE)
    first = await caller.offered()
    assert [peer for peer, _ in first] == 4 * [BOT]  # its slots
    caller.see(OTHER, node=NODE | {"slots": "8"})
    await clock.advance(0.2)
    peers = [peer for peer, _ in first + await caller.offered()]
    assert 4 <= peers.count(BOT) <= 6
    assert len(peers) == 16
    await asyncio.gather(*submitting)


async def test_a_pool_is_greeted_again_soon_when_one_of_it_left(caller, clock):
    await taken(caller)
    await clock.advance(5)
    caller.greetings()
    await clock.advance(20)
    assert caller.greetings() == []
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    assert caller.greetings() == [("hello", POOL)]


async def test_an_address_that_nobody_asks_for_is_left_alone(caller, clock):
    job, _ = await taken(caller)
    await clock.advance(400)  # the job is still out there
    assert caller.greetings()
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    await clock.advance(400)
    # Not even a farewell: whoever has given *us* jobs would take us for gone.
    assert {kind for kind, _ in caller.greetings()} <= {"hello"}
    await clock.advance(400)
    assert caller.greetings() == []


async def test_a_pool_whose_first_answer_does_not_offer_the_task_is_waited_for(caller):
    submitting = caller.submit(task="rare")
    await turns()
    caller.see(BOT, node=NODE)
    assert await caller.offered() == []
    caller.see(OTHER, node=NODE | {"tasks": "rare"})
    ((peer, frame),) = await caller.offered()
    assert peer == OTHER
    await submitting
    caller.say(OTHER, Succeeded(frame.id, 1, Raw(b"7")))


async def test_who_has_jobs_of_ours_is_greeted_when_it_is_back_however_old_they_are(caller, clock):
    await taken(caller)
    await clock.advance(400.0)
    caller.drop()
    caller.back()
    await clock.advance(0.5)
    caller.greetings()
    await clock.advance(5.0)
    assert ("hello", POOL) in caller.greetings()
