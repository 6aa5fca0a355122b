"""The small parts of a queue that decide what becomes of a job, each alone."""

import asyncio

import pytest
from msgspec import Raw

from jabot.access import Access
from jabot.errors import NotAllowed, StoreError, StoreUnavailable
from jabot.jid import JID
from jabot.protocol import limits
from jabot.protocol.frames import Cancelled, Failed, Hello, Rejected, Submit, Succeeded
from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane, RetryOptions
from jabot.protocol.states import JobState
from jabot.queue.arrivals import refusal
from jabot.queue.callers import outcome
from jabot.queue.debts import Debts
from jabot.queue.defaults import with_defaults
from jabot.queue.fate import Fate, lost
from jabot.queue.promise import Promise
from jabot.queue.ready import Ready
from jabot.queue.rights import Rights
from jabot.queue.store.records import Failure, Record
from jabot.queue.store.store import Impossible
from jabot.queue.store.verbs import Add, Added, Look
from unit.clock import turns

A, B = "app@x/1", "app@x/2"
BOOM = Failure("ValueError", "boom")
LOST = lost("bot@x/1", "vanished")


def record(state=JobState.RUNNING, *, runs=1, attempt=1, options=NO_OPTIONS, **more):
    given = {"deadline": None, "task": "lift", **more}
    return Record(
        id="j1",
        owner="app@x",
        state=state,
        args=Raw(b"[]"),
        kwargs=Raw(b"{}"),
        options=options,
        meta={},
        created=0.0,
        due=0.0,
        attempt=attempt,
        runs=runs,
        priority=0,
        worker="bot@x/1",
        **given,
    )


# -- fate ------------------------------------------------------------------------------------------


def fate(defaults=None, losses=5):
    return Fate(defaults or {}, losses, wall=lambda: 100.0, chance=lambda: 0.0)


def retrying(attempts=3, **more):
    return JobOptions(retry=RetryOptions(attempts, **more))


def failed(failure=BOOM, **more):
    verb = fate().failed(record(**more), failure)
    return verb.event, verb.at, verb.outcome


def test_an_error_is_final_without_a_policy():
    assert failed() == ("fail", 0.0, "failed")


def test_a_loss_is_not_up_to_so_many():
    assert failed(LOST) == ("retry", 100.0, "lost")
    assert failed(LOST, runs=4) == ("retry", 108.0, "lost")
    assert failed(LOST, runs=5) == ("fail", 0.0, "lost")
    assert fate(losses=1).failed(record(), LOST).event == "fail"


def test_a_policy_counts_runs_and_waits_longer_each_time():
    assert failed(options=retrying()) == ("retry", 101.0, "failed")
    assert failed(options=retrying(), runs=2) == ("retry", 102.0, "failed")
    assert failed(options=retrying(), runs=3) == ("fail", 0.0, "failed")
    assert failed(LOST, options=retrying(2), runs=2) == ("fail", 0.0, "lost")


def test_a_policy_of_some_errors_holds_for_losses_too():
    options = retrying(on=["KeyError"])
    assert failed(options=options) == ("fail", 0.0, "failed")
    assert failed(Failure("KeyError", "k"), options=options)[0] == "retry"
    assert failed(LOST, options=options)[0] == "retry"


def test_the_tasks_policy_where_the_job_has_none():
    tasks = fate({"lift": retrying(5), "dance": retrying(1)})
    assert tasks.failed(record(), BOOM).event == "retry"
    assert tasks.failed(record(options=retrying(1)), BOOM).event == "fail"


@pytest.mark.parametrize("code", ["refused", "too_large", "expired", "parent", "undecodable"])
def test_what_will_not_be_better_another_time(code):
    assert failed(Failure("X", "x", code=code), options=retrying()) == ("fail", 0.0, "failed")


def test_no_retry_past_the_time_of_its_caller():
    assert failed(options=retrying(), deadline=101.5)[0] == "retry"
    assert failed(options=retrying(), deadline=101.0)[0] == "fail"
    assert failed(Failure("JobTimeout", "", code="timeout"), options=retrying()) == (
        "fail",
        0.0,
        "timeout",
    )


