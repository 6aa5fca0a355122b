"""From a line that a person typed to arguments."""

import datetime as dt
import enum
import shlex
import time
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jabot.chat.words import bind, split
from jabot.errors import BadArguments
from jabot.tasks import Signature

# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   ", []),
        ("one two", ["one", "two"]),
        ("  one\ttwo\nthree ", ["one", "two", "three"]),
        ('"one two" three', ["one two", "three"]),
        ("'one two' three", ["one two", "three"]),
        ('name="one two"', ["name=one two"]),
        ('a"b"c', ["abc"]),
        ('""', [""]),
        ("''", [""]),
        (r"it\'s", ["it's"]),
        (r"one\ two", ["one two"]),
        (r'"say \"hi\" \n \\"', [r'say "hi" \n ' + "\\"]),
        (r"'\n'", [r"\n"]),
        ("“one two” three", ["one two", "three"]),
        ("„eins zwei“ drei", ["eins zwei", "drei"]),
        ("«un deux» trois", ["un deux", "trois"]),
        ("»eins zwei« drei", ["eins zwei", "drei"]),
        ("”ett två” tre", ["ett två", "tre"]),
        ('“one two" three', ["one two", "three"]),
        ('"er sagte «ja» — laut"', ["er sagte «ja» — laut"]),
        ("it’s “it’s”", ["it’s", "it’s"]),
        ("one\u00a0two\u3000three\u2003four", ["one", "two", "three", "four"]),
        ("übung 太郎 🏋️", ["übung", "太郎", "🏋️"]),
        ("#no comment", ["#no", "comment"]),
        ("a;b|c&d $e `f`", ["a;b|c&d", "$e", "`f`"]),
    ],
)
def test_lines_are_split_in_shell_quoting(line, words):
    assert split(line) == words


@pytest.mark.parametrize("line", ["it's", '"open', "“open", "a 'b", "end\\", '"a\\"'])
def test_a_quote_that_is_not_closed_is_said(line):
    with pytest.raises(BadArguments, match="a quote is not closed"):
        split(line)


@given(st.text())
def test_every_quoted_word_is_read_back(word):
    assert split(shlex.quote(word)) == [word]


@given(st.lists(st.text()))
def test_quoted_words_are_read_back(words):
    assert split(" ".join(shlex.quote(w) for w in words)) == words


@given(st.text("ab \"'\\\n=-é"))
def test_words_are_those_of_the_shell(line):
    try:
        expected = shlex.split(line)
    except ValueError:
        with pytest.raises(BadArguments):
            split(line)
    else:
        assert split(line) == expected


@given(st.text())
def test_any_line_is_split_or_refused(line):
    try:
        words = split(line)
    except BadArguments:
        assume(False)
    assert all(isinstance(word, str) for word in words)


@pytest.mark.parametrize("line", ["a" * 1_000_000, '"' * 999_999, "\\a" * 500_000, "a “" * 300_000])
def test_a_megabyte_is_split_in_reasonable_time(line):
    began = time.thread_time()
    try:
        assert split(line)
    except BadArguments as refusal:
        assert "quote" in str(refusal)
    assert time.thread_time() - began < 10  # shlex would need half a minute for each


# --- arguments ----------------------------------------------------------------------------------


def lift(
    reps: int = 30,
    weight: float = 1.0,
    *,
    fast: bool = False,
    note_text: str = "",
    tags: list[str] = [],  # noqa: B006
): ...


@pytest.mark.parametrize(
    ("line", "args", "kwargs"),
    [
        ("", (), {}),
        ("5", (5,), {}),
        ("-5", (-5,), {}),
        ("5 2.5", (5, 2.5), {}),
        ("reps=5", (), {"reps": 5}),
        ("--reps 5", (), {"reps": 5}),
        ("--reps -5", (), {"reps": -5}),
        ("--reps=5", (), {"reps": 5}),
        ("—reps 5", (), {"reps": 5}),
        ("—reps=5 —fast", (), {"reps": 5, "fast": True}),
        ("5 weight=2", (5,), {"weight": 2.0}),
        ("weight=2 5", (5,), {"weight": 2.0}),
        ("--fast", (), {"fast": True}),
        ("--fast 5", (5,), {"fast": True}),
        ("--no-fast", (), {"fast": False}),
        ("fast=yes", (), {"fast": True}),
        ("--fast=off", (), {"fast": False}),
        ("--note-text hello", (), {"note_text": "hello"}),
        ("--note_text hello", (), {"note_text": "hello"}),
        ('note_text="a b"', (), {"note_text": "a b"}),
        ("note_text=a=b", (), {"note_text": "a=b"}),
        ("note_text=", (), {"note_text": ""}),
        ("note_text=“Grüße — 太郎”", (), {"note_text": "Grüße — 太郎"}),
        ("--tags a,b", (), {"tags": ["a", "b"]}),
        ("tags=a", (), {"tags": ["a"]}),
        ("""tags='["a,b", "c"]'""", (), {"tags": ["a,b", "c"]}),
        ("-- 5", (5,), {}),
        ("--fast -- 5", (5,), {"fast": True}),
    ],
)
def test_ways_to_give_arguments(line, args, kwargs):
    assert bind(Signature.of(lift), split(line)) == (args, kwargs)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("ten", "reps: 'ten' is not a whole number"),
        ("reps=ten", "reps: 'ten' is not a whole number"),
        ("5 x", "weight: 'x' is not a number"),
        ("5 2 3", "too many arguments: '3' has no place"),
        ("5 reps=5", "reps: given twice"),
        ("reps=5 --reps 6", "reps: given twice"),
        ("--fast --no-fast", "fast: given twice"),
        ("--speed 5", "there is no parameter named speed"),
        ("speed=5", "reps: 'speed=5' is not a whole number"),
        ("--reps", "--reps: its value is missing"),
        ("--note-text", "--note-text: its value is missing"),
        ("fast=maybe", "fast: 'maybe' is not yes or no"),
        ("-- --reps 5", "reps: '--reps' is not a whole number"),
    ],
)
def test_arguments_that_do_not_fit(line, text):
    with pytest.raises(BadArguments) as refusal:
        bind(Signature.of(lift), split(line))
    assert str(refusal.value) == text


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1


