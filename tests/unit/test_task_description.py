"""Tasks as JSON Schema."""

import dataclasses
import enum

import msgspec
import pytest

from jabot import Context
from jabot.tasks import Task
from jabot.tasks.description import describe, version_of


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Pace(enum.Enum):
    SLOW = "slow"
    FAST = "fast"


class Odd:
    """A default that only the function itself knows."""


def described(function):
    (text,) = describe([Task(function)]).values()
    return msgspec.to_builtins(text)


def test_the_docstring_the_arguments_and_the_result():
    async def lift(reps: int, pace: Pace = Pace.SLOW, *, ctx: Context, name: str = "x") -> str:
        """Lift something heavy."""

    assert described(lift) == {
        "doc": "Lift something heavy.",
        "args": {
            "type": "object",
            "properties": {
                "reps": {"type": "integer"},
                "pace": {"$ref": "#/$defs/Pace", "default": "slow"},
                "name": {"type": "string", "default": "x"},
            },
            "required": ["reps"],
            "additionalProperties": False,
            "$defs": {"Pace": {"title": "Pace", "enum": ["fast", "slow"]}},
        },
        "result": {"type": "string"},
    }
    assert list(described(lift)["args"]["properties"]) == ["reps", "pace", "name"]


def test_nothing_is_said_where_nothing_is_known():
    def plain(value): ...

    text = described(plain)
    assert text["doc"] == ""
    assert text["args"]["properties"] == {"value": {}}
    assert text["result"] == {}


def test_any_number_of_arguments():
    def many(*numbers: int, **names: str): ...
    def anything(**names): ...

    args = described(many)["args"]
    assert args["properties"] == {"numbers": {"type": "array", "items": {"type": "integer"}}}
    assert args["additionalProperties"] == {"type": "string"}
    assert "required" not in args
    assert described(anything)["args"]["additionalProperties"] is True


def test_types_with_names_are_defined_beside():
    def move(to: Point, by: Point = Point(1, 2)) -> Point: ...  # noqa: B008

    text = described(move)
    assert text["args"]["properties"] == {
        "to": {"$ref": "#/$defs/Point"},
        "by": {"$ref": "#/$defs/Point", "default": {"x": 1, "y": 2}},
    }
    assert text["args"]["$defs"].keys() == text["result"]["$defs"].keys() == {"Point"}
    assert text["result"]["$ref"] == "#/$defs/Point"


def test_a_default_that_json_does_not_know_is_left_out():
    def take(what: int = Odd()): ...

    args = described(take)["args"]
    assert args["properties"] == {"what": {"type": "integer"}}
    assert "required" not in args


def lift(reps: int = 1) -> int:
    """Lift."""


def carry(reps: int = 1) -> int:
    """Carry."""


def test_the_version_does_not_depend_on_the_order():
    one, two = Task(lift), Task(carry)
    assert version_of([one, two]) == version_of([two, one]) != version_of([one])


@pytest.mark.parametrize("what", ["doc", "default", "type", "result", "name"])
def test_the_version_changes_with_every_part(what):
    def changed(reps: int = 1) -> int:
        """Lift."""

    changed.__name__ = changed.__qualname__ = "lift"
    assert version_of([Task(changed)]) == version_of([Task(lift)])
    match what:
        case "doc":
            changed.__doc__ = "Lower."
        case "default":
            changed.__defaults__ = (2,)
        case "type":
            changed.__annotations__["reps"] = float
        case "result":
            changed.__annotations__["return"] = str
        case "name":
            changed.__name__ = "lower"
    assert version_of([Task(changed)]) != version_of([Task(lift)])
