"""The sentences that people read."""

from __future__ import annotations

from typing import Any

import msgspec

from jabot.durations import duration
from jabot.jid import JID
from jabot.protocol.states import JobState
from jabot.runner import Job
from jabot.runner.job import short_id
from jabot.tasks import Offer, Parameter
from jabot.tasks.signature import shorten

MOST = 10_000  # characters in one text; servers close the stream of who sends a very long one
_MOST_ERROR = 1_000
WENT_WRONG = "That went wrong; my log says why."
NOT_FOR_YOU = "That is not for you to ask here."
AT_IT = "I am at it."
BUSY = "I am still busy with what was said before. Try again soon."


def scheduled(offer: Offer, job_id: str, before: int = 0) -> str:
    """The immediate answer to a task."""
    if offer.scheduled is not None:
        return offer.scheduled.format(task=offer.name, job=short_id(job_id))
    queue = f" ({before} before it)" if before else ""
    return f"Scheduled {offer.name}, job {short_id(job_id)}{queue}."


def succeeded(offer: Offer, job_id: str, value: Any) -> str:
    """The end of a job that went well."""
    text, job = result(value), short_id(job_id)
    if offer.done is not None:
        return cut(offer.done.format(task=offer.name, job=job, result=text))
    if value is None:
        return f"{offer.name} {job} is done."
    gap = "\n" if "\n" in text else " "
    return cut(f"{offer.name} {job} is done:{gap}{text}")


def told_alone(offer: Offer, job_id: str, value: Any) -> str:
    """A result where nothing was said of the job before. That of two nodes is the same text when
    they found the same."""
    if offer.done is not None:
        return succeeded(offer, job_id, value)
    return cut(result(value)) if value is not None else f"{offer.name} is done"


def failed(task: str, job_id: str, why: str) -> str:
    """The end of a job that did not."""
    return cut(f"{task} {short_id(job_id)} failed: {why}", _MOST_ERROR)


def cancelled(task: str, job_id: str, why: str) -> str:
    """The end of a job that was called off."""
    because = f": {why}" if why else ""
    return cut(f"{task} {short_id(job_id)} was cancelled{because}.", _MOST_ERROR)


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
    elif job.state is JobState.RUNNING:
        state = f"running for {duration(job.running_for)}"
    else:
        state = "waiting"
    step = f", {job.step}" if job.step is not None else ""
    caller = f", for {job.caller.bare}" if with_caller else ""
    return f"{job.task.name} {job.short_id}: {state}{step}{caller}"


def task_help(task: Offer) -> str:
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


def task_line(task: Offer) -> str:
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


def cut(text: str, most: int = MOST) -> str:
    """At most so many characters, saying what is missing."""
    if len(text) <= most:
        return text
    return f"{text[:most]}... ({len(text):,} characters in all)"


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)
