"""What `jabot publish` and `jabot follow` make of their command lines."""

import pytest
from click.testing import CliRunner

from jabot.cli import cli
from jabot.cli.topics import read_payload


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
