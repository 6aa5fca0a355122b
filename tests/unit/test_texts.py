"""The sentences that people read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot import JID, Context, Step
from jabot.chat import texts
from jabot.protocol.states import JobState
from jabot.runner import Job, Options
from jabot.tasks import Task

ID = "0000-abcd"


def task(**options):
    return Task(lambda: None, name="lift", **options)


def job():
    return Job(task(), (), {}, JID("a@b/c"), Options(ID))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (True, "yes"),
        (False, "no"),
        (None, "nothing"),
        (1, "1"),
        (0, "0"),
        (1.0, "1.0"),
        (0.0, "0.0"),
        (Decimal("1.50"), "1.50"),
        ({"größe": 3, "ok": True}, "größe: 3\nok: yes"),
        (["a", 1, None], "a\n1\nnothing"),
        ((1, 2), "1\n2"),
        ([], "[]"),
        ({}, "{}"),
        ({"a": [1]}, '{\n  "a": [\n    1\n  ]\n}'),
        ([[1], "ü"], '[\n  [\n    1\n  ],\n  "ü"\n]'),
    ],
)
def test_results_read_as_a_person_would_write_them(value, text):
    assert texts.result(value) == text


def test_a_job_is_scheduled():
    assert texts.scheduled(task(), ID) == "Scheduled lift, job abcd."
    assert texts.scheduled(task(), ID, 3) == "Scheduled lift, job abcd (3 before it)."
    assert texts.scheduled(task(scheduled="{job}: {task} läuft"), ID, 3) == "abcd: lift läuft"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "lift abcd is done."),
        (False, "lift abcd is done: no"),
        ("one", "lift abcd is done: one"),
        ("one\ntwo", "lift abcd is done:\none\ntwo"),
    ],
)
def test_a_job_succeeds(value, text):
    assert texts.succeeded(task(), ID, value) == text


def test_a_job_succeeds_in_its_own_words():
    own = task(done="{task} {job}: {result}")
    assert texts.succeeded(own, ID, "{0} {job}") == "lift abcd: {0} {job}"


def test_a_job_fails():
    assert texts.failed("lift", ID, "ValueError: no") == "lift abcd failed: ValueError: no"
    assert len(texts.failed("lift", ID, "x" * 5000)) < 1200


def test_a_job_is_called_off():
    assert texts.cancelled("lift", ID, "") == "lift abcd was cancelled."
    assert texts.cancelled("lift", ID, "by boss@x") == "lift abcd was cancelled: by boss@x."


def test_very_long_results_are_cut_and_say_so():
    text = texts.succeeded(task(), ID, "ü" * 1_000_000)
    assert len(text) < texts.MOST + 100
    assert text.endswith("... (1,000,019 characters in all)")


@given(st.text(), st.integers(0, 50))
def test_cutting_keeps_what_fits(text, most):
    cut = texts.cut(text, most)
    assert cut == text if len(text) <= most else cut.startswith(text[:most])


@pytest.mark.parametrize(
    ("load", "text"),
    [((0, 8, 0), "0 of 8 running"), ((8, 8, 3), "8 of 8 running, 3 waiting")],
)
def test_load(load, text):
    assert texts.load(*load) == text


def test_a_line_of_jobs():
    line = job()
    assert texts.job_line(line, with_caller=False) == "lift abcd: waiting"
    assert texts.job_line(line, with_caller=True) == "lift abcd: waiting, for a@b"
    line.state, line.step = JobState.RUNNING, Step(1, 2)
    assert texts.job_line(line, with_caller=False) == "lift abcd: running for 0 s, 1 of 2 (50%)"
    line.cancellation.set()
    assert texts.job_line(line, with_caller=False) == "lift abcd: stopping, 1 of 2 (50%)"


def test_the_help_of_a_task():
    def lift(reps: int, weight: float = 2.5, *names: str, ctx: Context):
        """Lift.

        Something.
        """

    assert texts.task_help(Task(lift)) == (
        "lift reps [weight=2.5] [names...]\n"
        "Lift.\n\nSomething.\n"
        "  reps: int\n"
        "  weight: float, 2.5 if left out\n"
        "  names: str, any number"
    )
    assert texts.task_line(Task(lift)) == "  lift reps [weight=2.5] [names...] - Lift."
    assert texts.task_line(Task(lambda: 1, name="x")) == "  x"
