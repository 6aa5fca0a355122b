"""The sentences that people read."""

from __future__ import annotations

from typing import Any

import msgspec

from jabot.jid import JID
from jabot.runner import Job, State
from jabot.tasks import Parameter, Task
from jabot.tasks.signature import shorten

MOST = 10_000  # characters in one text; servers close the stream of who sends a very long one
_MOST_ERROR = 1_000
WENT_WRONG = "That went wrong; my log says why."


def scheduled(job: Job, before: int) -> str:
    """The immediate answer to a task."""
    if job.task.scheduled is not None:
        return job.task.scheduled.format(task=job.task.name, job=job.short_id)
    queue = f" ({before} before it)" if before else ""
    return f"Scheduled {job.task.name}, job {job.short_id}{queue}."


def succeeded(job: Job, value: Any) -> str:
    """The end of a job that went well."""
    text = result(value)
    if job.task.done is not None:
        return cut(job.task.done.format(task=job.task.name, job=job.short_id, result=text))
    if value is None:
        return f"{job.task.name} {job.short_id} is done."
    gap = "\n" if "\n" in text else " "
    return cut(f"{job.task.name} {job.short_id} is done:{gap}{text}")


def failed(job: Job, error: BaseException) -> str:
    """The end of a job that did not; cancelled jobs bring their own sentence."""
    if job.state is State.CANCELLED:
        return f"{error}."
    return cut(f"{job.task.name} {job.short_id} failed: {error}", _MOST_ERROR)


def result(value: Any) -> str:
    """A JSON-shaped value as a person would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value and not any(_nested(v) for v in value.values()):
        return "\n".join(f"{key}: {result(item)}" for key, item in value.items())
    if isinstance(value, list | tuple) and value and not any(_nested(v) for v in value):
        return "\n".join(result(item) for item in value)
    if _nested(value):
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


def job_line(job: Job, *, with_caller: bool) -> str:
    """One line of `jobs`."""
    if job.cancellation():
        state = "stopping"
    elif job.state is State.RUNNING:
        state = f"running for {duration(job.running_for)}"
    else:
        state = "waiting"
    step = f", {job.step}" if job.step is not None else ""
    caller = f", for {job.caller.bare}" if with_caller else ""
    return f"{job.task.name} {job.short_id}: {state}{step}{caller}"


def task_help(task: Task[..., Any]) -> str:
    """What a task is for and how to ask for it."""
    lines = [task.usage]
    if task.__doc__:
        lines.append(task.__doc__)
    lines += [f"  {parameter_help(p)}" for p in task.signature.parameters]
    return "\n".join(lines)


def parameter_help(parameter: Parameter) -> str:
    """One parameter: its name, its type, what it is when left out."""
    if parameter.variadic:
        return f"{parameter.name}: {parameter.type_name}, any number"
    left_out = "" if parameter.required else f", {shorten(parameter.default)} if left out"
    return f"{parameter.name}: {parameter.type_name}{left_out}"


def task_line(task: Task[..., Any]) -> str:
    """One line of `help`."""
    return f"  {task.usage}" + (f" - {task.summary}" if task.summary else "")


def load(running: int, slots: int, waiting: int) -> str:
    """How busy a node is."""
    return f"{running} of {slots} running" + (f", {waiting} waiting" if waiting else "")


def crew_load(running: int, slots: int, workers: int) -> str:
    """How busy the workers of a queue are."""
    if not workers:
        return "no worker is here; jobs wait"
    return f"{load(running, slots, 0)} on {workers} worker{'s' if workers > 1 else ''}"


def stranger(own: JID) -> str:
    """What somebody without any rights is told."""
    return f"I do not take commands from you. Those who run {own.bare} can allow it."


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{rest} s"


def cut(text: str, most: int = MOST) -> str:
    """At most so many characters, saying what is missing."""
    if len(text) <= most:
        return text
    return f"{text[:most]}... ({len(text):,} characters in all)"


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)
