"""Why jobs are where they are, in a sentence for people. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from jabot.durations import duration
from jabot.protocol.states import JobState
from jabot.queue.answers import WorkerLine
from jabot.queue.store.records import Figures, LaneFigures, Record, read_kind

Where = Mapping[str, Sequence[str]]
_NAMED: Final = 3  # parents that are told of by name
_HELD_BACK: Final = "limits that jobs share (lanes, unique names) hold them back"


class Scene(Struct, frozen=True):
    """What a job's chances depend on."""

    now: float
    workers: Sequence[WorkerLine] = ()
    paused: frozenset[str] = frozenset()
    lanes: Mapping[str, LaneFigures] = {}
    """Those that let none through now."""


def scene(now: float, workers: Sequence[WorkerLine], figures: Figures) -> Scene:
    """What the chances of all jobs depend on."""
    return Scene(now, workers, frozenset(figures.paused), figures.lanes)


def why(record: Record, scene: Scene, parents: Mapping[str, Record | None]) -> str:
    """Why a job is where it is. `parents` are the jobs that it comes after, by id."""
    match record.state:
        case JobState.SUCCEEDED:
            return f"it succeeded at {_moment(record.ended or 0.0, scene.now)}"
        case JobState.FAILED | JobState.CANCELLED:
            return _ended(record, scene.now)
        case JobState.RUNNING:
            return _running(record, scene)
    if record.waits_for > 0:
        return _waits_for(record, parents)
    if record.state is JobState.RETRYABLE:
        return _retryable(record, scene.now)
    if record.due > scene.now:
        return f"not before {_moment(record.due, scene.now)}"
    if record.state is JobState.SCHEDULED:
        return "its time has come: it is to be made available at once"
    return _available(record, scene)


def why_stuck(task: str, figures: Figures, scene: Scene) -> str:
    """Why available jobs of a task are not begun at once; empty when some are, or none wait."""
    if not figures.tasks[task].states.get("available"):
        return ""
    if task in scene.paused:
        return f"{task} is paused"
    kinds = [where for name, where in map(read_kind, figures.kinds) if name == task]
    reasons = dict.fromkeys(_stuck(task, where, scene) for where in kinds)
    if "" in reasons or not kinds:
        lane = scene.lanes.get(task)
        return _lane(task, lane, scene.now) if lane else _HELD_BACK if not kinds else ""
    return "; ".join(reasons)


# -- states ---------------------------------------------------------------------------------------


def _stuck(task: str, where: Where, scene: Scene) -> str:
    """Why no worker begins available jobs of a kind now; empty when one has room for them."""
    if task in scene.paused:
        return f"{task} is paused"
    here = [worker for worker in scene.workers if worker.here]
    if not here:
        return "no worker is online"
    offering = [worker for worker in here if task in worker.tasks]
    if not offering:
        return f"no worker that is online offers {task}"
    able = [worker for worker in offering if _has(worker, where)]
    if not able:
        return _unlabelled(task, where, offering)
    slots = sum(worker.slots for worker in able)
    if sum(min(worker.running, worker.slots) for worker in able) < slots:
        return ""
    of = f"of the {len(able)} workers that do it" if len(able) > 1 else f"of {able[0].jid}"
    if not slots:
        return f"no slots {of} are free for this queue: they stop, or do other work"
    taken = f"all {slots} slots" if slots > 1 else "the one slot"
    return f"{taken} {of} {'are' if slots > 1 else 'is'} taken"


def _lane(name: str, lane: LaneFigures, now: float) -> str:
    """Why a lane lets no more jobs through now."""
    if lane.slots is not None and lane.running >= lane.slots:
        return f"{lane.running} of {lane.slots} run of lane {name}"
    rate = f"lane {name} begins {_rate(lane.rate)}" if lane.rate else f"lane {name} is full"
    return rate if lane.next is None else f"{rate}: the next one at {_moment(lane.next, now)}"