@dataclass
class Point:
    x: int
    y: int = 0


class Box(msgspec.Struct):
    size: float


UUID_TEXT = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (Any, "[1", "[1"),
        (str, "[1, 2]", "[1, 2]"),
        (str, "5", "5"),
        (str | None, "[hello]", "[hello]"),
        (str | None, "{x", "{x"),
        (Annotated[str, msgspec.Meta(max_length=9)], "{1}", "{1}"),
        (int, "5", 5),
        (float, "1e3", 1000.0),
        (Decimal, "1.10", Decimal("1.10")),
        (bytes, "aGk=", b"hi"),
        *[(bool, text, True) for text in ("yes", "YES", "y", "on", "true", "True", "1")],
        *[(bool, text, False) for text in ("no", "NO", "n", "off", "false", "False", "0")],
        (Color, "red", Color.RED),
        (Size, "1", Size.SMALL),
        (Literal["fast", "slow"], "slow", "slow"),
        (dt.datetime, "2024-05-06T07:08:09", dt.datetime(2024, 5, 6, 7, 8, 9)),
        (dt.date, "2024-05-06", dt.date(2024, 5, 6)),
        (dt.timedelta, "PT90S", dt.timedelta(seconds=90)),
        (uuid.UUID, UUID_TEXT, uuid.UUID(UUID_TEXT)),
        (list[int], "1,2,3", [1, 2, 3]),
        (list[int], "1", [1]),
        (list[str], "[a", ["[a"]),
        (list[int], "[1, 2]", [1, 2]),
        (list[list[int]], "[[1], [2]]", [[1], [2]]),
        (tuple[int, str], "1,a", (1, "a")),
        (set[str], "a,b,a", {"a", "b"}),
        (dict[str, int], '{"ä": 1}', {"ä": 1}),
        (dict[int, str], '{"1": "a"}', {1: "a"}),
        (Point, '{"x": 1}', Point(1)),
        (Box, '{"size": 2}', Box(2.0)),
        (int | None, "5", 5),
        (int | None, "null", None),
    ],
)
def test_texts_become_values(hint, text, value):
    def function(value): ...

    function.__annotations__ = {"value": hint}
    [converted], _ = bind(Signature.of(function), [text])
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("hint", "text", "reason"),
    [
        (list[int], "[1, 2", "is not JSON"),
        (list[int], "1,x", "value: "),
        (list[int], '["x"]', "expected `int`"),
        (Point, '{"x": "1"}', "expected `int`"),
        (Point, "{x: 1}", "is not JSON"),
        (Color, "green", "'green' is not one of red, blue"),
        (dt.date, "tomorrow", "value: "),
        (bool, "", "is not yes or no"),
        (dict[str, int], "a=1", "value: "),
    ],
)
def test_texts_that_are_no_such_value(hint, text, reason):
    def function(value): ...

    function.__annotations__ = {"value": hint}
    with pytest.raises(BadArguments, match=r"^value: ") as refusal:
        bind(Signature.of(function), [text])
    assert reason in str(refusal.value)


def test_star_parameters():
    def f(*numbers: int, **names: str): ...

    assert bind(Signature.of(f), split("1 2 größe=x --y z 3")) == (
        (1, 2, 3),
        {"größe": "x", "y": "z"},
    )


def test_what_looks_like_a_name_but_is_none_is_a_word():
    def say(text: str): ...

    assert bind(Signature.of(say), ["a=b"]) == (("a=b",), {})
    assert bind(Signature.of(say), ["text=a=b"]) == ((), {"text": "a=b"})


def echo(number: int, text: str, flag: bool, numbers: list[int]): ...


@given(st.integers(-(2**63), 2**63), st.text(), st.booleans(), st.lists(st.integers()))
def test_whatever_is_written_by_name_arrives(number, text, flag, numbers):
    line = " ".join(
        shlex.quote(word)
        for word in (
            f"--text={text}",
            f"number={number}",
            "--flag" if flag else "--no-flag",
            f"numbers={msgspec.json.encode(numbers).decode()}",
        )
    )
    assert bind(Signature.of(echo), split(line)) == (
        (),
        {"number": number, "text": text, "flag": flag, "numbers": numbers},
    )
