"""What a queue tells people of its jobs, in lines that fit on a phone."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from jabot.chat.texts import cut
from jabot.durations import brief, duration
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, JobSheet, Standing, TaskLine, WorkerLine
from jabot.runner.job import short_id
from jabot.tasks import Step

_LONG: Final = 300  # characters of arguments, of a result and of an error
_MOST: Final = 20  # tasks, and workers, that are told one by one
_ENDED: Final = frozenset(state.value for state in JobState if state.ended)


def line(job: JobLine, *, with_owner: bool, now: float, step: Step | None = None) -> str:
    """One line of `jobs`."""
    got_on = f", {step}" if step is not None and job.state == "running" else ""
    owner = f", for {job.owner}" if with_owner else ""
    return f"{_name(job)}: {_stands(job, now)}{got_on}{owner}"


def sheet(job: JobSheet, *, with_owner: bool, now: float) -> str:
    """`show ID`."""
    owner = f", for {job.owner}" if with_owner else ""
    lines = [f"{_name(job)}{owner}: {job.why}", *_payloads(job)]
    if job.attempt > 1:
        lines.append(f"Attempt {job.attempt}.")
    lines.append(f"Submitted {_ago(now - job.created)}, id {job.id}")
    return "\n".join(lines)


def standing(whole: Standing) -> str:
    """`stats`."""
    totals: dict[str, int] = {}
    for task in whole.tasks.values():
        for state, number in task.states.items():
            totals[state] = totals.get(state, 0) + number
    if not whole.tasks:
        return "No jobs."
    ended = sum(task.ended_last_minute for task in whole.tasks.values())
    counts = _counts(totals)
    lines = [f"{counts[0].upper()}{counts[1:]}; {ended:,} ended in the last minute."]
    busy = sorted(whole.tasks.items(), key=lambda item: -_unfinished(item[1]))
    lines += [f"  {_task(name, task)}" for name, task in busy[:_MOST]]
    lines += _workers(whole.workers)
    if whole.silent:
        lines.append(f"Not heard in time: {', '.join(whole.silent)}")
    return "\n".join(lines)


def waits_already(task: str, job_id: str) -> str:
    """The answer to a submit that is the same job as one before."""
    return f"{task} {short_id(job_id)} waits already."


def called_off(job: JobLine) -> str:
    """The answer to `cancel ID`."""
    if job.state in _ENDED and job.state != "cancelled":
        return f"{_name(job)} has ended already: it {_PAST[job.state]}."
    return f"Cancelling {_name(job)}."


# -- within ---------------------------------------------------------------------------------------

_PAST: Final = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}


def _name(job: JobLine) -> str:
    return f"{job.task} {short_id(job.id)}"


def _stands(job: JobLine, now: float) -> str:
    match job.state:
        case "running":
            return f"running for {duration(now - (job.started or now))}"
        case "scheduled" | "retryable" if job.due > now:
            again = "again " if job.state == "retryable" else ""
            return f"to run {again}in {duration(job.due - now)}"
        case "available" | "scheduled" | "retryable":
            return "waiting"
    return _PAST.get(job.state, job.state)


def _payloads(job: JobSheet) -> list[str]:
    if job.left_out:
        return ["Its arguments and result are too large to be shown here."]
    given = [_json(value) for value in job.args or []]
    given += [f"{name}={_json(value)}" for name, value in (job.kwargs or {}).items()]
    lines = [f"Arguments: {cut(', '.join(given), _LONG)}"] if given else []
    if job.state == "succeeded" and job.result is not None:
        lines.append(f"Result: {cut(_json(job.result), _LONG)}")
    return lines


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _counts(states: dict[str, int]) -> str:
    counts = {
        "running": states.get("running", 0),
        "waiting": states.get("available", 0),
        "for later": states.get("scheduled", 0) + states.get("retryable", 0),
        "failed": states.get("failed", 0),
    }
    told = [f"{number:,} {what}" for what, number in counts.items() if number]
    return ", ".join(told) or "nothing runs or waits"


def _unfinished(task: TaskLine) -> int:
    return sum(number for state, number in task.states.items() if state not in _ENDED)


def _task(name: str, task: TaskLine) -> str:
    parts = [_counts(task.states)]
    if task.paused:
        parts.append("paused")
    elif task.stuck:
        parts.append(task.stuck)
    if task.oldest is not None and task.oldest >= 1:
        parts.append(f"the oldest for {duration(task.oldest)}")
    if task.ran is not None:
        parts.append(f"a job takes {brief(task.ran.p50)}")
    return f"{name}: {'; '.join(parts)}"


def _workers(workers: list[WorkerLine]) -> list[str]:
    here = [worker for worker in workers if worker.here]
    told = [f"  {each.jid}: {each.running} of {each.slots} slots" for each in here[:_MOST]]
    more = [f"  and {len(here) - _MOST} more"] if len(here) > _MOST else []
    return [f"Workers: {len(here)}", *told, *more] if workers else []


def _ago(seconds: float) -> str:
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"