def _ended(record: Record, now: float) -> str:
    at = _moment(record.ended or 0.0, now)
    if record.state is JobState.CANCELLED:
        reason = f": {record.cancelling}" if record.cancelling else ""
        return f"it was cancelled at {at}{reason}"
    failure = record.failure
    if failure is None:
        return f"it failed at {at}"
    if failure.code == "task" and record.runs > 1:
        return f"{record.runs} attempts failed, the last one at {at}: {failure.text}"
    return f"it failed at {at}: {failure.text}"


def _running(record: Record, scene: Scene) -> str:
    since = "" if record.started is None else f" since {_moment(record.started, scene.now)}"
    text = f"{record.worker} runs it{since}"
    if record.cancelling is not None:
        reason = f" ({record.cancelling})" if record.cancelling else ""
        return f"{text}, and was told to stop it{reason}"
    worker = next((each for each in scene.workers if each.jid == record.worker), None)
    if worker is not None and not worker.here:
        return f"{text}, but that worker is away: it is given to another unless it comes back"
    return text


def _waits_for(record: Record, parents: Mapping[str, Record | None]) -> str:
    waited = [(i, p) for i, p in parents.items() if p is None or p.state != JobState.SUCCEEDED]
    named = [
        f"{job_id} ({f'{parent.task}, {parent.state.value}' if parent else 'no longer kept'})"
        for job_id, parent in waited[:_NAMED]
    ]
    more = max(len(waited), record.waits_for) - len(named)
    if more > 0:
        named.append(f"{more} more")
    jobs = "job" if len(named) == 1 and more <= 0 else "jobs"
    return f"waits for {jobs} {', '.join(named)}"


def _retryable(record: Record, now: float) -> str:
    error = f" ({record.history[-1].error})" if record.history and record.history[-1].error else ""
    again = "it is tried again at once" if record.due <= now else "the next one is not before "
    return f"attempt {record.attempt} failed{error}; {again}" + (
        _moment(record.due, now) if record.due > now else ""
    )


def _available(record: Record, scene: Scene) -> str:
    where, lane = record.options.where, record.options.lane
    stuck = _stuck(record.task, where, scene)
    if record.task in scene.paused or (stuck and not _able(record.task, where, scene)):
        return stuck
    if lane is not None and lane.name in scene.lanes:
        return _lane(lane.name, scene.lanes[lane.name], scene.now)
    if stuck:
        return stuck
    if record.options.unique is not None:
        return "another job with its unique name is before it"
    return "it is the turn of others before it, or its own: a worker has room"


def _able(task: str, where: Where, scene: Scene) -> bool:
    return any(w.here and task in w.tasks and _has(w, where) for w in scene.workers)


def _has(worker: WorkerLine, where: Where) -> bool:
    return all(worker.labels.get(name) in values for name, values in where.items())


def _unlabelled(task: str, where: Where, offering: Sequence[WorkerLine]) -> str:
    wanted = ", ".join(f"{name}={' or '.join(values)}" for name, values in where.items())
    only = len(offering) == 1
    has = (
        f"{offering[0].jid}, which offers {task}, has not"
        if only
        else (f"none of the {len(offering)} workers that offer {task} has")
    )
    return f"needs {wanted}: {has}{' that' if only else ' it'}"


# -- words ----------------------------------------------------------------------------------------


def _rate(per_second: float) -> str:
    for unit, seconds in (("second", 1.0), ("minute", 60.0), ("hour", 3600.0)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:g} in a {unit}".replace("a hour", "an hour")
    return f"{per_second * 86_400:g} in a day"


def _moment(moment: float, now: float) -> str:
    """`12:30:05 UTC (in 5 min)`, with the date on another day."""
    then, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC)
    text = f"{then:%H:%M:%S} UTC" if then.date() == today.date() else f"{then:%Y-%m-%d %H:%M} UTC"
    apart = duration(abs(moment - now))
    return f"{text} (in {apart})" if moment > now else f"{text} ({apart} ago)"
