"""Slots: which jobs run, which wait, and how each comes to its end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from jabot.errors import (
    ConfigError,
    Draining,
    JabotError,
    JobCancelled,
    JobTimeout,
    TooManyJobs,
)
from jabot.middleware import Middleware, Run, tell
from jabot.protocol.states import JobState
from jabot.runner.deadlines import Deadlines
from jabot.runner.execution import KILLABLE, THREADED, execute
from jabot.runner.failure import Failure, failure_of, log_failure
from jabot.runner.job import Job
from jabot.runner.turns import Turns
from jabot.runner.waiting import Waiting

log = logging.getLogger(__name__)


class Runner:
    """Runs up to `concurrency` jobs at once and keeps the others waiting in order.

    A task may have a lower limit of its own; its jobs that wait for it are passed over.
    `max_per_caller` bounds how many unfinished jobs one account may have here; a queue keeps to
    the slots instead. A job that is to stop has `cancel_grace` seconds to end by itself; after that
    it counts as ended, a process is killed, and a thread (which nothing can kill) keeps its slot
    until it ends. `on_change` is called when the number of running or waiting jobs changes.
    `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        concurrency: int = 8,
        max_per_caller: int = 50_000,
        cancel_grace: float = 5.0,
        on_change: Callable[[], None] = lambda: None,
        middleware: Iterable[Middleware] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency is at least 1, not {concurrency}")
        self.concurrency = concurrency
        self.max_per_caller = max_per_caller
        self.cancel_grace = cancel_grace
        self.on_change = on_change
        self.draining = False
        self.succeeded = self.failed = 0  # jobs that have ended so
        self.last_failure: Failure | None = None
        self._middleware = tuple(middleware)
        self._chance = chance
        self._jobs: dict[Job, None] = {}  # unfinished, in the order of arrival
        self._counts: dict[str, int] = {}  # of them, by account
        self._waiting = Waiting()
        self._deadlines = Deadlines(self._time_is_over)
        self._slots: dict[Job, None] = {}
        self._turns = Turns(self._run)
        self._all_free: asyncio.Future[None] | None = None  # while somebody waits for that
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def jobs(self) -> list[Job]:
        """The unfinished jobs, oldest first."""
        return list(self._jobs)

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return len(self._slots)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a slot; those that wait for their backoff are not counted."""
        return len(self._waiting)

    def submit(self, job: Job) -> None:
        """Take a job. Its code starts in a later turn of the loop, so that who submits can say so
        first.

        Raises `Draining` when the node is stopping, `TooManyJobs` past `max_per_caller`.
        """
        if self.draining:
            raise Draining("I am stopping and take no new jobs")
        mine, timeout = self._counts.get(job.account, 0), job.options.timeout
        if mine >= self.max_per_caller and job.options.via is None:
            raise TooManyJobs(f"{mine} of your jobs are unfinished; wait for some of them")
        self._counts[job.account] = mine + 1
        self._jobs[job] = None
        self._idle.clear()
        if timeout is not None:
            self._deadlines.add(job, timeout)
        if timeout is None or timeout > 0:
            self._enqueue(job)
        else:
            self._time_is_over(job)

    def cancel(self, job: Job, reason: str = "") -> None:
        """Stop a job, whether it waits or runs. Its outcome tells when it has stopped."""
        because = f": {reason}" if reason else ""
        text = f"{job.task.name} {job.short_id} was cancelled{because}"
        self._stop(job, JobCancelled(text), reason)

    def release(self, job: Job) -> bool:
        """Hand back a job that was not begun: it fails with `Draining`. False when it was."""
        if job.runs or job.status != "unknown" or job.verdict is not None:
            return False
        self._stop(job, Draining(f"I am stopping, and have not begun {job.task.name}"))
        return True

    async def drain(self, limit: float) -> None:
        """Take no more, let what runs and waits finish for `limit` seconds, cancel the rest.

        What waits for its backoff fails with its last error. Returns when every job has its
        outcome. A job that would not stop is still in `running`.
        """
        self.draining = True
        for job in self.jobs:
            if job.state is JobState.RETRYABLE and job.last_error is not None:
                self._fail(job, job.last_error)
        try:
            async with asyncio.timeout(limit):
                await self._idle.wait()
        except TimeoutError:
            self._leave_all()
            await self._idle.wait()

    async def abandon(self, limit: float) -> bool:
        """Cancel everything now; whether all slots were empty within `limit` seconds."""
        self.draining = True
        self._leave_all()
        for task in self._turns.tasks.values():
            task.cancel()
        if self._slots:
            self._all_free = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._all_free}, timeout=limit)
        return not self._slots

    def unfinished(self, account: str) -> int:
        """How many jobs of an account have not ended; those of a queue are the queue's."""
        return self._counts.get(account, 0)

    def _leave_all(self) -> None:
        for job in self.jobs:
            job.is_left = job.is_left or job.verdict is None
            self.cancel(job, "the node is stopping")

    # -- slots -----------------------------------------------------------------------------------

    def _enqueue(self, job: Job) -> None:
        job.state = JobState.AVAILABLE
        self._waiting.add(job)
        self._fill_slots()

    def _fill_slots(self) -> None:
        slots, waiting = self._slots, self._waiting
        while waiting and len(slots) < self.concurrency and (job := waiting.take()) is not None:
            job.state = JobState.RUNNING
            slots[job] = None
            self._turns.start(job)
        self.on_change()

    async def _run(self, job: Job) -> None:
        """A slot's life: run the job once, settle it or put it off, free the slot."""
        try:
            if job.verdict is not None:  # stopped before it began
                self._fail(job, job.verdict)
                return
            run: Run | None = None
            try:
                run = self._begin(job)
                result = job.task.signature.check_result(await execute(job, self.cancel_grace))
            except BaseException as error:  # some libraries' errors are no Exception
                outcome = job.verdict or failure_of(error)
                self._after(run, outcome)
                self._failed(job, outcome)
                if isinstance(error, KeyboardInterrupt | GeneratorExit):
                    raise
            else:
                self._after(run, None)
                self._settle(job, JobState.SUCCEEDED, result)
        finally:
            del self._slots[job]
            self._waiting.ended(job.task)
            self._fill_slots()
            if self._all_free is not None and not self._slots and not self._all_free.done():
                self._all_free.set_result(None)

    def _begin(self, job: Job) -> Run | None:
        if log.isEnabledFor(logging.INFO):
            log.info("[%s] %s: running for %s", job.id, job.task.name, job.account)
        if job.task.timeout is not None:
            job.alarm = asyncio.get_running_loop().call_later(
                job.task.timeout, self._takes_too_long, job
            )
        job.begin()
        if not self._middleware:
            return None
        run = Run(job.id, job.task.name, job.caller, job.attempt, job.options.meta)
        tell(self._middleware, job.id, lambda layer: layer.before_run(run))
        return run

    def _after(self, run: Run | None, error: BaseException | None) -> None:
        if run is not None:
            layers = reversed(self._middleware)
            tell(layers, run.job_id, lambda layer: layer.after_run(run, error))

    # -- ends before its time --------------------------------------------------------------------

    def _time_is_over(self, job: Job) -> None:
        where = "waited for its turn" if job.started is None else "ran"
        last = "" if job.last_error is None else f", after {job.last_error}"
        self._stop(job, JobTimeout(f"the time of its caller is over: it still {where}{last}"))

    def _takes_too_long(self, job: Job) -> None:
        limit = f"{job.task.timeout:g} s"
        self._stop(
            job, JobTimeout(f"stopped after {limit}, the limit for a run of {job.task.name}")
        )

    def _stop(self, job: Job, verdict: JabotError, reason: str = "") -> None:
        """End a job before its time: at once when it does not run, else when it lets go."""
        if job.status != "unknown" or job.verdict is not None:
            return
        job.verdict = verdict
        job.cancellation.set(reason)
        if job not in self._slots:
            self._waiting.remove(job)
            self._fail(job, verdict)
            self.on_change()
            return
        log.info("[%s] %s: to be stopped", job.id, job.task.name)
        if job.started is None:
            return  # it looks before it runs anything
        kind = job.task.kind
        if kind not in THREADED:
            self._turns.tasks[job].cancel()
        if job.alarm is not None:
            job.alarm.cancel()
        if kind not in KILLABLE:
            loop = asyncio.get_running_loop()
            job.alarm = loop.call_later(self.cancel_grace, self._give_up, job, verdict)

    def _give_up(self, job: Job, verdict: JabotError) -> None:
        log.warning("[%s] %s does not stop; it keeps its slot", job.id, job.task.name)
        self._fail(job, type(verdict)(f"{verdict}; it does not stop yet"))

    # -- outcomes --------------------------------------------------------------------------------

    def _failed(self, job: Job, error: JabotError) -> None:
        """A run has ended with an error: the job's outcome, unless there is another attempt."""
        if job.status != "unknown":
            return  # given up before; what came of it in the end interests nobody
        delay = self._backoff(job, error)
        log_failure(job, error, delay)
        if delay is None:
            self._fail(job, error)
        else:
            job.put_off(error)
            job.alarm = asyncio.get_running_loop().call_later(delay, self._enqueue, job)

    def _backoff(self, job: Job, error: JabotError) -> float | None:
        """Seconds until the next attempt; None when there is to be none."""
        if self.draining or isinstance(error, JobCancelled) or job.options.via is not None:
            return None  # a queue decides itself about its jobs
        try:
            delay = job.task.retry.delay(job.runs, error, self._chance)
        except Exception:
            log.exception("[%s] the retry policy of %s raised", job.id, job.task.name)
            return None
        if delay is not None and job.deadline is not None:
            due = asyncio.get_running_loop().time() + delay
            return delay if due < job.deadline else None
        return delay

    def _fail(self, job: Job, error: JabotError) -> None:
        ours = isinstance(error, JobCancelled | Draining)
        self._settle(job, JobState.CANCELLED if ours else JobState.FAILED, error)

    def _settle(self, job: Job, state: JobState, outcome: Any) -> None:
        if job.status != "unknown":
            return
        job.state = state
        if state is JobState.SUCCEEDED:
            self.succeeded += 1
        elif state is JobState.FAILED:
            self.failed += 1
            self.last_failure = Failure(job.task.name, job.caller.bare, str(outcome), time.time())
        if job.alarm is not None:
            job.alarm.cancel()
        del self._jobs[job]
        self._counts[job.account] -= 1
        if not self._counts[job.account]:
            del self._counts[job.account]
        if log.isEnabledFor(logging.INFO):
            log.info("[%s] %s: %s", job.id, job.task.name, state.value)
        if state is JobState.SUCCEEDED:
            job.succeed(outcome)
        else:
            job.fail(outcome)
        if job.deadline is not None:
            self._deadlines.remove(job)
        if not self._jobs:
            self._idle.set()
