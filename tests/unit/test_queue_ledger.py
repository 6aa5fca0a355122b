"""What a queue asks of its store: together in a turn, and with a promise to who waits for it."""

import asyncio

import pytest

from jabot.errors import StoreError, StoreUnavailable
from jabot.queue.ledger import Ledger
from jabot.queue.promise import Promise
from jabot.queue.store.store import Impossible
from jabot.queue.store.verbs import Look
from unit.clock import turns

# -- promises --------------------------------------------------------------------------------------


class Asked:
    """In place of a ledger: keeps what is wanted; the test says what comes of it."""

    def __init__(self):
        self.wanted = []

    def do(self, verb, done, failed):
        self.wanted.append((done, failed))


async def test_a_promise_is_kept_when_all_is_done():
    promise, ledger, answers = Promise(), Asked(), []
    assert promise.future is None
    for _ in range(2):
        promise.wait(ledger, Look("j"), answers.append)
    ledger.wanted[0][0]("a")
    assert not promise.future.done()
    ledger.wanted[1][0]("b")
    assert promise.future.done()
    assert promise.future.result() is None
    assert answers == ["a", "b"]


async def test_what_an_answer_makes_necessary_is_waited_for():
    promise, ledger = Promise(), Asked()
    promise.wait(ledger, Look("j"), lambda _: promise.wait(ledger, Look("k"), str))
    ledger.wanted[0][0]("a")
    assert not promise.future.done()
    ledger.wanted[1][0]("b")
    assert promise.future.done()


async def test_an_answer_that_cannot_be_handled_is_done_all_the_same():
    promise, ledger = Promise(), Asked()
    promise.wait(ledger, Look("j"), int)
    with pytest.raises(ValueError, match="invalid literal"):
        ledger.wanted[0][0]("no number")
    assert promise.future.done()


async def test_it_is_broken_once():
    promise, ledger, calls = Promise(), Asked(), []
    for _ in range(2):
        promise.wait(ledger, Look("j"), str)
    promise.on_failure(lambda: calls.append("broken"))
    error = StoreUnavailable("away")
    ledger.wanted[0][1](error)
    ledger.wanted[1][1](error)
    assert promise.future.exception() is error
    assert calls == ["broken"]


async def test_what_can_never_be_done_breaks_it_only_where_nobody_cares():
    promise, ledger, errors = Promise(), Asked(), []
    promise.wait(ledger, Look("j"), str, errors.append)
    error = ValueError("never")
    ledger.wanted[0][1](error)
    assert promise.future.result() is None
    assert errors == [error]
    away = Promise()
    away.wait(ledger, Look("j"), str, errors.append)
    ledger.wanted[1][1](StoreUnavailable("away"))
    assert isinstance(away.future.exception(), StoreUnavailable)
    other = Promise()
    other.wait(ledger, Look("j"), str)
    ledger.wanted[2][1](error)
    assert other.future.exception() is error
    assert errors == [error]


# -- the ledger ------------------------------------------------------------------------------------


class Store:
    def __init__(self):
        self.calls = []

    async def apply(self, verbs):
        self.calls.append([verb.id for verb in verbs])
        return [f"answer to {verb.id}" for verb in verbs]


@pytest.fixture
async def ledger():
    store = Store()
    more = []
    ledger = Ledger(store, lambda all_goes: [more.pop()] if more else [], lambda: None)
    ledger.store, ledger.more = store, more
    working = asyncio.create_task(ledger.run())
    yield ledger
    working.cancel()
    await asyncio.wait({working})


async def test_all_of_a_turn_goes_together_with_what_there_is_more(ledger):
    answers = []
    for job in "abc":
        ledger.do(Look(job), answers.append)
    ledger.more.append((Look("more"), answers.append, None))
    await turns()
    assert ledger.store.calls == [["a", "b", "c", "more"]]
    assert answers == ["answer to a", "answer to b", "answer to c", "answer to more"]
    await turns()
    assert len(ledger.store.calls) == 1


async def test_more_is_asked_for_when_somebody_says_look(ledger):
    ledger.more.append((Look("more"), str, None))
    await turns()
    assert ledger.store.calls == []
    ledger.look()
    await turns()
    assert ledger.store.calls == [["more"]]


async def test_not_too_many_in_one_transaction(ledger, monkeypatch):
    monkeypatch.setattr("jabot.queue.ledger._MOST", 2)
    for job in "abcde":
        ledger.do(Look(job), str)
    await turns()
    assert ledger.store.calls == [["a", "b"], ["c", "d"], ["e"]]


async def test_an_answer_that_cannot_be_handled_spoils_no_others(ledger, caplog):
    answers = []
    ledger.do(Look("a"), lambda _: 1 / 0)
    ledger.do(Look("b"), answers.append)
    await turns()
    assert answers == ["answer to b"]
    assert "the answer to Look could not be handled" in caplog.text


async def test_asking_and_draining(ledger):
    assert await ledger.ask(Look("a")) == "answer to a"
    answers = []
    ledger.do(Look("b"), answers.append)
    await ledger.drained(5)
    assert answers == ["answer to b"]


async def test_a_store_that_hangs_keeps_nobody_from_leaving(ledger, clock, caplog):
    ledger.store.apply = lambda verbs: asyncio.Event().wait()
    ledger.do(Look("a"), str)
    await turns()
    ledger.do(Look("b"), str)  # waits for that
    leaving = asyncio.create_task(ledger.drained(5))
    await clock.advance(4.9)
    assert not leaving.done()
    await clock.advance(0.2)
    await leaving
    assert "the store has not answered for 5 s" in caplog.text


async def test_who_asks_and_gives_up_spoils_nothing(ledger):
    asking = asyncio.create_task(ledger.ask(Look("a")))
    await asyncio.sleep(0)
    asking.cancel()
    await turns()
    assert ledger.store.calls == [["a"]]
    assert await ledger.ask(Look("b")) == "answer to b"


async def test_one_that_is_impossible_by_the_stores_word(ledger, caplog):
    apply = ledger.store.apply

    async def picky(verbs):
        if any(verb.id == "a" for verb in verbs):
            raise Impossible("too large for the index")
        return await apply(verbs)

    ledger.store.apply = picky
    errors, answers = [], []
    ledger.do(Look("a"), answers.append, errors.append)
    ledger.do(Look("b"), answers.append)
    await turns()
    assert (len(errors), answers) == (1, ["answer to b"])
    assert "could not be handled" not in caplog.text


async def test_a_store_that_is_of_no_use_while_parts_are_tried_one_by_one(clock):
    store = Store()

    async def broken(verbs):
        raise StoreError("is damaged") if len(verbs) == 1 else ValueError("something")

    store.apply = broken
    ledger = Ledger(store, lambda all_goes: [], lambda: None)
    for job in "ab":
        ledger.do(Look(job), str)
    with pytest.raises(StoreError, match="damaged"):
        await ledger.run()
