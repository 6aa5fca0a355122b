"""The link: what goes out together, in which order, and what becomes of what was not answered."""

import asyncio

import pytest

from jabot.errors import NotAllowed, RemoteProtocolError
from jabot.protocol import limits
from jabot.protocol.frames import Query, State, Submit
from unit.clock import turns
from unit.linked import BOT, OTHER, Wire


class End:
    """Notes what it is told, and may say something about what comes in."""

    def __init__(self):
        self.told, self.friends, self.wanted = [], {BOT, OTHER}, True
        self.say = lambda peer, frames: None

    def talks_with(self, peer, account):
        return peer in self.friends

    def received(self, peer, account, frames, now):
        self.told.append(("received", peer, account, len(frames)))
        return self.say(peer, frames)

    def answered(self, peer, frames, now):
        self.told.append(("answered", peer, len(frames)))

    def bounced(self, peer, frames, now):
        self.told.append(("bounced", peer, len(frames)))

    def refused(self, peer, frames, error, now):
        self.told.append(("refused", peer, len(frames), type(error), str(error)))

    def put_off(self, peer, frames, now):
        self.told.append(("put off", peer, len(frames)))

    def unanswered(self, peer, frames):
        self.told.append(("unanswered", peer, len(frames)))

    def wants(self, peer, frame):
        return self.wanted

    def peer_gone(self, peer, leftover, now):
        self.told.append(("gone", peer, len(leftover.unanswered), len(leftover.unsent)))

    def peer_here(self, peer, now):
        self.told.append(("here", peer))

    def offline(self, leftovers):
        self.told.append(("offline", sorted(leftovers)))

    def online(self, now):
        self.told.append(("online",))

    def take(self):
        told, self.told = self.told, []
        return told


@pytest.fixture
def end():
    return End()


@pytest.fixture
async def wire(clock, end):
    wire = Wire(end)
    yield wire
    wire.link.close()


def queries(count, begin=0):
    return [Query(f"j{number}") for number in range(begin, begin + count)]


async def push(wire, count, peer=BOT, begin=0):
    for frame in queries(count, begin):
        wire.link.push(peer, frame)
    await turns(2)


async def test_what_one_turn_brings_goes_together(wire):
    for frame in queries(3):
        wire.link.push(BOT, frame)
    assert wire.take() == []
    await turns(2)
    ((peer, frames, _),) = wire.take()
    assert (peer, frames) == (BOT, queries(3))


async def test_answers_come_behind_what_the_batch_made_us_say(wire, end):
    end.say = lambda peer, frames: wire.link.push(peer, State("j0", 1, "running"))
    assert wire.say(BOT, *queries(2))
    assert wire.say(OTHER, *queries(1))
    await turns(2)
    assert [entry[:2] for entry in wire.take()] == [
        (BOT, [State("j0", 1, "running")]),
        (OTHER, [State("j0", 1, "running")]),
        (BOT, ""),
        (OTHER, ""),
    ]
    assert end.take() == [
        ("received", BOT, "bot@localhost", 2),
        ("received", OTHER, "bot@localhost", 1),
    ]


async def test_an_answer_that_waits_for_a_promise(wire, end):
    first, second = promises = [asyncio.Future(), asyncio.Future()]
    end.say = lambda peer, frames: promises.pop(0) if peer == BOT else None
    wire.say(BOT, *queries(1))
    wire.say(BOT, *queries(1))
    wire.say(OTHER, *queries(1))
    await turns(2)
    assert wire.take() == [(OTHER, "")]  # nobody waits for another one's
    second.set_result(None)
    wire.link.push(BOT, State("j0", 1, "running"))
    await turns(3)
    told = [entry[:2] for entry in wire.take()]
    assert told == [(BOT, [State("j0", 1, "running")]), (BOT, "")]
    first.set_result(None)
    await turns(3)
    assert wire.take() == [(BOT, "")]


async def test_the_promises_of_two_ends(wire, end):
    other = End()
    wire.link.ends.append(other)
    first, second = asyncio.Future(), asyncio.Future()
    end.say, other.say = lambda *_: first, lambda *_: second
    wire.say(BOT, *queries(1))
    second.set_result(None)
    await turns(3)
    assert wire.take() == []
    first.set_result(None)
    await turns(3)
    assert wire.take() == [(BOT, "")]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "broken", [lambda promise: promise.set_exception(OSError("the disk")), asyncio.Future.cancel]
)
async def test_a_promise_that_cannot_be_kept(wire, end, which, broken):
    other = End()
    wire.link.ends.append(other)
    promises = [asyncio.Future(), asyncio.Future()]
    end.say, other.say = lambda *_: promises[0], lambda *_: promises[1]
    wire.say(BOT, *queries(1))
    broken(promises[which])
    await turns(3)
    assert wire.take() == []
    promises[1 - which].set_result(None)
    await turns(3)
    assert wire.take() == [(BOT, "resource-constraint")]


@pytest.mark.parametrize("back", [False, True])
async def test_a_promise_to_a_connection_that_is_gone(wire, end, back):
    promise = asyncio.Future()
    end.say = lambda peer, frames: promise
    wire.say(BOT, *queries(1))
    wire.drop()
    if back:
        wire.back()
    promise.set_result(None)
    await turns(3)
    assert wire.take() == []  # who did not hear says it again


async def test_the_window_and_the_pile(wire, end):
    for number in range(20):
        await push(wire, 1, begin=number)
    sent = wire.batches()
    assert len(sent) == limits.WINDOW
    wire.answer(BOT, sent[0][2])
    await turns(2)
    ((_, frames, last),) = wire.batches()  # all that had piled up
    assert frames == queries(12, begin=8)
    for _, _, number in [*sent[1:], (0, 0, last)]:
        wire.answer(BOT, number)
    assert sum(entry[2] for entry in end.take()) == 20
    assert await wire.link.drained(1)


async def test_late_and_foreign_answers_are_passed_over(wire, end):
    await push(wire, 1)
    ((_, _, number),) = wire.batches()
    wire.answer(OTHER, number)
    wire.answer(BOT, "jabot-999")
    assert end.take() == []
    wire.answer(BOT, number)
    wire.answer(BOT, number, "forbidden")
    assert end.take() == [("answered", BOT, 1)]


@pytest.mark.parametrize("condition", ["service-unavailable", "item-not-found", "gone"])
async def test_nobody_has_that_address(wire, end, condition):
    await push(wire, 2)
    ((_, _, number),) = wire.batches()
    wire.answer(BOT, number, condition)
    assert end.take() == [("bounced", BOT, 2)]


async def test_a_refused_batch(wire, end):
    for condition, kind, text in (
        ("forbidden", NotAllowed, f"{BOT} refuses: so it is"),
        ("bad-request", RemoteProtocolError, "bad-request (so it is)"),
    ):
        await push(wire, 2)
        ((_, _, number),) = wire.batches()
        wire.answer(BOT, number, condition)
        ((what, *_, error, said),) = end.take()
        assert (what, error) == ("refused", kind)
        assert text in said


async def test_too_much_for_the_peer_goes_again_later(wire, end, clock):
    await push(wire, 2)
    ((_, _, number),) = wire.batches()
    wire.answer(BOT, number, "resource-constraint")
    assert end.take() == [("put off", BOT, 2)]
    await clock.advance(2.9)
    assert wire.take() == []
    await clock.advance(0.2)
    ((_, frames, again),) = wire.batches()
    assert frames == queries(2)
    assert again != number
    assert end.take() == []  # nobody has to doubt whether they arrived
    wire.answer(BOT, again)
    assert end.take() == [("answered", BOT, 2)]


