"""What a queue does for many jobs at a time, and at the same time."""

import asyncio

import pytest

from jabot.queue.ledger import Ledger
from jabot.queue.receipts import Receipts
from jabot.queue.store.verbs import Delivered, Look
from unit.clock import turns


class SlowStore:
    """Says when a transaction begins, and ends it when it is told to."""

    def __init__(self):
        self.told = []
        self.under_way = []

    async def apply(self, verbs):
        ids = [verb.id for verb in verbs]
        self.told.append(f"begins {''.join(ids)}")
        ended = asyncio.get_running_loop().create_future()
        self.under_way.append(ended)
        await ended
        return ids


async def test_the_disk_works_while_answers_are_gone_through():
    """The next transaction begins first; a later one does not overtake its answers."""
    store = SlowStore()
    ledger = Ledger(store, lambda all_goes: [], lambda: None)
    working = asyncio.create_task(ledger.run())
    for jobs in ("a", "b", "c"):
        ledger.do(Look(jobs), lambda answer: store.told.append(f"answered {answer}"))
        await turns()
    store.under_way.pop().set_result(None)  # what came meanwhile is one transaction
    await turns()
    assert store.told == ["begins a", "begins bc", "answered a"]
    store.under_way.pop().set_result(None)
    await turns()
    assert store.told[3:] == ["answered b", "answered c"]
    working.cancel()
    await asyncio.wait({working})


class Notes:
    """A ledger that notes what it is asked for."""

    def __init__(self):
        self.verbs = []

    def do(self, verb, done):
        self.verbs.append(verb)


@pytest.fixture
def notes():
    return Notes()


async def test_receipts_are_handed_in_together_after_a_moment(notes, clock):
    receipts = Receipts(notes, lambda: 7.0)
    receipts.add(["a", "b"])
    await clock.advance(0.2)
    receipts.add(["c"])
    assert notes.verbs == []
    await clock.advance(0.1)
    assert notes.verbs == [Delivered(["a", "b", "c"], 7.0)]
    await clock.advance(10)
    assert len(notes.verbs) == 1


async def test_many_receipts_are_handed_in_at_once(notes, clock, monkeypatch):
    monkeypatch.setattr("jabot.queue.receipts._MOST", 3)
    receipts = Receipts(notes, lambda: 7.0)
    receipts.add(["a", "b"])
    receipts.add(["c"])
    assert notes.verbs == [Delivered(["a", "b", "c"], 7.0)]
    await clock.advance(10)
    assert len(notes.verbs) == 1


async def test_what_is_left_can_be_handed_in_before_the_end(notes, clock):
    receipts = Receipts(notes, lambda: 7.0)
    receipts.hand_in()
    receipts.add(["a"])
    receipts.hand_in()
    assert notes.verbs == [Delivered(["a"], 7.0)]
