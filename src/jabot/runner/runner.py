"""Slots, and what runs in them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from jabot.errors import ConfigError, Draining, JobCancelled, TaskFailed, TooManyJobs
from jabot.jid import JID
from jabot.runner.job import Job, State
from jabot.runner.process import run_in_process
from jabot.runner.threads import LatestStep, run_in_thread
from jabot.tasks import Context, Kind, Step, Task

log = logging.getLogger(__name__)


class Runner:
    """Runs up to `concurrency` jobs at once and keeps the others waiting in order.

    `max_per_caller` bounds how many unfinished jobs one account may have here. A cancelled job has
    `cancel_grace` seconds to end by itself; after that it counts as cancelled, a process is killed,
    and a thread (which nothing can kill) keeps its slot until it ends. `on_change` is called when
    the number of running or waiting jobs changes.
    """

    def __init__(
        self,
        *,
        concurrency: int = 8,
        max_per_caller: int = 1000,
        cancel_grace: float = 5.0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency is at least 1, not {concurrency}")
        self.concurrency = concurrency
        self.max_per_caller = max_per_caller
        self.cancel_grace = cancel_grace
        self.on_change = on_change
        self.draining = False
        self._jobs: dict[str, Job] = {}  # unfinished, in the order of arrival
        self._waiting: deque[Job] = deque()
        self._slots: dict[Job, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def jobs(self) -> list[Job]:
        """The unfinished jobs, oldest first."""
        return list(self._jobs.values())

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return len(self._slots)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a slot."""
        return len(self._waiting)

    def submit(
        self,
        task: Task[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        caller: JID,
    ) -> Job:
        """Take a job whose arguments are bound already. Its code starts in a later turn of the
        loop, so that who submits can say so first.

        Raises `Draining` when the node is stopping, `TooManyJobs` past `max_per_caller`.
        """
        if self.draining:
            raise Draining("I am stopping and take no new jobs")
        mine = sum(job.caller.bare == caller.bare for job in self._jobs.values())
        if mine >= self.max_per_caller:
            raise TooManyJobs(f"{mine} of your jobs are unfinished; wait for some of them")
        job = Job(task, args, kwargs, caller)
        self._jobs[job.id] = job
        self._waiting.append(job)
        self._idle.clear()
        self._fill_slots()
        return job

    def cancel(self, job: Job, reason: str = "") -> None:
        """Stop a job, whether it waits or runs. Its outcome tells when it has stopped."""
        if job.cancellation():
            return
        job.cancellation.set(reason)
        log.info("[%s] %s: to be cancelled", job.id, job.task.name)
        slot = self._slots.get(job)
        if slot is None:
            if job in self._waiting:
                self._waiting.remove(job)
            self._settle(job, State.CANCELLED, _cancelled(job))
            self.on_change()
            return
        if job.started is None:
            return  # asyncio would throw the whole slot away; it looks before it runs anything
        if job.task.kind not in (Kind.THREAD, Kind.GENERATOR):
            slot.cancel()
        if job.task.kind is not Kind.PROCESS:
            asyncio.get_running_loop().call_later(self.cancel_grace, self._give_up, job)

    async def drain(self, limit: float) -> None:
        """Take no more, let what runs and waits finish for `limit` seconds, cancel the rest.

        Returns when every job has its outcome. A job that would not stop is still in `running`.
        """
        self.draining = True
        try:
            await asyncio.wait_for(self._idle.wait(), limit)
        except TimeoutError:
            for job in self.jobs:
                self.cancel(job, "the node is stopping")
            await self._idle.wait()

    async def abandon(self, limit: float) -> bool:
        """Cancel everything now; whether all slots were empty within `limit` seconds."""
        self.draining = True
        for job in self.jobs:
            self.cancel(job, "the node is stopping")
        for slot in self._slots.values():
            slot.cancel()
        if self._slots:
            await asyncio.wait(self._slots.values(), timeout=limit)
        return not self._slots

    def _fill_slots(self) -> None:
        while self._waiting and len(self._slots) < self.concurrency:
            job = self._waiting.popleft()
            job.state = State.RUNNING
            self._slots[job] = asyncio.create_task(self._run(job), name=f"job {job.id}")
        self.on_change()

    async def _run(self, job: Job) -> None:
        """A slot's life: run the job, settle it, free the slot."""
        job.started = time.monotonic()
        log.info("[%s] %s: running for %s", job.id, job.task.name, job.caller.bare)
        try:
            result = job.task.signature.check_result(await self._execute(job))
        except BaseException as error:  # some libraries' errors are no Exception
            self._failed(job, error)
            if isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise
        else:
            self._settle(job, State.SUCCEEDED, result)
        finally:
            del self._slots[job]
            self._fill_slots()

    def _failed(self, job: Job, error: BaseException) -> None:
        if job.cancellation():  # whatever it raised on its way out, it was told to stop
            self._settle(job, State.CANCELLED, _cancelled(job))
            return
        log.error("[%s] %s failed", job.id, job.task.name, exc_info=error)
        if not isinstance(error, TaskFailed):  # a process reports one itself
            failure = TaskFailed(_describe(error))
            failure.__cause__ = error
            error = failure
        self._settle(job, State.FAILED, error)

    async def _execute(self, job: Job) -> Any:
        task = job.task
        if job.cancellation():
            raise asyncio.CancelledError
        if task.kind is Kind.PROCESS:
            return await run_in_process(job, job.report, self.cancel_grace)
        if task.kind in (Kind.THREAD, Kind.GENERATOR):
            report = LatestStep(job.report)
            call = self._call_of(job, report)
            result = await run_in_thread(
                call if task.kind is Kind.THREAD else lambda: _exhaust(call(), report, job),
                f"jabot {task.name} {job.short_id}",
            )
            report.flush()
            if job.cancellation():
                raise asyncio.CancelledError
            return result
        call = self._call_of(job, job.report)
        if task.kind is Kind.COROUTINE:
            return await call()
        async for item in call():
            job.report(_step(item))
        return None

    @staticmethod
    def _call_of(job: Job, report: Callable[[Step], None]) -> Callable[[], Any]:
        args, kwargs = job.task.signature.with_context(
            job.args,
            job.kwargs,
            lambda: Context(
                job_id=job.id,
                caller=job.caller,
                attempt=job.attempt,
                report=report,
                is_cancelled=job.cancellation,
            ),
        )
        return lambda: job.task(*args, **kwargs)

    def _give_up(self, job: Job) -> None:
        if job in self._slots and job.status == "unknown":
            log.warning("[%s] %s does not stop; it keeps its slot", job.id, job.task.name)
            self._settle(job, State.CANCELLED, _cancelled(job, "; it does not stop yet"))

    def _settle(self, job: Job, state: State, outcome: Any) -> None:
        if job.status != "unknown":
            return  # given up before; what came of it in the end interests nobody
        job.state = state
        self._jobs.pop(job.id, None)
        log.info("[%s] %s: %s", job.id, job.task.name, state.value)
        if state is State.SUCCEEDED:
            job.succeed(outcome)
        else:
            job.fail(outcome)
        if not self._jobs:
            self._idle.set()


def _describe(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # users write `__str__`, too
        return name
    return f"{name}: {text}" if text else name


def _cancelled(job: Job, remark: str = "") -> JobCancelled:
    reason = f": {job.cancellation.reason}" if job.cancellation.reason else ""
    return JobCancelled(f"{job.task.name} {job.short_id} was cancelled{reason}{remark}")


def _exhaust(generator: Any, report: Callable[[Step], None], job: Job) -> Any:
    """Run a generator to its end in this thread; what it returns is the result."""
    while True:
        try:
            item = next(generator)
        except StopIteration as end:
            return end.value
        report(_step(item))
        if job.cancellation():
            generator.close()
            return None


def _step(item: Any) -> Step:
    """What a generator yields: a number, `(done, total)`, `(done, total, text)` or a text."""
    if isinstance(item, Step):
        return item
    if isinstance(item, bool) or item is None:
        return Step(text=None if item is None else str(item))
    if isinstance(item, int | float):
        return Step(done=item)
    if isinstance(item, tuple) and 2 <= len(item) <= 3:
        done, total, *text = item
        if all(isinstance(n, int | float) for n in (done, total)):
            return Step(done, total, str(text[0]) if text else None)
    return Step(text=str(item))
