"""How the queue stands, put together from what one query answers."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from jabot.queue.store.records import Figures, LaneFigures, TaskFigures


class _Counted(Struct, frozen=True):
    """The answer of the query `stats`."""

    counts: list[tuple[str, str, int]]  # task, state, how many
    oldest: list[tuple[str, float]]  # task, seconds since its oldest available job was due
    minute: list[tuple[str, int]]  # task, how many ended within the last minute
    samples: list[tuple[str, float, float]]  # task, seconds from due to start, and to the end
    kinds: list[str]
    paused: list[str]
    lanes: list[tuple[str, int | None, int, int, float | None, float | None]]


def figures(answer: Raw) -> Figures:
    """For each task that has jobs or is paused."""
    counted = msgspec.json.decode(answer, type=_Counted)
    states: dict[str, dict[str, int]] = {task: {} for task in counted.paused}
    for task, state, number in counted.counts:
        of_task = states.setdefault(task, {})
        of_task[state] = of_task.get(state, 0) + number
    waits: dict[str, list[float]] = {}
    runs: dict[str, list[float]] = {}
    for task, waited, ran in counted.samples:
        waits.setdefault(task, []).append(waited)
        runs.setdefault(task, []).append(ran)
    oldest, minute = dict(counted.oldest), dict(counted.minute)
    return Figures(
        tasks={
            task: TaskFigures(
                states=states[task],
                oldest=oldest.get(task),
                paused=task in counted.paused,
                ended_last_minute=minute.get(task, 0),
                waits=sorted(waits.get(task, [])),
                runs=sorted(runs.get(task, [])),
            )
            for task in sorted(states)
        },
        kinds=counted.kinds,
        paused=counted.paused,
        lanes={
            name: LaneFigures(slots, running, waiting, 1 / gap if gap else None, free)
            for name, slots, running, waiting, gap, free in counted.lanes
        },
    )
