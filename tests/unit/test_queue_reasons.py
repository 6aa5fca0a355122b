"""Why a job is where it is, as people are told."""

import pytest
from msgspec import Raw

from jabot.protocol.options import JobOptions, Lane
from jabot.protocol.states import JobState
from jabot.queue.answers import WorkerLine, spread
from jabot.queue.reasons import Scene, why
from jabot.queue.store.records import Attempt, Failure, LaneFigures, Record

NOW = 1_795_676_400.0  # 2026-11-26 07:00:00 UTC
OURS = "bot@example.org/1"


def job(state="available", *, options=None, **fields):
    plain = {
        "args": Raw(b"[]"),
        "kwargs": Raw(b"{}"),
        "meta": {},
        "created": NOW,
        "due": NOW,
        "deadline": None,
        "attempt": 0,
        "runs": 0,
        "priority": 0,
    }
    options = JobOptions(**(options or {}))
    return Record(
        id="j",
        owner="app@example.org",
        task="lift",
        state=JobState(state),
        options=options,
        **plain | fields,
    )


def worker(jid=OURS, *, tasks=("lift",), slots=4, running=0, here=True, **labels):
    return WorkerLine(
        jid=jid,
        node="jobs@example.org/1",
        here=here,
        slots=slots,
        tasks=list(tasks),
        labels=labels,
        running=running,
    )


def lane(**fields):
    return LaneFigures(
        **{"slots": None, "running": 0, "waiting": 1, "rate": None, "next": None} | fields
    )


GPU = {"where": {"gpu": ["a100", "h100"]}}
FULL = worker(slots=4, running=4)
OTHER = worker("bot@example.org/2", slots=2, running=2)
BOTH = (FULL, OTHER)


@pytest.mark.parametrize(
    ("workers", "options", "said"),
    [
        ((), {}, "no worker is online"),
        ((worker(here=False),), {}, "no worker is online"),
        ((worker(tasks=["drop"]),), {}, "no worker that is online offers lift"),
        ((FULL,), {}, f"all 4 slots of {OURS} are taken"),
        ((worker(slots=1, running=1),), {}, f"the one slot of {OURS} is taken"),
        (BOTH, {}, "all 6 slots of the 2 workers that do it are taken"),
        ((worker(slots=0),), {}, f"no slots of {OURS} are free for this queue"),
        ((worker(slots=2, running=3), worker("bot/3")), {}, "a worker has room"),
        ((worker(gpu="t4"),), GPU, f"needs gpu=a100 or h100: {OURS}, which offers lift, has not"),
        (BOTH, GPU, "needs gpu=a100 or h100: none of the 2 workers that offer lift has it"),
        ((FULL, worker("bot/3", gpu="h100", slots=1, running=1)), GPU, "the one slot of bot/3"),
        ((worker(),), {"unique": "tidy"}, "another job with its unique name is before it"),
    ],
)
def test_an_available_job(workers, options, said):
    text = why(job(options=options), Scene(NOW, workers), {})
    assert said in text


@pytest.mark.parametrize(
    ("full", "said"),
    [
        (lane(slots=3, running=3), "3 of 3 run of lane api"),
        (
            lane(rate=10 / 60, next=NOW + 6),
            "lane api begins 10 in a minute: the next one at 07:00:06 UTC (in 6 s)",
        ),
        (lane(slots=3, running=1, rate=0.5 / 3600), "lane api begins 12 in a day"),
        (lane(slots=3, running=1, rate=2 / 3600), "lane api begins 2 in an hour"),
    ],
)
def test_a_job_of_a_full_lane(full, said):
    limited = job(options={"lane": Lane("api", slots=3)})
    assert why(limited, Scene(NOW, (worker(),), lanes={"api": full}), {}) == said
    free = Scene(NOW, (FULL,), lanes={"other": full})
    assert "slots" in why(limited, free, {})


def test_what_can_be_done_about_it_comes_first():
    limited = job(options={"lane": Lane("api", slots=3), **GPU})
    lanes = {"api": lane(slots=3, running=3)}
    assert why(limited, Scene(NOW, BOTH, lanes=lanes), {}).startswith("needs gpu=")
    paused = Scene(NOW, BOTH, paused=frozenset({"lift"}), lanes=lanes)
    assert why(limited, paused, {}) == "lift is paused"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (job("scheduled", due=NOW + 300), "not before 07:05:00 UTC (in 5 min)"),
        (job("scheduled", due=NOW + 86_400), "not before 2026-11-27 07:00 UTC (in 1 d)"),
        (
            job(
                "retryable",
                due=NOW + 5,
                attempt=2,
                history=[Attempt(2, OURS, NOW, NOW, "failed", "ValueError: ouch")],
            ),
            "attempt 2 failed (ValueError: ouch); the next one is not before 07:00:05 UTC (in 5 s)",
        ),
        (
            job("running", worker=OURS, started=NOW - 60),
            f"{OURS} runs it since 06:59:00 UTC (1 min ago)",
        ),
        (
            job("running", worker=OURS, started=NOW, cancelling="enough"),
            f"{OURS} runs it since 07:00:00 UTC (0 s ago), and was told to stop it (enough)",
        ),
        (job("succeeded", ended=NOW - 7200), "it succeeded at 05:00:00 UTC (2 h ago)"),
        (
            job("cancelled", ended=NOW, cancelling="enough"),
            "it was cancelled at 07:00:00 UTC (0 s ago): enough",
        ),
        (
            job("failed", ended=NOW, runs=3, failure=Failure("ValueError", "ouch")),
            "3 attempts failed, the last one at 07:00:00 UTC (0 s ago): ValueError: ouch",
        ),
        (
            job("failed", ended=NOW, failure=Failure("Expired", "too late", code="expired")),
            "it failed at 07:00:00 UTC (0 s ago): Expired: too late",
        ),
    ],
)
def test_the_other_states(record, said):
    assert why(record, Scene(NOW), {}) == said


def test_a_job_whose_worker_is_away():
    record = job("running", worker=OURS, started=NOW)
    assert "is away" in why(record, Scene(NOW, (worker(here=False),)), {})
    assert "away" not in why(record, Scene(NOW, (worker(),)), {})


def test_what_it_waits_for_is_named():
    child = job("scheduled", waits_for=1)
    parent = job("running")
    assert why(child, Scene(NOW), {"a": parent}) == "waits for job a (lift, running)"
    done = {"a": job("succeeded"), "b": parent}
    assert why(child, Scene(NOW), done) == "waits for job b (lift, running)"
    many = job("available", waits_for=7)
    parents = {str(number): parent for number in range(5)}
    text = why(many, Scene(NOW), parents)
    assert text.startswith("waits for jobs 0 (lift, running), 1 ")
    assert text.endswith(", 4 more")
    assert why(child, Scene(NOW), {"a": None}) == "waits for job a (no longer kept)"


def test_of_a_hundred_so_many_took_no_longer():
    told = spread([float(number) for number in range(1, 101)])
    assert (told.p50, told.p90, told.p99, told.most) == (50, 90, 99, 100)
    assert spread([3.0]).p50 == spread([3.0]).p99 == 3.0
    assert spread([]) is None
