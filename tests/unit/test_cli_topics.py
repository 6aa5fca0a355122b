"""What `jabot publish` and `jabot follow` make of their command lines."""

import pytest
from click.testing import CliRunner

from jabot.cli import cli
from jabot.cli.topics import read_payload
from jabot.client import Client
from jabot.xmpp.topics import TopicSettings


@pytest.mark.parametrize(
    ("words", "literal", "payload"),
    [
        (["20.5"], [], 20.5),
        (["null"], [], None),
        (['{"a": [1]}'], [], {"a": [1]}),
        (["hello you"], [], "hello you"),
        ([""], [], ""),
        (["a=1", "b=x", 'c={"d": null}', "e="], [], {"a": 1, "b": "x", "c": {"d": None}, "e": ""}),
        (["1+1=2"], [], "1+1=2"),  # no name
        ([], ["-5"], "-5"),
        ([], ["a=1", "{b"], "a=1 {b"),
    ],
)
def test_what_is_published(words, literal, payload):
    assert read_payload(words, literal) == payload


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ([], []),  # it stays as it is
        (["--keep", "3"], [TopicSettings(3)]),
        (["--publisher", "*"], [TopicSettings(10, publishers="*")]),
        (["--subscriber", "ann@localhost"], [TopicSettings(10, subscribers=("ann@localhost",))]),
    ],
)
def test_how_a_topic_is_set_up(words, settings, home, monkeypatch):
    seen = []

    async def signed_in_or_out(app, *_):
        return None

    async def publish(app, topic, payload, own):
        seen.extend(app._topics.values())
        return "an id"

    for name in ("__aenter__", "__aexit__"):
        monkeypatch.setattr(Client, name, signed_in_or_out)
    monkeypatch.setattr(Client, "publish", publish)
    monkeypatch.setenv("JABOT_JID", "bot@localhost")
    monkeypatch.setenv("JABOT_PASSWORD", "s3cret")
    result = CliRunner().invoke(cli, ["publish", "sensors/hall", "1", *words])
    assert (result.exit_code, result.stdout) == (0, "an id\n"), result.stderr
    assert seen == settings
    told = CliRunner().invoke(cli, ["publish", "--help"]).stdout
    assert "(10 where it is set up without this)" in " ".join(told.split())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["publish", "two words", "1"], "sensors/hall"),
        (["publish", "a"], "nothing to publish"),
        (["publish", "a", "{'b': 1}"], "this is no JSON"),
        (["publish", "a", "b=[1"], "b: this is no JSON"),
        (["publish", "a", "b=1", "b=2"], "b is given twice"),
        (["publish", "a", "one", "two"], "in quotes"),
        (["publish", "a", "one", "--", "two"], "not both"),
        (["publish", "a", "1", "--subscriber", "@"], "'@'"),
        (["publish", "a", "1", "--keep", "0"], "0"),
        (["follow", "a*"], "whole word"),
        (["follow", "a", "--history", "1001"], "1001"),
        (["follow", "a", "--of", "@"], "'@'"),
        (["follow"], "TOPIC"),
    ],
)
def test_a_command_line_that_is_wrong(words, error):
    result = CliRunner().invoke(cli, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr
