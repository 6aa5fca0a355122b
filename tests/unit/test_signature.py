"""Typed parameters: what is taken, and how a refusal names what is wrong."""

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.errors import BadArguments, ConfigError
from jabot.tasks import Context, Signature, Task


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Box(msgspec.Struct):
    size: float


UUID_TEXT = "12345678-1234-5678-1234-567812345678"

# hint, a value that fits and what it becomes, values that do not fit
KINDS = [
    (int, 3, 3, ["3", 3.5, None, [3], True]),
    (float, 3, 3.0, ["3", None, {}]),
    (str, "ü", "ü", [3, None, ["x"]]),
    (bytes, "aGk=", b"hi", [3, "?"]),
    (bool, True, True, [1, "yes", None]),
    (None, None, None, [0, "None"]),
    (list[int], [1, 2], [1, 2], [1, "1", ["1"], {"a": 1}]),
    (dict[str, int], {"é": 1}, {"é": 1}, [[1], {"a": "b"}]),
    (dict[int, str], {"1": "a"}, {1: "a"}, [{"x": "a"}]),
    (tuple[int, str], [1, "a"], (1, "a"), [[1], ["a", 1], [1, "a", 2]]),
    (set[int], [1, 1], {1}, [["a"]]),
    (Point, {"x": 1}, Point(1), [{}, {"x": "1"}, [1]]),
    (Box, {"size": 1}, Box(1.0), [{}, {"size": "1"}]),
    (Color, "red", Color.RED, ["green", 1]),
    (Level, 2, Level.HIGH, [3, "x"]),
    (Literal["fast", "slow"], "fast", "fast", ["medium", 1]),
    (dt.datetime, "2024-01-01T00:00:00Z", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), ["noon", []]),
    (dt.date, "2024-02-29", dt.date(2024, 2, 29), ["2023-02-29"]),
    (dt.time, "12:30:00", dt.time(12, 30), ["25:00:00"]),
    (dt.timedelta, "PT1M", dt.timedelta(minutes=1), ["a while"]),
    (uuid.UUID, UUID_TEXT, uuid.UUID(UUID_TEXT), ["1234"]),
    (Decimal, "1.10", Decimal("1.10"), ["one"]),
    (int | str, "x", "x", [[], None]),
    (int | None, None, None, ["x"]),
    (Annotated[int, msgspec.Meta(ge=1)], 1, 1, [0]),
    (Any, {"any": ["thing"]}, {"any": ["thing"]}, []),
]


def signature_for(hint):
    def function(value): ...

    function.__annotations__ = {"value": hint}
    return Signature.of(function)


@pytest.mark.parametrize(("hint", "given_value", "expected", "_"), KINDS, ids=lambda v: str(v)[:30])
def test_what_fits_is_converted(hint, given_value, expected, _):
    [converted], kwargs = signature_for(hint).bind([given_value], {})
    assert converted == expected
    assert type(converted) is type(expected)
    assert kwargs == {}
    assert signature_for(hint).bind([], {"value": given_value}) == ((), {"value": expected})


@pytest.mark.parametrize(
    ("hint", "wrong"), [(hint, wrong) for hint, _, _, wrongs in KINDS for wrong in wrongs]
)
def test_what_does_not_fit_is_refused_by_the_parameters_name(hint, wrong):
    with pytest.raises(BadArguments, match=r"^value: ") as refusal:
        signature_for(hint).bind([wrong], {})
    assert "Traceback" not in str(refusal.value)


@pytest.mark.parametrize(
    ("hint", "wrong", "text"),
    [
        (int, "ten", "value: 'ten' is not a whole number"),
        (float, "ten", "value: 'ten' is not a number"),
        (bool, "si", "value: 'si' is not yes or no"),
        (str, 5, "value: 5 is not a text"),
        (int, "x" * 100, f"value: '{'x' * 36}... is not a whole number"),
        (Color, "green", "value: 'green' is not one of red, blue"),
        (Literal["fast", "slow"], "no", "value: 'no' is not one of fast, slow"),
    ],
)
def test_a_refusal_is_in_plain_words(hint, wrong, text):
    with pytest.raises(BadArguments) as refusal:
        signature_for(hint).bind([wrong], {})
    assert str(refusal.value) == text


class Custom: ...


@pytest.mark.parametrize("hint", [Custom, list[Custom], complex, type, Context | None, "Nowhere"])
def test_a_type_that_cannot_be_checked_is_refused_at_the_definition(hint):
    def lift(reps): ...

    lift.__annotations__ = {"reps": hint}
    with pytest.raises(ConfigError, match=r"task .*lift"):
        Task(lift)


def test_a_result_that_cannot_be_checked_is_refused_at_the_definition():
    def lift() -> Custom: ...

    with pytest.raises(ConfigError, match="the result: Custom"):
        Task(lift)


def test_what_a_generator_yields_is_not_its_result():
    def steps() -> Custom:
        yield 1

    assert Task(steps).signature.check_result(7) == 7


# --- matching arguments to parameters -----------------------------------------------------------


def every_kind(a: int, b: int = 2, /, c: int = 3, *, d: int, e: int = 5): ...


def test_arguments_left_out_get_the_functions_own_defaults():
    assert Signature.of(every_kind).bind([1], {"d": 4}) == ((1, 2), {"d": 4})
    assert Signature.of(every_kind).bind([1, 7, 8], {"d": 4}) == ((1, 7, 8), {"d": 4})


def test_positional_only_parameters_may_be_named_too():
    """There is no other way to name them in chat."""
    bound = Signature.of(every_kind).bind([], {"b": 9, "a": 1, "d": 4, "c": 6})
    assert bound == ((1, 9), {"c": 6, "d": 4})


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ([1, 2, 3, 4], {"d": 4}, "too many arguments: 4 has no place"),
        ([], {"d": 4}, "a: missing"),
        ([1], {}, "d: missing"),
        ([1], {"a": 1, "d": 4}, "a: given twice"),
        ([1, 2, 3], {"c": 1, "d": 4}, "c: given twice"),
        ([1], {"d": 4, "f": 1}, "there is no parameter named f"),
    ],
)
def test_arguments_that_have_no_place(args, kwargs, text):
    with pytest.raises(BadArguments) as refusal:
        Signature.of(every_kind).bind(args, kwargs)
    assert str(refusal.value) == text


def test_star_arguments_are_checked_one_by_one():
    def add(first: int, *numbers: int, scale: float = 1, **names: str): ...

    signature = Signature.of(add)
    assert signature.bind([1, 2, 3], {"x": "y"}) == ((1, 2, 3), {"x": "y"})
    with pytest.raises(BadArguments, match=r"^numbers: "):
        signature.bind([1, 2, "3"], {})
    with pytest.raises(BadArguments, match=r"^names: "):
        signature.bind([1], {"x": 5})
    with pytest.raises(BadArguments, match="given twice"):
        signature.bind([1, 2], {"first": 5})


@given(st.data())
def test_what_is_bound_can_be_called_as_python_would(data):
    """Binding agrees with Python's own idea of a call, for calls that Python takes."""

    def function(a: int, b: int = 20, /, c: int = 30, *rest: int, d: int = 40, **more: int):
        return a, b, c, rest, d, more

    args = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=6))
    names = ["d", "x"] + (["c"] if len(args) < 3 else [])
    kwargs = data.draw(st.dictionaries(st.sampled_from(names), st.integers(0, 9)))
    bound_args, bound_kwargs = Signature.of(function).bind(args, kwargs)
    assert function(*bound_args, **bound_kwargs) == function(*args, **kwargs)


# --- the Context --------------------------------------------------------------------------------


def first(ctx: Context, a: int, b: int = 2):
    return a, b, ctx


def middle(a: int, ctx: Context, b: int = 2):
    return a, b, ctx


def last(a: int, b: int = 2, *, ctx: Context):
    return a, b, ctx


def positional_only(ctx: Context, a: int, /, b: int = 2):
    return a, b, ctx


def after_a_default(a: int, b: int = 2, ctx: Context = None, /):
    return a, b, ctx


@pytest.mark.parametrize("function", [first, middle, last, positional_only, after_a_default])
@pytest.mark.parametrize("call", [([1], {}), ([1, 3], {}), ([1], {"b": 3}), ([], {"a": 1, "b": 3})])
def test_the_context_may_stand_anywhere_and_is_no_part_of_the_signature(function, call):
    signature, context = Signature.of(function), object()
    assert [p.name for p in signature.parameters] == ["a", "b"]
    args, kwargs = signature.with_context(*signature.bind(*call), lambda: context)
    b = 3 if (len(call[0]) > 1 or call[1]) else 2
    assert function(*args, **kwargs) == (1, b, context)


def test_nobody_can_hand_in_a_context():
    with pytest.raises(BadArguments, match="no parameter named ctx"):
        Signature.of(last).bind([1], {"ctx": "mine"})


def test_a_star_star_parameter_does_not_get_a_context_either():
    def greedy(ctx: Context, **more: str):
        return ctx, more

    signature = Signature.of(greedy)
    args, kwargs = signature.with_context(*signature.bind([], {"x": "1"}), lambda: "the real one")
    assert greedy(*args, **kwargs) == ("the real one", {"x": "1"})


def test_a_task_without_context_gets_none():
    signature = Signature.of(every_kind)
    assert signature.with_context((1,), {"d": 4}, pytest.fail) == ((1,), {"d": 4})


# --- results ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "value", "plain"),
    [
        (int, 3, 3),
        (Point, Point(1, 2), {"x": 1, "y": 2}),
        (list[Color], [Color.RED], ["red"]),
        (dict[int, str], {1: "a"}, {1: "a"}),
        (dict[int, str], {"1": "a"}, {"1": "a"}),  # what a process sent as JSON
        (dt.date, dt.date(2024, 1, 2), "2024-01-02"),
        (bytes, b"hi", "aGk="),
        (Any, Decimal("1.5"), "1.5"),
        (None, None, None),
    ],
)
def test_results_become_json_shaped(hint, value, plain):
    def task(): ...

    task.__annotations__ = {"return": hint}
    assert Signature.of(task).check_result(value) == plain


@pytest.mark.parametrize(
    ("hint", "value"), [(int, "3"), (list[int], ["x"]), (None, 1), (str, None)]
)
def test_a_result_of_another_type_than_promised_is_refused(hint, value):
    def task(): ...

    task.__annotations__ = {"return": hint}
    with pytest.raises(TypeError, match="as declared: Expected"):
        Signature.of(task).check_result(value)


def test_an_argument_keeps_its_defaults_when_it_is_returned():
    @dataclasses.dataclass
    class Point:
        x: int
        y: int = 0

    def same(points: list[Point]): ...

    signature = Signature.of(same)
    (points,), _ = signature.bind([[{"x": 3}]], {})
    assert signature.check_result(points) == [{"x": 3, "y": 0}]


def test_a_result_without_json_shape_is_refused():
    def task(): ...

    with pytest.raises(TypeError):
        Signature.of(task).check_result(Custom())
