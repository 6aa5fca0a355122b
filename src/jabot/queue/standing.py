"""How a queue stands, as it is told: its figures, with the reasons why jobs wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from jabot.queue.answers import LaneLine, TaskLine, WorkerLine, spread
from jabot.queue.reasons import Scene, why_lane, why_stuck
from jabot.queue.store.records import Figures, TaskFigures, read_kind

_HELD_BACK: Final = "limits that jobs share (lanes, unique names) hold them back"


def scene(now: float, workers: Sequence[WorkerLine], figures: Figures | None) -> Scene:
    """What the chances of jobs depend on now; without figures, in part."""
    if figures is None:
        return Scene(now, workers)
    lanes = {name: msgspec.convert(lane, LaneLine) for name, lane in figures.lanes.items()}
    return Scene(now, workers, frozenset(figures.paused), lanes)


def task_line(task: str, of_task: TaskFigures, figures: Figures, scene: Scene) -> TaskLine:
    """How the jobs of one task stand."""
    return TaskLine(
        states=of_task.states,
        paused=of_task.paused,
        oldest=of_task.oldest,
        ended_last_minute=of_task.ended_last_minute,
        waited=spread(of_task.waits),
        ran=spread(of_task.runs),
        stuck=_stuck(task, figures, scene) if of_task.states.get("available") else "",
    )


def _stuck(task: str, figures: Figures, scene: Scene) -> str:
    """Why available jobs of a task are not begun at once; empty when some are."""
    if task in scene.paused:
        return f"{task} is paused"
    kinds = [where for name, where in map(read_kind, figures.kinds) if name == task]
    reasons = dict.fromkeys(why_stuck(task, where, scene) for where in kinds)
    if "" in reasons or not kinds:
        lane = scene.lanes.get(task)
        return why_lane(task, lane, scene.now) if lane else _HELD_BACK if not kinds else ""
    return "; ".join(reasons)
