"""The tasks by which programs look after a queue: its office, foreman and agenda as tasks.

Their names begin with `queue.`; whoever has any right at the queue may call them, and each looks at
what the caller may see and do.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec
from msgspec import Raw

from jabot.errors import BadArguments, ConfigError, NotAllowed, UnknownJob, UnknownTask
from jabot.protocol.options import OWN_TASKS, JobOptions
from jabot.protocol.refusals import code_of
from jabot.protocol.states import JobState
from jabot.queue.agenda import Agenda
from jabot.queue.answers import JobLine, JobSheet, ScheduleLine, Standing, WorkerLine
from jabot.queue.foreman import Foreman
from jabot.queue.office import Office
from jabot.queue.own_tasks import refused
from jabot.queue.store.records import Schedule
from jabot.queue.store.verbs import Filter
from jabot.schedule import parse_duration
from jabot.tasks import Context, Task

P = ParamSpec("P")
R = TypeVar("R")


def office_tasks(
    office: Callable[[], Office], foreman: Callable[[], Foreman], agenda: Callable[[], Agenda]
) -> list[Task[..., Any]]:
    """The tasks; what they speak with is asked for when they run."""
    return [*_about_jobs(office), *_about_all(foreman), *_about_schedules(agenda)]


def _about_jobs(office: Callable[[], Office]) -> list[Task[..., Any]]:
    async def jobs(
        state: list[JobState] | None = None,
        task: str | None = None,
        label: dict[str, str] | None = None,
        owner: str | None = None,
        before: str | None = None,
        limit: int = 100,
        *,
        ctx: Context,
    ) -> list[JobLine]:
        """The newest jobs that fit all that is given, up to `limit` (1000). The next page comes
        after the job `before`."""
        chosen = Filter(owner, state or [], task, label or {}, before)
        return await office().jobs(ctx.caller, chosen, limit)

    async def job(id: str, *, ctx: Context) -> JobSheet:  # noqa: A002 - as users know it
        """All about one job, and why it is where it is. Its id, or the end of it."""
        return await office().show(ctx.caller, id)

    async def cancel(id: str, reason: str = "", *, ctx: Context) -> JobLine:  # noqa: A002
        """Stop a job. It is `running` until its worker has stopped it."""
        return await office().cancel(ctx.caller, id, reason)

    async def retry(id: str, *, ctx: Context) -> JobLine:  # noqa: A002
        """Run a job again that failed or was cancelled."""
        return await office().retry(ctx.caller, id)

    async def count(
        state: list[JobState] | None = None,
        task: str | None = None,
        label: dict[str, str] | None = None,
        owner: str | None = None,
        ended_before: float | None = None,
        *,
        ctx: Context,
    ) -> int:
        """How many ended jobs `queue.purge` would delete."""
        chosen = Filter(owner, state or [], task, label or {}, ended_before=ended_before)
        return await office().count(ctx.caller, chosen)

    async def purge(
        state: list[JobState] | None = None,
        task: str | None = None,
        label: dict[str, str] | None = None,
        owner: str | None = None,
        ended_before: float | None = None,
        *,
        ctx: Context,
    ) -> int:
        """Delete the ended jobs that fit all that is given; how many they were."""
        chosen = Filter(owner, state or [], task, label or {}, ended_before=ended_before)
        return await office().purge(ctx.caller, chosen, ctx.progress)

    return [_task(function) for function in (jobs, job, cancel, retry, count, purge)]


def _about_all(foreman: Callable[[], Foreman]) -> list[Task[..., Any]]:
    async def stats(*, ctx: Context) -> Standing:
        """How the queue stands: depth, age, rate and latencies by task, workers, what is stuck."""
        return await foreman().stats(ctx.caller)

    async def workers(*, ctx: Context) -> list[WorkerLine]:
        """The workers that are with the node of the queue that answers."""
        return foreman().workers(ctx.caller)

    async def pause(task: str, *, ctx: Context) -> None:
        """Begin no jobs of a task any more. Those that run go on."""
        await foreman().pause(ctx.caller, task)

    async def resume(task: str, *, ctx: Context) -> None:
        """Begin jobs of a task again."""
        await foreman().resume(ctx.caller, task)

    return [_task(function) for function in (stats, workers, pause, resume)]


def _about_schedules(agenda: Callable[[], Agenda]) -> list[Task[..., Any]]:
    async def schedules(*, ctx: Context) -> list[ScheduleLine]:
        """All schedules that the caller may see, by name."""
        return await agenda().schedules(ctx.caller)

    async def schedule(  # noqa: PLR0913 - the parts of a schedule, by name
        name: str,
        task: str,
        args: list[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        cron: str | None = None,
        every: float | str | None = None,
        zone: str = "UTC",
        missed: Literal["once", "skip", "all"] = "once",
        options: JobOptions | None = None,
        timeout: float | str | None = None,
        *,
        ctx: Context,
    ) -> ScheduleLine:
        """Submit a job again and again: by a cron line, or `every` so often. For the times that
        passed while no queue was up, `missed` says to run one job, none, or all of them. A
        schedule of the same name is replaced. Each job has `timeout` to succeed."""
        plan = Schedule(
            name,
            ctx.caller.bare,
            task,
            Raw(msgspec.json.encode(args or [])),
            Raw(msgspec.json.encode(kwargs or {})),
            options or JobOptions(),
            cron,
            _seconds("every", every),
            zone,
            missed,
            timeout=_seconds("timeout", timeout),
        )
        return await agenda().add(ctx.caller, plan)

    async def pause_schedule(name: str, *, ctx: Context) -> ScheduleLine:
        """Submit no more jobs of a schedule."""
        return await agenda().pause(ctx.caller, name)

    async def resume_schedule(name: str, *, ctx: Context) -> ScheduleLine:
        """Submit jobs of a schedule again, from its next time on."""
        return await agenda().resume(ctx.caller, name)

    async def remove_schedule(name: str, *, ctx: Context) -> None:
        """Forget a schedule. Its jobs stay."""
        await agenda().remove(ctx.caller, name)

    functions = (schedules, schedule, pause_schedule, resume_schedule, remove_schedule)
    return [_task(function) for function in functions]


def _task(function: Callable[P, Awaitable[R]]) -> Task[..., Any]:
    @functools.wraps(function)
    async def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await function(*args, **kwargs)
        except (NotAllowed, BadArguments, UnknownJob, UnknownTask) as error:
            raise refused(error, code_of(error)) from None

    return Task(told, name=OWN_TASKS + function.__name__)


def _seconds(name: str, given: float | str | None) -> float | None:
    try:
        return None if given is None else parse_duration(given)
    except ConfigError as error:
        raise BadArguments(f"{name}: {error}") from None