@pytest.mark.parametrize(
    ("frame", "event", "outcome"),
    [
        (Succeeded("j1", 1, Raw(b"5")), "succeed", ""),
        (Cancelled("j1", 1, "enough"), "cancel", "cancelled"),
        (Rejected("j1", 1, "draining"), "release", ""),
        (Rejected("j1", 1, "too_many_jobs"), "release", ""),
        (Rejected("j1", 1, "unknown_task"), "release", ""),
        (Rejected("j1", 1, "bad_arguments", "no"), "fail", "failed"),
        (Rejected("j1", 1, "not_allowed", "no"), "fail", "failed"),
        (Failed("j1", 1, "ValueError", "no"), "fail", "failed"),
        (Failed("j1", 1, "WorkerLost", "no", code="lost"), "retry", "lost"),
        (Succeeded("j1", 1, Raw(b"x" * (limits.PAYLOAD + 1))), "fail", "failed"),
        (Succeeded("j1", 1, Raw(b"x" * limits.PAYLOAD)), "succeed", ""),
    ],
)
def test_what_its_worker_says(frame, event, outcome):
    verb = fate().ended(record(attempt=7), frame)
    assert (verb.event, verb.outcome) == (event, outcome)
    assert (verb.id, verb.attempt, verb.worker, verb.now) == ("j1", 7, "bot@x/1", 100.0)


def test_a_name_that_no_task_has_is_not_looked_for_without_end():
    """A kind reads it as another task's, whose workers do not know it."""
    verb = fate().ended(record(task="lift "), Rejected("j1", 1, "unknown_task", "no"))
    assert (verb.event, verb.failure) == ("fail", Failure("unknown_task", "no", code="refused"))


def test_what_is_kept_of_that():
    assert bytes(fate().ended(record(), Succeeded("j1", 1, Raw(b"5"))).result) == b"5"
    kept = fate().ended(record(), Failed("j1", 1, "E", "m", "tb", "task")).failure
    assert kept == Failure("E", "m", "tb", "task")
    kept = fate().ended(record(), Rejected("j1", 1, "bad_arguments", "no")).failure
    assert kept == Failure("bad_arguments", "no", code="refused")
    kept = fate().ended(record(), Cancelled("j1", 1, "enough")).failure
    assert kept == Failure("JobCancelled", "enough")


# -- outcomes as frames ----------------------------------------------------------------------------


def test_outcomes_as_callers_are_told_them():
    success = record(JobState.SUCCEEDED, result=Raw(b"5"), attempt=3)
    assert outcome(success, "alias") == Succeeded("alias", 3, Raw(b"5"))
    unreadable = record(JobState.SUCCEEDED, failure=Failure("U", "u", code="undecodable"))
    assert outcome(unreadable, "j1") == Failed("j1", 1, "U", "u", code="undecodable")
    never_begun = record(JobState.CANCELLED, attempt=0)
    assert outcome(never_begun, "j1") == Cancelled("j1", 1, "it was cancelled")
    long = record(JobState.FAILED, failure=Failure("E" * 5000, "m" * 5000, "t" * 50_000))
    told = outcome(long, "j1")
    sizes = (len(told.type), len(told.message), len(told.traceback))
    assert sizes == (limits.TEXT, limits.TEXT, limits.TRACEBACK)


# -- options that the author of a task completes ---------------------------------------------------


def completed(options=NO_OPTIONS, defaults=None, args=b"[]", kwargs=b"{}"):
    return with_defaults(options, defaults, Submit("j1", "lift", Raw(args), Raw(kwargs)))


def test_what_is_left_out_is_as_the_author_says():
    author = JobOptions(priority=5, expires=9.0, retry=RetryOptions(3), key="k", delay=4.0)
    mine = completed(JobOptions(priority=0), author)
    assert (mine.priority, mine.expires, mine.retry) == (0, 9.0, RetryOptions(3))
    assert (mine.key, mine.delay) == (None, 0.0)  # those are the submitter's own
    assert completed() is NO_OPTIONS


