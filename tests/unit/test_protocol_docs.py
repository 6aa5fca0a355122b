"""docs/protocol.md says what the code does; the tables hold together."""

import json
import re
import runpy
from pathlib import Path

import msgspec
import pytest

from jabot.protocol import caller_states, states, worker_states
from jabot.protocol.codec import decode_batch, encode_frame
from jabot.protocol.frames import KINDS, kind_of
from jabot.protocol.refusals import REFUSALS
from jabot.protocol.states import JobEvent, JobState

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "print-protocol-tables"))
SECTIONS = {
    match[1]: match[0]
    for match in re.finditer(r"^\*\*(\w+)\*\* .*?(?=^\*\*\w+\*\* |^#)", DOCUMENT, re.M | re.S)
}


def test_the_tables_are_up_to_date():
    assert SCRIPT["filled"](DOCUMENT) == DOCUMENT, "run scripts/print-protocol-tables"
    for name in SCRIPT["TABLES"]:
        assert f"<!-- table: {name} -->" in DOCUMENT


def test_every_frame_is_described():
    assert set(SECTIONS) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_frame_has_the_fields_that_are_described(kind):
    described = re.findall(r"^\| `(\w+)` \| ([^|]*)", SECTIONS[kind], re.M)
    if kind == "rejected":
        described = described[: -len(REFUSALS)]
    fields = msgspec.structs.fields(KINDS[kind])
    assert [name for name, _ in described] == [field.encode_name for field in fields]
    optional = ["optional" in text for _, text in described]
    assert optional == [not field.required for field in fields]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_its_example_is_one(kind):
    (example,) = re.findall(r"^```json\n(.*?)```", SECTIONS[kind], re.M | re.S)
    (frame,) = decode_batch(f"[{example}]", deflated=False)
    assert kind_of(frame) == kind
    written = json.loads(encode_frame(frame))
    assert written[: len(json.loads(example))] == json.loads(example)


def test_all_codes_are_described():
    assert re.findall(r"^\| `(\w+)` \|", SECTIONS["rejected"], re.M)[4:] == list(REFUSALS)


@pytest.mark.parametrize("module", [caller_states, worker_states])
def test_every_input_and_action_of_a_table_is_used(module):
    cells = [cell for row in module.TABLE.values() for cell in row.items()]
    assert {kind for kind, _ in cells} == set(module.Input)
    assert {step.do for _, step in cells} == set(module.Do)
    assert set(module.TABLE) == set(module.Phase)


def test_job_states():
    assert states.TRANSITIONS[JobState.AVAILABLE][JobEvent.START] is JobState.RUNNING
    assert JobEvent.START not in states.TRANSITIONS[JobState.SUCCEEDED]
    can_be_revived = [each for each in JobState if JobEvent.REVIVE in states.TRANSITIONS[each]]
    assert can_be_revived == [JobState.FAILED, JobState.CANCELLED]
    reached = {to for events in states.TRANSITIONS.values() for to in events.values()}
    assert reached == set(JobState) - {JobState.SCHEDULED}
    assert [state for state in JobState if state.ended] == [
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
    ]
    assert {event for events in states.TRANSITIONS.values() for event in events} == set(JobEvent)
