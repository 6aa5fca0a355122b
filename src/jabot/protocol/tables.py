"""The tables of this folder as Markdown, for docs/protocol.md."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jabot.protocol import caller_states, limits, states, worker_states


def job_states() -> str:
    """Which event leads a job from which state to which."""
    rows = [
        [f"`{event.value}`", *(_state(events.get(event)) for events in states.TRANSITIONS.values())]
        for event in states.JobEvent
    ]
    return _table(["", *(state.value for state in states.TRANSITIONS)], rows)


def caller() -> str:
    """What a caller does with each input in each phase."""
    phases = [phase for phase in caller_states.Phase if caller_states.TABLE[phase]]
    return _steps(caller_states.TABLE, phases, caller_states.Input, caller_states.Do)


def worker() -> str:
    """What a worker does with each input in each phase."""
    phases = list(worker_states.Phase)
    return _steps(worker_states.TABLE, phases, worker_states.Input, worker_states.Do)


def sizes() -> str:
    """All limits."""
    rows = [[text.format(**_LIMITS)] for text in _SIZES]
    return "\n".join(f"- {row[0]}" for row in rows)


_LIMITS: Final[Mapping[str, str]] = {
    name: f"{value:,}" if isinstance(value, int) else f"{value:g}"
    for name, value in vars(limits).items()
    if name.isupper()
}
_SIZES: Final = (
    "A batch: {BATCH_FRAMES} frames; {BATCH_SENT} characters of text as sent, that is after XML "
    "escaping; {BATCH_INFLATED} bytes of JSON when inflated.",
    "Unanswered batches to one peer: {WINDOW}.",
    "A payload, which is the arguments of a job together or its result: {PAYLOAD} bytes of JSON, "
    "and {DEPTH} arrays and objects inside of each other. A whole frame: {FRAME} bytes.",
    "A frame in parts: {PARTS} parts. A receiver keeps {JOINS} incomplete frames of one peer, "
    "{JOIN_BYTES} characters of them for one peer and {JOIN_BYTES_ALL} for all, and each for "
    "{JOIN_WITHIN} s after its last part.",
    "An id: {ID} characters. A task's name: {TASK}. A message, reason or text: {TEXT}. A trace: "
    "{TRACEBACK}.",
    "`meta`: {META} entries, keys of {META_KEY} and values of {META_VALUE} characters.",
    "What a worker remembers of ended jobs: for one account {KEPT} that a caller has the outcome "
    "of, {KEPT_BYTES} bytes of them, and {OWED_BYTES} bytes of outcomes that no caller has had; "
    "for all accounts together {KEPT_ALL}, {KEPT_BYTES_ALL} and {OWED_BYTES_ALL}.",
)

TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "job states": job_states,
    "caller": caller,
    "worker": worker,
    "limits": sizes,
}
_PLACE = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def filled(document: str) -> str:
    """A document with each table between its two marks as the code has it now."""
    return _PLACE.sub(lambda m: f"{m[1]}\n{TABLES[m[2]]()}\n\n{m[3]}", document)


def _steps(
    table: Mapping[Any, Mapping[Any, Any]],
    phases: Iterable[enum.Enum],
    inputs: Iterable[enum.Enum],
    actions: Iterable[enum.Enum],
) -> str:
    phases = list(phases)
    rows = []
    for kind in inputs:
        cells = [_cell(phase, table[phase].get(kind)) for phase in phases]
        rows.append([str(kind.value), *cells])
    legend = "\n".join(f"- *{_word(do)}*: {do.value}" for do in actions)
    return _table(["", *(str(phase.value) for phase in phases)], rows) + "\n\n" + legend


def _cell(phase: enum.Enum, step: Any) -> str:
    if step is None:
        return ""
    leads = "" if step.to is phase else f" → {step.to.value}"
    return f"*{_word(step.do)}*{leads}"


def _word(do: enum.Enum) -> str:
    return do.name.lower().replace("_", " ")


def _state(state: states.JobState | None) -> str:
    return "" if state is None else state.value


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
