"""Tasks in people's menus: forms made from signatures, and what is filled in."""

import asyncio
import enum
from typing import Literal
from xml.etree import ElementTree as ET

import pytest

from jabot.chat.direct import Direct
from jabot.chat.fields import arguments, fields_of, result_fields
from jabot.chat.menu import Menu
from jabot.errors import BadArguments, StanzaError
from jabot.jid import JID
from jabot.pace import Pace
from jabot.tasks import Signature
from jabot.xmpp.data_forms import DATA, data_form, read_form
from jabot.xmpp.disco import COMMANDS
from jabot.xmpp.requests import Question
from unit.clock import turns
from unit.fakes import ALICE, BOB, BOSS, EVE, OWN, Room


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def paint(
    colour: Colour,
    speed: Literal["fast", "slow"] = "fast",
    reps: int = 30,
    sharp: bool = True,
    note: str = "hello",
    names: list[str] = ["ann"],  # noqa: B006
    level: int | None = None,
    *files: str,
    **more: int,
): ...


PAINT = Signature.of(paint)


def test_each_kind_of_parameter_has_its_field():
    fields = {field.name: field for field in fields_of(PAINT)}
    assert {name: field.kind for name, field in fields.items()} == {
        "colour": "list-single",
        "speed": "list-single",
        "reps": "text-single",
        "sharp": "boolean",
        "note": "text-single",
        "names": "text-multi",
        "level": "text-single",
        "files": "text-multi",
        "more": "text-multi",
    }
    assert fields["colour"].options == ["red", "blue"]
    assert fields["speed"].options == ["fast", "slow"]
    assert [name for name, field in fields.items() if field.required] == ["colour"]
    defaults = {name: field.values for name, field in fields.items() if field.values}
    assert defaults == {
        "speed": ["fast"],
        "reps": ["30"],
        "sharp": ["true"],
        "note": ["hello"],
        "names": ["ann"],
    }


def test_a_form_sent_back_as_it_came_means_the_defaults():
    form = data_form("form", fields_of(PAINT))
    form.set("type", "submit")
    command = ET.Element("command")
    command.append(form)
    filled = read_form(command) | {"colour": ["blue"]}
    args, kwargs = arguments(PAINT, filled)
    bound = dict(zip(("colour", "speed", "reps"), args, strict=False)) | kwargs
    assert bound == {
        "colour": Colour.BLUE,
        "speed": "fast",
        "reps": 30,
        "sharp": True,
        "note": "hello",
        "names": ["ann"],
    }


def test_everything_that_is_filled_in_arrives():
    filled = {
        "colour": ["red"],
        "speed": ["slow"],
        "reps": ["7"],
        "sharp": ["0"],
        "note": [""],
        "names": ["a", "b,c", ""],
        "level": ["3"],
        "files": ["x y", "z"],
        "more": ["a=1", "b=2"],
    }
    assert arguments(PAINT, filled) == (
        (Colour.RED, "slow", 7, False, "", ["a", "b,c"], 3, "x y", "z"),
        {"a": 1, "b": 2},
    )


def test_what_is_left_empty_before_other_values_keeps_its_default():
    args, _ = arguments(PAINT, {"colour": ["red"], "files": ["x"]})
    assert args == (Colour.RED, "fast", 30, True, "hello", ["ann"], None, "x")


@pytest.mark.parametrize(
    ("filled", "problem"),
    [
        ({}, "colour: missing"),
        ({"colour": [""]}, "colour: missing"),
        ({"colour": [""], "files": ["x"]}, "colour: missing"),
        ({"colour": ["green"]}, "colour: 'green' is not one of red, blue"),
        ({"colour": ["red"], "reps": ["ten"]}, "reps: 'ten' is not a whole number"),
        ({"colour": ["red"], "more": ["ten"]}, "more: each line is name=value, not 'ten'"),
        ({"colour": ["red"], "more": ["a=ten"]}, "more: 'ten' is not a whole number"),
    ],
)
def test_a_bad_value_names_its_field(filled, problem):
    with pytest.raises(BadArguments, match=problem):
        arguments(PAINT, filled)


def test_lists_of_more_than_words_are_json_by_the_line():
    def where(points: list[dict[str, int]], sizes: list[int], kinds: list[Colour]): ...

    signature = Signature.of(where)
    assert [field.kind for field in fields_of(signature)] == [
        "text-multi",
        "text-multi",
        "list-multi",
    ]
    filled = {"points": ['{"x": 1}', '{"x": 2}'], "sizes": ["1", "2"], "kinds": ["red", "blue"]}
    _, kwargs = arguments(signature, filled)
    assert kwargs == {
        "points": [{"x": 1}, {"x": 2}],
        "sizes": [1, 2],
        "kinds": [Colour.RED, Colour.BLUE],
    }


def test_results_are_fields():
    def shown(value):
        return [(field.name, field.values) for field in result_fields(value)]

    assert shown(None) == []
    assert shown({"width": 3, "ok": True}) == [("width", ["3"]), ("ok", ["yes"])]
    assert shown(["a", "b"]) == [("result", ["a", "b"])]
    assert shown("Lifted 3") == [("result", ["Lifted 3"])]


# --- the door -----------------------------------------------------------------------------------