def test_one_of_this_task_with_these_arguments():
    unique = JobOptions(unique="*")
    name = completed(unique).unique
    assert name.startswith("lift ")
    assert completed(unique).unique == name
    others = {completed(unique, args=b"[1]").unique, completed(unique, kwargs=b'{"a":1}').unique}
    assert len(others | {name}) == 3
    assert completed(JobOptions(unique="mine")).unique == "mine"
    assert completed(defaults=unique).unique == name


def test_a_lane_of_this_task():
    assert completed(JobOptions(lane=Lane("*", slots=2))).lane == Lane("lift", slots=2)
    assert completed(JobOptions(lane=Lane("crane", slots=2))).lane == Lane("crane", slots=2)


# -- promises --------------------------------------------------------------------------------------


class Ledger:
    """Keeps what is wanted; the test says what comes of it."""

    def __init__(self):
        self.wanted = []

    def do(self, verb, done, failed):
        self.wanted.append((done, failed))


async def test_a_promise_is_kept_when_all_is_done():
    promise, ledger, answers = Promise(), Ledger(), []
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
    promise, ledger = Promise(), Ledger()
    promise.wait(ledger, Look("j"), lambda _: promise.wait(ledger, Look("k"), str))
    ledger.wanted[0][0]("a")
    assert not promise.future.done()
    ledger.wanted[1][0]("b")
    assert promise.future.done()


async def test_an_answer_that_cannot_be_handled_is_done_all_the_same():
    promise, ledger = Promise(), Ledger()
    promise.wait(ledger, Look("j"), int)
    with pytest.raises(ValueError, match="invalid literal"):
        ledger.wanted[0][0]("no number")
    assert promise.future.done()


async def test_it_is_broken_once():
    promise, ledger, calls = Promise(), Ledger(), []
    for _ in range(2):
        promise.wait(ledger, Look("j"), str)
    promise.on_failure(lambda: calls.append("broken"))
    error = StoreUnavailable("away")
    ledger.wanted[0][1](error)
    ledger.wanted[1][1](error)
    assert promise.future.exception() is error
    assert calls == ["broken"]


async def test_what_can_never_be_done_breaks_it_only_where_nobody_cares():
    promise, ledger, errors = Promise(), Ledger(), []
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


# -- kinds that are ready --------------------------------------------------------------------------


def test_a_newer_word_outlives_a_claim():
    looks = []
    ready = Ready(lambda: looks.append(1), lambda: None)
    ready.look_for()
    assert looks == []  # there is nothing to look for
    ready.look_for("a", "b")
    words = ready.words
    ready.look_for("b")
    ready.exhausted(["a", "b", "never said"], words)
    assert ready.kinds == ["b"]
    ready.exhausted(["b"], ready.words)
    assert ready.kinds == []
    assert len(looks) == 2


def test_kinds_that_the_store_has_no_more_are_forgotten_when_there_are_many():
    """Nobody claims what no worker does: else they would be known for ever."""
    asked = []
    ready = Ready(lambda: None, lambda: asked.append(ready.words), few=3)
    ready.look_for("a", "b", "c")
    assert asked == []
    ready.look_for("d")
    ready.look_for("e")  # after the question was put
    assert asked == [1]
    ready.are_all(["a", "f"], asked.pop())
    assert sorted(ready.kinds) == ["a", "d", "e", "f"]  # the job of "d" may have come after it, too
    for number in range(4):
        ready.look_for(f"more {number}")
    assert asked == []  # not before there are twice as many
    ready.look_for("one more")
    assert asked == [ready.words - 1]
    ready.look_for("again")  # while there is no answer
    assert len(asked) == 1


# -- words of refusal ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": "k"}, "the key 'k': 10,000 submits are one job"),
        ({"unique": "u"}, "unique: 10,000"),
    ],
)
def test_a_submit_that_is_one_too_many_of_its_key_names_it(options, said):
    add = Add("j9", "a@x", "t", Raw(b"[]"), Raw(b"{}"), JobOptions(**options), {}, 0.0)
    text = refusal(add, Added("j1", refused="too_many_same", detail="10000"))
    assert text.startswith(said)
    assert "already, j1, " in text


# -- rights ----------------------------------------------------------------------------------------


