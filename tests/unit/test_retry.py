"""Which errors are worth another run, and how long it waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.errors import (
    BadArguments,
    ConfigError,
    JabotError,
    JobCancelled,
    JobTimeout,
    NotAllowed,
    TaskFailed,
    TooLarge,
    UnknownTask,
    WorkerLost,
)
from jabot.tasks import Retry


def remote(kind, message="x"):
    """What a task raised in another program: names alone."""
    return TaskFailed(f"{kind}: {message}", kind=kind, message=message)


def local(error):
    failure = remote(type(error).__name__, str(error))
    failure.__cause__ = error
    return failure


class Oops(LookupError):
    """An exception of a user's."""


def test_each_wait_is_longer_up_to_the_most():
    policy = Retry(attempts=6, backoff=1, factor=3, most=10, jitter=0)
    waits = [policy.delay(runs, remote("ValueError")) for runs in range(1, 7)]
    assert waits == [1, 3, 9, 10, 10, None]


def test_chance_takes_its_share_away_and_no_more():
    policy = Retry(attempts=2, backoff=8, jitter=0.25)
    assert policy.delay(1, remote("X"), lambda: 0.0) == 8
    assert policy.delay(1, remote("X"), lambda: 1.0) == 6
    assert 6 <= policy.delay(1, remote("X")) <= 8


@given(
    st.integers(1, 10**6),
    st.floats(0, 1e300),
    st.floats(1, 1e300),
    st.floats(0, 1e9),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_every_wait_is_from_nothing_to_the_most(runs, backoff, factor, most, jitter, chance):
    policy = Retry(10**7, backoff, factor, most, jitter)
    assert 0 <= policy.delay(runs, remote("X"), lambda: chance) <= most


def test_a_number_is_so_many_runs_after_the_first():
    assert Retry.of(3) == Retry(attempts=4)
    assert Retry.of(0).delay(1, remote("X")) is None
    policy = Retry(backoff=5)
    assert Retry.of(policy) is policy


@pytest.mark.parametrize("retries", [-1, 1.5, "3", True, None])
def test_what_is_no_number_of_retries(retries):
    with pytest.raises(ConfigError, match="retries is"):
        Retry.of(retries)


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"backoff": -1},
        {"backoff": float("inf")},
        {"backoff": float("nan")},
        {"backoff": "10s"},
        {"factor": 0.5},
        {"most": -1},
        {"jitter": 1.5},
        {"on": int},
        {"on": 3},
        {"on": [ValueError, None]},
    ],
    ids=str,
)
def test_values_that_cannot_be_used(options):
    with pytest.raises(ConfigError, match=r"^Retry: "):
        Retry(**options)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (remote("ValueError"), True),
        (local(Oops()), True),
        (WorkerLost("gone"), True),
        (JobTimeout("late"), False),
        (NotAllowed("no"), False),
    ],
    ids=repr,
)
def test_by_default_what_failed_or_got_lost_is_run_again(error, again):
    assert (Retry().delay(1, error) is not None) is again


@pytest.mark.parametrize(
    ("on", "error", "again"),
    [
        (Oops, local(Oops()), True),
        (LookupError, local(Oops()), True),  # here its family is known
        (Oops, remote("Oops"), True),
        (Oops, remote("mymodule.Oops"), True),
        (LookupError, remote("Oops"), False),  # from afar it is not,
        (OSError, remote("ConnectionResetError"), True),  # but for Python's own it is
        (ValueError, remote("KeyError"), False),
        ("Oops", local(Oops()), True),
        ("mymodule.Oops", remote("Oops"), True),
        ("oops", remote("Oops"), False),
        ("WorkerLost", WorkerLost(), True),
        (WorkerLost, remote("WorkerLost"), True),
        (JobTimeout, JobTimeout(), True),
        ([KeyError, "Oops"], remote("Oops"), True),
        ((), remote("Oops"), False),
        (lambda error: error.message == "x", remote("Oops"), True),
        (lambda error: error.message == "y", remote("Oops"), False),
    ],
)
def test_which_errors_are_meant(on, error, again):
    assert (Retry(on=on).delay(1, error) is not None) is again


def test_a_lost_worker_is_no_reason_to_wait_the_first_time():
    retry = Retry(attempts=4, backoff=2.0, jitter=0)
    lost = WorkerLost("gone")
    assert [retry.delay(runs, lost) for runs in (1, 2, 3)] == [0.0, 4.0, 8.0]


@pytest.mark.parametrize("kind", [BadArguments, UnknownTask, NotAllowed, TooLarge, JobCancelled])
@pytest.mark.parametrize("on", [Exception, JabotError, lambda error: True])
def test_what_comes_out_the_same_is_never_run_again(kind, on):
    policy = Retry(attempts=5, on=(on, kind, kind.__name__))
    assert policy.delay(1, kind("x")) is None
    assert policy.delay(1, local(kind("x"))) is not None  # the task met it elsewhere
