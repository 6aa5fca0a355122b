"""Words of a command line, read by what a node says of its task."""

import contextlib
import dataclasses
import datetime
import decimal
import enum
import json
import typing
import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jabot import BadArguments, Context, Description
from jabot.chat.words import bind
from jabot.cli.arguments import read_words
from jabot.cli.schema import definitions_of, signature_text, type_text
from jabot.tasks import Task
from jabot.tasks.described import type_of
from jabot.tasks.description import describe


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Place:
    name: str
    inner: list["Place"] | None = None
    at: tuple[float, float] = (0.0, 0.0)


def lift(reps: int = 30, *, ctx: Context) -> str: ...
def greet(name: str) -> str: ...
def maybe(name: str | None = None, count: int | None = None): ...
def either(value: int | str): ...
def switch(how: typing.Literal["fast", "slow"], quick: bool = False): ...
def step(size: typing.Literal[1, 2, 3]): ...
def paint(colour: Colour): ...
def total(first: float, *numbers: int, exact: bool = False, **more: float): ...
def tags(names: list[str], counts: list[int], pair: tuple[int, str]): ...
def visit(place: Place, places: list[Place] | None = None): ...
def table(cells: dict[str, int]): ...
def data(content: bytes): ...
def exact(
    number: decimal.Decimal, key: uuid.UUID, day: datetime.date, wait: datetime.timedelta
): ...
def limited(size: typing.Annotated[int, msgspec.Meta(gt=0)]): ...
def untyped(x, y=None): ...


def described(function) -> Description:
    """As it comes over the wire."""
    task = Task(function)
    found = json.loads(msgspec.json.encode(describe([task])))[task.name]
    return Description(**found)


def sent(function, args, kwargs):
    """What the task gets when the words were read here, and went there as JSON."""
    args, kwargs = msgspec.json.decode(msgspec.json.encode([args, kwargs]))
    return Task(function).signature.bind(args, kwargs)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lift, []),
        (lift, ["30"]),
        (lift, ["reps=-5"]),
        (lift, ["--reps", "5"]),
        (greet, ["30"]),
        (greet, ["name=30"]),
        (greet, [""]),
        (greet, ['{"a": 1}']),
        (greet, ["null"]),
        (greet, ["--", "a=b"]),
        (greet, ["--", "--name"]),
        (maybe, ["30", "30"]),
        (maybe, ["null", "null"]),
        (either, ["30"]),
        (switch, ["fast", "yes"]),
        (switch, ["slow", "--quick"]),
        (switch, ["--no-quick", "slow"]),
        (step, ["2"]),
        (paint, ["red"]),
        (total, ["1", "2", "3", "exact=on", "x=2.5"]),
        (total, ["1"]),
        (tags, ["a,b", "1,2", "1,x"]),
        (tags, ['["a,b"]', "[1]", "[1, null]"]),
        (tags, ['["a,b"]', "[1]", '[1, "x"]']),
        (visit, ['{"name": "home", "inner": [{"name": "bed"}]}']),
        (visit, ['{"name": "home"}', '[{"name": "bed"}]']),
        (table, ['{"a": 1}']),
        (data, ["aGVsbG8="]),
        (exact, ["3.10", "0192d3f5-6f6e-7c5c-8a3b-5d8f3a1b2c4d", "2026-01-02", "P1D"]),
        (limited, ["3"]),
    ],
)
def test_words_mean_what_they_mean_in_a_chat(function, words):
    at = words.index("--") if "--" in words else len(words)
    try:
        meant = bind(Task(function).signature, words)
    except BadArguments:
        meant = None
    if meant is None:
        with pytest.raises(BadArguments):
            sent(function, *read_words(words[:at], words[at + 1 :], described(function)))
    else:
        read = read_words(words[:at], words[at + 1 :], described(function))
        assert sent(function, *read) == meant


@pytest.mark.parametrize(
    ("function", "words", "reason"),
    [
        (lift, ["x"], "reps: 'x' is not a whole number"),
        (lift, ["1", "2"], "too many arguments: '2' has no place"),
        (lift, ["reps=1", "reps=2"], "reps: given twice"),
        (lift, ["rep=1"], "no parameter named rep; a text that looks so is written after a --"),
        (greet, [], "name: missing"),
        (greet, ["--name"], "--name: its value is missing"),
        (switch, ["medium"], "how: 'medium' is not one of fast, slow"),
        (visit, ["home"], "place: "),
        (tags, ["a", "[1", "1,x"], "counts: '\\[1' is not JSON"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_sent(function, words, reason):
    with pytest.raises(BadArguments, match=reason):
        read_words(words, [], described(function))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("30", 30),
        ("-2.5", -2.5),
        ("true", True),
        ("null", None),
        ('"30"', "30"),
        ('{"a": [1]}', {"a": [1]}),
        ("abc", "abc"),
        ("{a", "{a"),
        ("", ""),
        ("30 kilos", "30 kilos"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_without_a_type_it_is_json_or_a_text(word, value):
    assert read_words([word, f"y={word}"], [], described(untyped)) == ((value,), {"y": value})
    assert read_words([word, f"y={word}"], [], None) == ((value,), {"y": value})
    assert read_words([], [f"y={word}"], None) == ((f"y={word}",), {})


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        ({}, typing.Any),
        ({"type": "no such"}, typing.Any),
        ({"$ref": "#/$defs/nobody"}, typing.Any),
        ({"enum": [1.5, 2.5]}, typing.Any),
        (
            {"anyOf": [{"type": "array"}, {"type": "array", "items": {"type": "integer"}}]},
            typing.Any,
        ),
        ({"type": "array", "items": False}, list[typing.Any]),
    ],
)
def test_a_schema_in_other_words_than_ours_is_anything(schema, hint):
    assert type_of(schema, {}) == hint


NONSENSE = [None, 5, "text", [], [5], {}, {"": 5}, {"a": {"a": 5}}, True]
KEYS = ["a", "type", "$ref", "anyOf", "enum", "items", "prefixItems", "default", "format", "const"]


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["properties", "required", "additionalProperties", "$defs"]),
        st.recursive(
            st.sampled_from(NONSENSE),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(KEYS),
                    inner | st.sampled_from(["array", "object", "string", "#/$defs/a"]),
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_a_description_that_is_nonsense_breaks_nothing(args):
    description = Description("", args, args)
    with contextlib.suppress(BadArguments):
        read_words(["a", "b=1"], ["c"], description)
    signature_text(description)
    list(definitions_of(description))


def test_a_type_that_holds_itself_comes_to_an_end():
    tree = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    assert typing.get_origin(type_of({"$ref": "#/$defs/Tree"}, {"Tree": tree})) is list


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lift, "(reps: int = 30) -> str"),
        (maybe, "(name: str | None = None, count: int | None = None)"),
        (switch, "(how: 'fast' | 'slow', quick: bool = False)"),
        (total, "(first: float, *numbers: int, exact: bool = False, **kwargs: float)"),
        (tags, "(names: list[str], counts: list[int], pair: tuple[int, str])"),
        (visit, "(place: Place, places: list[Place] | None = None)"),
        (table, "(cells: dict[str, int])"),
        (data, "(content: base64)"),
        (untyped, "(x, y = None)"),
    ],
)
def test_a_signature_reads_like_python(function, text):
    assert signature_text(described(function)) == text


def test_types_that_are_named_are_told():
    assert list(definitions_of(described(visit))) == [
        "Place: {name: str, inner: list[Place] | None = None, at: tuple[float, float] = [0.0, 0.0]}"
    ]
    assert list(definitions_of(described(paint))) == ["Colour: 'blue' | 'red'"]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({}, "anything"),
        ({"const": 3}, "3"),
        ({"type": "null"}, "None"),
        ({"type": "array"}, "list"),
        ({"type": "object"}, "dict"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "something"}, "anything"),
    ],
)
def test_a_type_reads_like_python(schema, text):
    assert type_text(schema) == text