class Door:
    """A menu over the desk of a room, and people who give commands."""

    def __init__(self, **options):
        self.room = Room()
        clerk = Direct(self.room.desk, self.room.talks, self.room._stop)
        self.menu = Menu(clerk, self.room.talks, self, **options)

    def serve(self, tag, handler):
        assert tag == f"{{{COMMANDS}}}command"
        self.handler = handler

    def give(self, node, person=ALICE, filled=None, **attributes):
        command = ET.Element(f"{{{COMMANDS}}}command", {"node": node, **attributes})
        if filled is not None:
            form = ET.SubElement(command, f"{{{DATA}}}x", {"type": "submit"})
            for name, value in filled.items():
                field = ET.SubElement(form, f"{{{DATA}}}field", {"var": name})
                ET.SubElement(field, f"{{{DATA}}}value").text = value
        return asyncio.ensure_future(self.handler(Question(person, OWN, "set", command)))

    async def refused(self, node, person=ALICE, **attributes):
        with pytest.raises(StanzaError) as refusal:
            await self.give(node, person, **attributes)
        return refusal.value.condition


def note(answer):
    found = answer.find(f"{{{COMMANDS}}}note")
    return None if found is None else (found.get("type"), found.text)


def values(answer):
    fields = answer.iterfind(f"{{{DATA}}}x/{{{DATA}}}field")
    return {f.get("var"): [v.text for v in f.iterfind(f"{{{DATA}}}value")] for f in fields}


async def lift(reps: int = 3) -> str:
    """Lift something heavy.

    Slowly.
    """
    await asyncio.sleep(reps)
    return f"Lifted {reps}"


async def count() -> dict[str, int]:
    return {"here": 2, "there": 3}


async def fall() -> None:
    raise ValueError("too heavy")


@pytest.fixture
def door(clock):
    made = Door()
    for task in (lift, count, fall):
        made.room.task(task)
    return made


async def test_everybody_finds_what_they_may_do(door):
    mine = door.menu.commands(ALICE)
    assert mine["lift"] == "lift: Lift something heavy."
    assert set(mine) == {"lift", "count", "fall", "jobs", "status"}
    assert set(door.menu.commands(BOB)) == {"lift", "jobs", "status"}
    assert "exit" in door.menu.commands(BOSS)
    assert (door.menu.knows(ALICE), door.menu.knows(EVE)) == (True, False)


async def test_a_form_comes_first_and_then_the_result(door):
    answer = await door.give("lift")
    assert answer.get("status") == "executing"
    assert values(answer) == {"reps": ["3"]}
    form = answer.find(f"{{{DATA}}}x")
    told = [each.text for each in form.iterfind(f"{{{DATA}}}instructions")]
    assert told[0] == "Lift something heavy."
    session = answer.get("sessionid")
    answer = await door.give("lift", filled={"reps": "1"}, sessionid=session, action="complete")
    assert answer.get("status") == "completed"
    assert answer.get("sessionid") == session
    assert values(answer) == {"result": ["Lifted 1"]}
    kind, text = note(answer)
    assert kind == "info"
    assert text.endswith("is done: Lifted 1")
    assert door.room.mouth.said() == []  # the form has told it


async def test_a_task_without_parameters_runs_at_once(door):
    answer = await door.give("count")
    assert values(answer) == {"here": ["2"], "there": ["3"]}


async def test_a_job_that_fails_says_why(door):
    answer = await door.give("fall")
    kind, text = note(answer)
    assert (answer.get("status"), kind) == ("completed", "error")
    assert "too heavy" in text


async def test_a_long_job_is_told_in_chat(door):
    answer = await door.give("lift", filled={"reps": "5"})
    [job] = door.room.runner.jobs
    assert note(answer) == ("info", f"Scheduled lift, job {job.short_id}.")
    assert door.room.mouth.said() == []
    await job
    await turns()
    assert door.room.mouth.said(ALICE) == [f"lift {job.short_id} is done: Lifted 5"]


async def test_an_outcome_whose_form_is_gone_is_told_in_chat(door):
    giving = door.give("count")
    while not door.room.talks._caught or not all(
        f.done() for f in door.room.talks._caught.values()
    ):
        await asyncio.sleep(0)
    giving.cancel()
    await asyncio.wait({giving})
    [text] = door.room.mouth.said(ALICE)
    assert text.startswith("count ")


async def test_bad_values_come_back_with_the_form(door):
    answer = await door.give("lift", filled={"reps": "ten"})
    assert answer.get("status") == "executing"
    assert note(answer) == ("error", "reps: 'ten' is not a whole number")
    assert values(answer) == {"reps": ["ten"]}
    assert door.room.runner.jobs == []


async def test_a_cancelled_form_runs_nothing(door):
    answer = await door.give("lift", action="cancel", filled={"reps": "1"})
    assert answer.get("status") == "canceled"
    assert door.room.runner.jobs == []


async def test_who_has_no_right_is_refused_whatever_they_name(door):
    for node in ("lift", "nothing", "status", "exit"):
        assert await door.refused(node, EVE) == "forbidden"
    assert await door.refused("count", BOB) == "forbidden"
    assert await door.refused("exit", ALICE) == "forbidden"
    assert await door.refused("nothing") == "item-not-found"
    assert await door.refused("lift", action="prev") == "bad-request"
    assert door.room.runner.jobs == []
    assert door.room.stopped == 0


async def test_a_room_has_no_rights(clock):
    fleet = JID("alice@localhost/nick")
    door = Door(is_room=lambda address: address == fleet.bare)
    assert await door.refused("status", fleet) == "forbidden"


async def test_words_are_commands_too(door):
    running = door.give("lift", filled={"reps": "9"})
    await turns()
    kind, text = note(await door.give("status"))
    assert (kind, text.startswith("1 of 2 running")) == ("info", True)
    assert "lift" in note(await door.give("jobs"))[1]
    assert note(await door.give("exit", BOSS))[1] == "Leaving when the last job is done."
    assert door.room.stopped == 1
    await running
    for job in door.room.runner.jobs:
        await job
    await turns()


async def test_who_asks_too_fast_is_refused(clock):
    door = Door(pace=Pace(burst=1, rate=0.1))
    await door.give("status")
    assert await door.refused("status") == "resource-constraint"