@pytest.mark.parametrize("how", ["gone", "offline"])
async def test_what_a_peer_gave_back_before_it_went_was_not_received(wire, end, how):
    leftovers = []
    end.peer_gone = lambda peer, leftover, now: leftovers.append(leftover)
    end.offline = lambda all_of_them: leftovers.extend(all_of_them.values())
    await push(wire, 2)
    await push(wire, 1, begin=2)
    (_, _, first), _ = wire.batches()
    wire.answer(BOT, first, "resource-constraint")
    if how == "gone":
        wire.see(BOT, "unavailable")
    else:
        wire.drop()
    (leftover,) = leftovers
    assert leftover.unanswered == queries(1, begin=2)
    assert leftover.unsent == queries(2)


async def test_no_answer_for_half_a_minute(wire, end, clock):
    await push(wire, 2)
    wire.take()
    await clock.advance(29.9)
    assert end.take() == []
    await clock.advance(0.2)
    assert end.take() == [("unanswered", BOT, 2)]
    assert [frames for _, frames, _ in wire.batches()] == [queries(2)]
    end.wanted = False  # their jobs have ended meanwhile
    await clock.advance(30.1)
    assert wire.take() == []
    assert await wire.link.drained(1)


async def test_strangers_and_what_cannot_be_read(wire, end):
    wire.say("eve@evil.example/x", *queries(1))
    wire.say("bot@localhost", *queries(1))
    xml = "<iq type='set' id='5'><frames xmlns='urn:jabot:0'/></iq>"
    wire.come(BOT, xml)
    wire.come(BOT, xml.replace("/></iq>", "><json xmlns='urn:xmpp:json:0'>{</json></frames></iq>"))
    await turns(2)
    assert wire.take() == [
        ("eve@evil.example/x", "forbidden"),
        ("bot@localhost", "forbidden"),
        (BOT, "bad-request"),
        (BOT, "bad-request"),
    ]
    assert end.take() == []
    assert not wire.come(BOT, "<iq type='get' id='7'><ping xmlns='urn:xmpp:ping'/></iq>")


async def test_who_takes_nothing_and_wants_more(wire, end):
    await push(wire, 16 * limits.PILE_FRAMES + limits.WINDOW * limits.BATCH_FRAMES)
    wire.take()
    wire.say(BOT, *queries(1))
    wire.say(OTHER, *queries(1))
    await turns(2)
    assert wire.take() == [(BOT, "resource-constraint"), (OTHER, "")]


async def test_a_flood_to_one_peer_delays_another_by_one_batch(wire):
    for number in range(5000):
        wire.link.push(BOT, Query(f"j{number}"))
    wire.link.push(OTHER, Query("x"))
    await turns(2)
    assert [peer for peer, *_ in wire.batches()].index(OTHER) <= 1
    for _ in range(3):  # nor does it later, when its window is full
        wire.link.push(OTHER, Query("x"))
        await turns(2)
        ((peer, _, number),) = wire.batches()
        assert peer == OTHER
        wire.answer(OTHER, number)


async def test_a_full_line(wire):
    wire.session.choked = True
    await push(wire, 5)
    wire.say(BOT, *queries(1))
    await turns(2)
    assert wire.take() == []
    wire.session.choked = False
    wire.link.room()
    await turns(2)
    (_, frames, _), answer = wire.take()  # no answer goes before what was said earlier
    assert (frames, answer) == (queries(5), (BOT, ""))


async def test_a_peer_that_goes(wire, end):
    await push(wire, 2)
    for number in range(10):
        await push(wire, 1, begin=number)
    wire.take()
    wire.see(BOT, "unavailable")
    assert end.take() == [("gone", BOT, 9, 3)]
    assert await wire.link.drained(0.1)
    wire.see(BOT)
    assert end.take() == [("here", BOT)]
    wire.see("app@localhost/web-1")  # ourselves
    assert end.take() == []


async def test_a_connection_that_goes(wire, end):
    await push(wire, 2)
    await push(wire, 1, peer=OTHER)
    wire.say(BOT, *queries(1))
    wire.drop()
    await turns(2)
    assert end.take()[-1] == ("offline", [BOT, OTHER])
    wire.take()
    wire.link.push(BOT, Query("late"))
    await turns(2)
    assert wire.take() == []
    wire.back()
    await turns(2)
    assert end.take() == [("online",)]
    assert [entry[:2] for entry in wire.take()] == [(BOT, [Query("late")])]


async def fill(wire, peer=BOT):
    await push(wire, limits.WINDOW * limits.BATCH_FRAMES + limits.PILE_FRAMES, peer)
    assert wire.link.is_full(peer)


async def test_who_waits_is_let_in_in_turn(wire):
    await wire.link.wait_for_room(BOT)  # at once
    await fill(wire)
    sent, let_in = wire.batches(), []

    async def wait(number):
        await wire.link.wait_for_room(BOT)
        let_in.append(number)

    waiting = [asyncio.ensure_future(wait(number)) for number in range(600)]
    await turns(2)
    assert let_in == []
    waiting[0].cancel()
    wire.answer(BOT, sent[0][2])
    await turns(4)
    wire.answer(BOT, sent[1][2])
    await turns(4)
    assert let_in == list(range(1, 1 + len(let_in)))
    assert 200 < len(let_in) < 600
    assert wire.link.is_full(BOT)  # those who wait go before newcomers
    for _, _, number in sent[2:]:
        wire.answer(BOT, number)
    await turns(4)
    assert let_in == list(range(1, 600))
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("end_of_it", ["peer gone", "offline", "closed"])
async def test_nobody_waits_for_a_peer_that_will_not_answer(wire, end_of_it):
    """More of them than there would be room for: no answer wakes the others later."""
    await fill(wire)
    waiting = [asyncio.ensure_future(wire.link.wait_for_room(BOT)) for _ in range(3000)]
    await turns(2)
    if end_of_it == "peer gone":
        wire.see(BOT, "unavailable")
    elif end_of_it == "offline":
        wire.drop()
    else:
        wire.link.close()
    await turns(4)
    assert all(task.done() for task in waiting)


async def test_a_large_frame_is_joined_before_an_end_sees_it(wire, end):
    big = Submit("j", "t", b"[" + b",".join(b'"%d"' % (n * n) for n in range(20_000)) + b"]")
    wire.link.push(OTHER, big)
    await turns(2)
    parts = wire.batches()
    assert len(parts) > 1
    for _, frames, _ in parts:
        wire.say(BOT, *frames)
    assert [entry[3] for entry in end.take()] == [0] * (len(parts) - 1) + [1]
    for _, _, number in parts[:-1]:
        wire.answer(OTHER, number)
    assert sum(entry[2] for entry in end.take()) == 0
    wire.answer(OTHER, parts[-1][2])
    assert end.take() == [("answered", OTHER, 1)]


async def test_the_log_is_not_a_hostile_peers_to_fill(wire, clock, caplog):
    for number in range(500):
        wire.link.complain(BOT, f"nonsense {number}")
    assert len([line for line in caplog.messages if "nonsense" in line]) == 10
    await asyncio.sleep(61)
    wire.link.complain(BOT, "nonsense again")
    assert caplog.messages[-2:] == ["490 more such lines were left out", f"{BOT}: nonsense again"]


async def test_what_only_waits_to_be_sent_is_not_drained_either(wire):
    wire.session.choked = True
    wire.link.push(BOT, Submit("j", "t"))
    await turns(4)
    assert not await wire.link.drained(0.1)


async def test_a_batch_that_cannot_be_handled_is_refused_and_not_sent_for_ever(wire, end, caplog):
    end.received = lambda *_: 1 / 0
    wire.say(BOT, Submit("j", "t"))
    await turns(4)
    assert wire.take() == [(BOT, "internal-server-error")]
    assert "could not be handled" in caplog.text