def test_who_may_do_what_at_a_queue():
    access = Access({"app@x": ["lift"], "all@x": "*"})
    rights = Rights(lambda: JID("jobs@x/1"), access, Access(manage=["bot@x"]))
    rights.check("app@x/1", "lift")
    with pytest.raises(NotAllowed, match="you may not run dance: "):
        rights.check("app@x/1", "dance")
    assert rights.may_call("app@x/1")
    assert not rights.may_call("bot@x/1")
    assert [rights.may_work(who) for who in ("bot@x", "app@x", "jobs@x")] == [True, False, True]
    known = ("app@x/1", "bot@x/1", "eve@x/1", "jobs@x/2")
    assert [rights.knows(JID(who)) for who in known] == [True, True, False, True]


# -- debts -----------------------------------------------------------------------------------------


class Link:
    def __init__(self):
        self.full, self.pushed = set(), []

    def is_full(self, peer):
        return peer in self.full

    def push(self, peer, frame):
        self.pushed.append((peer, frame))


class Owing:
    """Debts, and a store that answers when it is told to."""

    def __init__(self):
        self.link, self.looks, self.told = Link(), [], []
        self.debts = Debts(
            self.link,
            lambda job, told: self.looks.append((job, told)),
            lambda peer, record, as_id: self.told.append((peer, as_id)),
        )

    def answer(self, state=JobState.SUCCEEDED):
        looks, self.looks = self.looks, []
        for _, told in looks:
            told(None if state is None else record(state))
        return [job for job, _ in looks]


def test_few_are_read_at_a_time():
    owing = Owing()
    for n in range(40):
        owing.debts.owe(A, f"j{n}")
    owing.debts.owe(B, "other")
    owing.debts.pay(A)
    owing.debts.pay(A)  # they are on their way
    assert [job for job, _ in owing.looks] == [f"j{n}" for n in range(16)]
    assert [len(owing.answer()) for _ in range(4)] == [16, 16, 8, 0]
    assert owing.told == [(A, f"j{n}") for n in range(40)]
    assert A not in owing.debts
    assert B in owing.debts


def test_nothing_is_read_for_who_takes_nothing():
    owing = Owing()
    owing.debts.owe(A, "j1")
    owing.link.full.add(A)
    owing.debts.pay(A)
    assert owing.looks == []
    owing.link.full.clear()
    owing.debts.pay(A)
    owing.debts.pay(B)
    assert owing.answer() == ["j1"]


@pytest.mark.parametrize("state", [None, JobState.RUNNING])
def test_what_is_gone_or_runs_again_is_not_told(state):
    owing = Owing()
    owing.debts.owe(A, "j1")
    owing.debts.pay(A)
    owing.answer(state)
    assert owing.told == []
    assert A not in owing.debts


def test_who_went_meanwhile_is_told_nothing():
    owing = Owing()
    owing.debts.owe(A, "j1")
    owing.debts.pay(A)
    owing.debts.forget(A)
    owing.debts.owe(A, "j2")
    owing.answer()
    assert owing.told == []
    owing.debts.pay(A)
    assert owing.answer() == ["j2"]
    assert owing.told == [(A, "j2")]


def test_who_is_behind_is_told_to_ask(monkeypatch):
    monkeypatch.setattr("jabot.queue.debts.MOST", 2)
    owing = Owing()
    for n in range(3):
        owing.debts.owe(A, f"j{n}")
    owing.debts.pay(A)
    assert owing.link.pushed == []
    assert owing.answer() == ["j0", "j1"]
    assert owing.link.pushed == [(A, Hello([]))]
    assert A not in owing.debts


# -- the ledger ------------------------------------------------------------------------------------


class Store:
    def __init__(self):
        self.calls = []

    async def apply(self, verbs):
        self.calls.append([verb.id for verb in verbs])
        return [f"answer to {verb.id}" for verb in verbs]


@pytest.fixture
async def ledger():
    from jabot.queue.ledger import Ledger

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
    from jabot.queue.ledger import Ledger

    store = Store()

    async def broken(verbs):
        raise StoreError("is damaged") if len(verbs) == 1 else ValueError("something")

    store.apply = broken
    ledger = Ledger(store, lambda all_goes: [], lambda: None)
    for job in "ab":
        ledger.do(Look(job), str)
    with pytest.raises(StoreError, match="damaged"):
        await ledger.run()
