"""What a person sees of a job that runs: typing, and a text that is corrected."""

import asyncio
import itertools

import pytest

from jabot import JID, Context
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT
from unit.fakes import ALICE, BOB, MODERN, finish


async def test_progress_is_one_message_that_is_corrected(room):
    room.mouth.can[ALICE] = MODERN
    room.hear("lift 3")
    [job] = room.runner.jobs
    await finish(room)
    await asyncio.sleep(2)
    scheduled, typing, first, *corrections, end, last = room.mouth.everything
    assert scheduled.body.startswith("Scheduled")
    assert next(child.tag for child in typing).endswith("composing")
    name = f"lift {job.short_id}"
    assert first.body == f"{name}: 1 of 3 (33%)"
    assert first.replaces is None
    assert [c.body for c in corrections] == [f"{name}: 2 of 3 (67%)"]
    assert all(c.replaces == first.id and c.id != first.id for c in corrections)
    assert (last.body, last.replaces) == (f"{name}: 3 of 3 (100%)", first.id)
    assert last.chat_state is None  # it does not type any more
    assert end.body == f"{name} is done: Lifted 3"
    assert (end.replaces, end.chat_state) == (None, "active")
    assert all(m.automatic for m in (first, *corrections, end))


async def test_corrections_come_at_most_once_a_second_with_the_last_step(room, clock):
    room.mouth.can[ALICE] = MODERN
    times = []

    async def fast(*, ctx: Context):
        for n in range(1000):
            await asyncio.sleep(0.01)
            ctx.progress(n)

    send = room.mouth.send

    def timed(element):
        if element.find("{jabber:client}body") is not None:
            times.append((clock.now, element.findtext("{jabber:client}body")))
        return send(element)

    room.mouth.send = timed
    room.task(fast)
    room.hear("fast")
    await finish(room)
    assert 9 <= len(times) <= 11
    pauses = [b[0] - a[0] for a, b in itertools.pairwise(times)]
    assert min(pauses) >= 0.999
    shown = [int(text.rpartition(" ")[2]) for _, text in times]
    started = times[0][0] - 0.3
    for (when, _), step in zip(times, shown, strict=True):
        assert abs((when - started) * 100 - step) <= 2  # the newest of that moment


@pytest.mark.parametrize("features", [set(), {"urn:example:other"}])
async def test_a_program_that_shows_neither_gets_neither(room, features):
    room.mouth.can[ALICE] = features
    room.hear("lift 5")
    await finish(room)
    assert room.mouth.lossy == []
    assert [t.chat_state for t in room.mouth.texts] == [None, None]
    assert all(t.replaces is None for t in room.mouth.texts)


async def test_typing_only_and_corrections_only(room):
    room.mouth.can = {ALICE: {CHAT_STATES}, BOB: {CORRECT}}
    room.hear("lift 3", ALICE)
    await finish(room)
    assert len(room.mouth.lossy) == 1
    assert room.mouth.lossy[0].find("{jabber:client}body") is None
    assert room.mouth.texts[-1].chat_state == "active"
    room.mouth.lossy.clear()
    room.hear("lift 3", BOB)
    await finish(room)
    await asyncio.sleep(2)
    assert len(room.mouth.lossy) == 3
    states = "{http://jabber.org/protocol/chatstates}composing"
    assert all(m.find(states) is None for m in room.mouth.lossy)
    assert room.mouth.texts[-1].chat_state is None


async def test_a_prompt_job_is_not_accompanied(room):
    room.mouth.can[ALICE] = MODERN

    async def prompt(*, ctx: Context):
        ctx.progress(1, 2)
        await asyncio.sleep(0.2)

    room.task(prompt)
    room.hear("prompt")
    await finish(room)
    await asyncio.sleep(10)
    assert (room.mouth.lossy, room.mouth.asked) == ([], [])


async def test_progress_from_before_anybody_looked_is_shown(room):
    room.mouth.can[ALICE] = MODERN

    async def early(*, ctx: Context):
        ctx.progress(text="begun")
        await asyncio.sleep(100)

    room.task(early)
    room.hear("early")
    await finish(room)
    [_, progress] = room.mouth.lossy
    assert progress.findtext("{jabber:client}body").endswith(": begun")


async def test_typing_lasts_until_the_last_of_a_persons_jobs_is_done(room):
    room.mouth.can[ALICE] = MODERN
    room.hear("lift 2")
    room.hear("lift 5")
    await finish(room)
    ends = [text for text in room.mouth.texts if "is done" in text.body]
    assert [text.chat_state for text in ends] == ["composing", "active"]


async def test_when_a_text_comes_back_its_person_gets_no_more_progress(room):
    room.mouth.can[ALICE] = MODERN
    room.hear("lift 9")
    await asyncio.sleep(2.5)
    before = len(room.mouth.lossy)
    assert before > 1
    room.hear("lift 9", type="error")
    await finish(room)
    assert len(room.mouth.lossy) == before
    assert "is done" in room.mouth.texts[-1].body


async def test_after_the_end_only_the_last_step_is_shown(room):
    room.mouth.can[ALICE] = MODERN

    async def ends_just_after_a_step(*, ctx: Context):
        await asyncio.sleep(1)
        ctx.progress(1, 3)
        await asyncio.sleep(0.1)
        ctx.progress(2, 3)  # waits for its second
        raise ValueError("no")

    room.task(ends_just_after_a_step, name="task")
    room.hear("task")
    await finish(room)
    before = list(room.mouth.everything)
    assert "failed" in before[-1].body
    await asyncio.sleep(10)
    (last,) = room.mouth.everything[len(before) :]
    assert last.body.endswith("2 of 3 (67%)")
    assert last.replaces is not None


async def test_a_progress_that_was_not_sent_is_not_corrected(room):
    room.mouth.can[ALICE] = MODERN
    room.mouth.connected = False
    room.hear("lift 5")
    await asyncio.sleep(2.5)
    room.mouth.connected = True
    await finish(room)
    first, *later = [m for m in room.mouth.lossy if m.find("{jabber:client}body") is not None]
    replace = "{urn:xmpp:message-correct:0}replace"
    assert first.find(replace) is None
    assert later
    assert all(m.find(replace).get("id") == first.get("id") for m in later)


async def test_who_has_no_resource_cannot_be_asked_what_they_show(room):
    room.hear("lift 2", JID("alice@localhost"))
    await finish(room)
    assert (room.mouth.asked, room.mouth.lossy) == ([], [])
    assert len(room.mouth.texts) == 2
