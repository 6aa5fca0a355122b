"""The options of a submit that are for a queue: what is read, and what is told to whom."""

import json
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from jabot.calls.job import Job
from jabot.calls.options import map_options, options
from jabot.calls.queue_options import split
from jabot.errors import ConfigError
from jabot.protocol.options import needs_queue
from jabot.tasks import Retry

TO = "jobs@localhost"


def told(**given):
    """What a plain worker is told, and what a queue is."""
    chosen = options(TO, **given)
    return json.loads(chosen.for_any), json.loads(chosen.for_queue)


def asked(**given):
    both = told(**given)
    assert both[0] == both[1]
    return both[0]


class Handle(Future):
    id = "from-a-thread"


def handle(job_id):
    return Job(job_id, "t", TO, cancel=lambda *_: None)


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ({"delay": "5m"}, {"delay": 300}),
        ({"delay": 2.5}, {"delay": 2.5}),
        ({"at": 1_800_000_000}, {"at": 1_800_000_000}),
        ({"at": datetime(2027, 1, 15, 8, tzinfo=UTC)}, {"at": 1_800_000_000}),
        ({"expires": "1h 30m"}, {"expires": 5400}),
        ({"priority": -3}, {"priority": -3}),
        ({"key": "order-7", "key_for": "2h"}, {"key": "order-7", "key_for": 7200}),
        ({"unique": True}, {"unique": "*"}),
        ({"unique": "nightly"}, {"unique": "nightly"}),
        ({"concurrency": 3}, {"lane": {"name": "*", "slots": 3}}),
        ({"rate": "30/m"}, {"lane": {"name": "*", "rate": 0.5}}),
        (
            {"rate": 5, "concurrency": 2, "limit_key": "api"},
            {"lane": {"name": "api", "slots": 2, "rate": 5}},
        ),
        ({"after": ["a", handle("b"), Handle()]}, {"after": ["a", "b", "from-a-thread"]}),
        ({"after": handle("b")}, {"after": ["b"]}),
        ({"after": "a"}, {"after": ["a"]}),
        ({"after": {"a": 1}.keys()}, {"after": ["a"]}),
        ({"labels": {"customer": "7"}}, {"labels": {"customer": "7"}}),
    ],
)
def test_what_is_asked(given, wire):
    assert asked(**given) == wire
    assert options(TO, **given).asks_queue


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"delay": 0},
        {"unique": False},
        {"unique": ""},
        {"key": None, "at": None},
        {"after": []},
    ],
)
def test_nothing_is_asked(given):
    assert asked(**given) is None
    assert not options(TO, **given).asks_queue


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"delay": "soon"}, "delay: 'soon'"),
        ({"delay": -1}, "delay: "),
        ({"expires": 0}, "expires: "),
        ({"key_for": "x"}, "key_for: "),
        ({"at": "tomorrow"}, "at: 'tomorrow' is neither"),
        ({"at": datetime(2027, 1, 1)}, "at: .* has no time zone"),
        ({"at": float("nan")}, "at: nan"),
        ({"priority": 1000}, "priority=1000: Expected `int` <= 100"),
        ({"priority": "high"}, "priority='high': Expected `int"),
        ({"key": ""}, "key='': Expected `str` of length >= 1"),
        ({"key": "k" * 257}, r"key='kk+\.\.\.: Expected `str` of length <= 256"),
        ({"unique": 5}, "unique=5: Expected `str"),
        ({"concurrency": 0}, "0"),
        ({"rate": "often"}, "rate: 'often'; write 5/s"),
        ({"rate": "0/s"}, "rate"),
        ({"limit_key": "api"}, "limit_key: give concurrency= or rate="),
        ({"after": 5}, "after: 5 is neither a job nor the id of one"),
        ({"after": [None]}, "after: None"),
        ({"labels": "a=b"}, "labels: 'a=b' is no mapping"),
        ({"labels": {"a": 5}}, r"labels=\{'a': 5\}: Expected `str`, got `int`$"),
        ({"labels": {"": "x"}}, r"labels=\{'': 'x'\}: Expected `str` of length >= 1$"),
        ({"labels": {"a" * 65: "x"}}, r"labels=\{'aa+\.\.\.: Expected `str` of length <= 64$"),
        ({"after": ["a"] * 1001}, r"^after=.{40}: Expected `array` of length <= 1000$"),
        ({"after": ["a", ""]}, r"after=\['a', ''\]: Expected `str` of length >= 1$"),
        ({"colour": "red"}, "colour: there is no such option"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(given, message):
    with pytest.raises(ConfigError, match=message):
        options(TO, **given)


def test_retries_and_where_are_for_a_queue_alone():
    plain, queue = told(retries=2, where={"gpu": "a100", "site": {"north"}}, key="k")
    assert plain == {"key": "k"}
    assert queue.pop("retry")["attempts"] == 3
    assert queue == {
        "key": "k",
        "where": {"gpu": ["a100"], "site": ["north"]},
    }
    assert not options(TO, retries=2, where={"gpu": "a100"}).asks_queue


def test_a_policy_with_a_function_is_for_plain_workers_alone():
    chosen = options(TO, retries=Retry(3, on=(OSError, "TooHeavy")))
    assert json.loads(chosen.for_queue)["retry"]["on"] == ["OSError", "TooHeavy"]
    assert not chosen.not_for_queue
    chosen = options(TO, retries=Retry(3, on=lambda error: True))
    assert "is a function, which a queue cannot be told" in chosen.not_for_queue


def test_what_only_holds_values_is_for_plain_workers_alone():
    class Any:
        def __contains__(self, value):
            return True

    assert "a queue is told values" in options(TO, where={"gpu": Any()}).not_for_queue


def test_options_and_arguments_are_told_apart():
    assert split({"reps": 3}) == ({}, {"reps": 3})
    assert split({"reps": 3, "key": "k"}) == ({"key": "k"}, {"reps": 3})
    assert split({"key": "k", "arguments": {"key": 1, "to": 2, "arguments": 3}}) == (
        {"key": "k"},
        {"key": 1, "to": 2, "arguments": 3},
    )
    with pytest.raises(ConfigError, match="reps: given by name, and in arguments= as well"):
        split({"reps": 3, "arguments": {"reps": 4}})
    for wrong in (5, {5: 6}):
        with pytest.raises(ConfigError, match="arguments="):
            split({"arguments": wrong})


def test_a_map_takes_them_as_well():
    in_flight, chosen = map_options(TO, {"in_flight": 5, "priority": 7, "retries": 1})
    assert (in_flight, json.loads(chosen.for_any)) == (5, {"priority": 7})


def test_a_refusal_names_what_was_given():
    chosen = options(TO, key="k", rate="5/s")
    text = needs_queue("lift", chosen.for_any)
    assert text.startswith("lift was asked for with key, concurrency or rate, which only a queue")
    assert needs_queue("lift", b"[5]").startswith("lift was asked for with its options")
