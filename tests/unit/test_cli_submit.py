"""What `jabot submit` makes of its command line."""

import json
from datetime import datetime

import pytest
from click.testing import CliRunner

from jabot.cli import account as signing_in
from jabot.cli import submit as module
from jabot.cli.submit import submit

TO = ["--to", "jobs@localhost", "lift"]


@pytest.fixture
def order(monkeypatch):
    """Reads a command line: the order, or the message and the exit code."""
    orders = []

    async def keep(account, order, *, verbose):
        orders.append(order)
        return 0

    monkeypatch.setattr(module, "_submit", keep)
    monkeypatch.setattr(signing_in, "resolve_account", lambda account: account)

    def read(*words):
        result = CliRunner().invoke(submit, [*TO, *words])
        if result.exit_code:
            return result.stderr, result.exit_code
        return orders.pop()

    return read


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], None),
        (["--delay", "30"], {"delay": 30}),
        (["--delay", "1h 30m"], {"delay": 5400}),
        (["--at", "2026-12-24T18:00+01:00"], {"at": 1_798_131_600}),
        (["--expires", "5m"], {"expires": 300}),
        (["--priority", "-5"], {"priority": -5}),
        (["--priority", "0"], {"priority": 0}),
        (["--key", "order-7"], {"key": "order-7"}),
        (["--unique"], {"unique": "*"}),
        (["--concurrency", "3"], {"lane": {"name": "*", "slots": 3}}),
        (
            ["--rate", "10/s", "--limit-key", "api"],
            {"lane": {"name": "api", "rate": 10}},
        ),
        (["--after", "a", "--after", "b"], {"after": ["a", "b"]}),
        (
            ["--label", "customer=7", "--label", "from=a=b"],
            {"labels": {"customer": "7", "from": "a=b"}},
        ),
    ],
)
def test_what_a_queue_is_asked(order, words, asked):
    assert json.loads(order(*words).options.for_any) == asked


def test_a_moment_without_a_time_zone_is_this_machines(order):
    at = json.loads(order("--at", "2026-12-24T18:00").options.for_any)["at"]
    assert at == datetime(2026, 12, 24, 18).timestamp()


def test_a_parameter_of_the_tasks_may_have_the_name_of_an_option(order):
    read = order("key=5", "--key", "k", "at=noon")
    assert list(read.words.plain) == ["key=5", "at=noon"]
    assert json.loads(read.options.for_any) == {"key": "k"}


def test_whether_it_is_waited_for(order):
    assert (order().leave, order().options.wait) == (False, False)
    assert (order("--detach").leave, order("--wait").options.wait) == (True, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--delay", "soon"], "'--delay': 'soon' is not a duration"),
        (["--at", "tomorrow"], "'--at': 'tomorrow': write 2026-12-24T18:00"),
        (["--priority", "101"], "'--priority': 101"),
        (["--concurrency", "0"], "'--concurrency': 0"),
        (["--rate", "often"], "rate: 'often'; write 5/s"),
        (["--limit-key", "api"], "limit_key: give concurrency= or rate="),
        (["--label", "customer"], "'--label': 'customer': a label is written name=value"),
        (["--label", "a=1", "--label", "a=2"], "'--label': a: given twice"),
        (["--key", "k" * 300], "key"),
    ],
)
def test_what_cannot_be_used_is_named(order, words, message):
    text, code = order(*words)
    assert code == 2
    assert message in " ".join(text.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "jobs@localhost", "--tmeout", "3", "lift"], "No such option '--tmeout'."),
        (["--wat=1", "--to", "jobs@localhost", "lift"], "No such option '--wat'."),
    ],
)
def test_an_option_that_is_none_is_not_taken_for_the_task(words, message):
    result = CliRunner().invoke(submit, words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_behind_the_task_it_is_one_of_the_task_s_own(order):
    assert order("--reps", "3", "--", "-5").words == (("--reps", "3"), ["-5"])
