"""The jobs of a node for who looks after them: the tasks `node.jobs` and `node.cancel`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from jabot.errors import UnknownJob
from jabot.protocol.frames import Number, Seconds
from jabot.protocol.options import NODE_TASKS
from jabot.runner import Desk, Job
from jabot.tasks import Context, Task

_MOST: Final = 1000  # that one answer lists


class NodeJob(msgspec.Struct, frozen=True):
    """A job of a node that has not ended, as the task `node.jobs` tells of it."""

    id: str
    task: str
    caller: str
    """The bare address of who asked for it."""
    state: str
    """`available` while it waits for a slot, `running`, or `retryable` between two attempts."""
    attempt: Number
    since: Seconds | None
    """When the present run began, in seconds since 1970; None while it waits."""
    stopping: bool
    """Whether it was told to stop."""
    progress: str
    """How far it is, in its own words; empty when it has not said."""


def job_tasks(desk: Desk) -> list[Task[..., Any]]:
    """The tasks."""

    def jobs(limit: Annotated[int, Meta(ge=1, le=_MOST)] = 200, *, ctx: Context) -> list[NodeJob]:
        """The jobs that have not ended, oldest first: one's own, and everybody's for who manages
        the node."""
        return [_told(job) for job in desk.jobs_for(ctx.caller)[:limit]]

    def cancel(id: str, caller: str = "", *, ctx: Context) -> NodeJob:  # noqa: A002 - as users know it
        """Stop a job that `node.jobs` shows, of that caller if several have one of this id. It is
        there until it has stopped."""
        found = [job for job in desk.jobs_for(ctx.caller) if job.id == id]
        found = [job for job in found if caller in ("", job.caller.bare)]
        if len(found) > 1:
            whose = ", ".join(f"caller={job.caller.bare}" for job in found)
            raise UnknownJob(f"{len(found)} jobs here have the id {id}; say which: {whose}")
        if not found:
            raise UnknownJob(f"no job {id} of yours is here, or it has ended")
        desk.cancel(found[0], ctx.caller)
        return _told(found[0])

    return [Task(function, name=f"{NODE_TASKS}{function.__name__}") for function in (jobs, cancel)]


def _told(job: Job) -> NodeJob:
    return NodeJob(
        job.id,
        job.task.name,
        job.caller.bare,
        job.state.value,
        job.attempt,
        job.since,
        job.verdict is not None,
        "" if job.step is None else str(job.step),
    )
