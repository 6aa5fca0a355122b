"""What becomes of a job, and who is still to be told of it."""

import pytest
from msgspec import Raw

from jabot.protocol import limits
from jabot.protocol.frames import Cancelled, Failed, Hello, Rejected, Succeeded
from jabot.protocol.options import NO_OPTIONS, JobOptions, RetryOptions
from jabot.protocol.states import JobState
from jabot.queue.callers import outcome
from jabot.queue.debts import Debts
from jabot.queue.fate import Fate, lost
from jabot.queue.store.records import Failure, Record

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
