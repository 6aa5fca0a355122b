"""What becomes of a job whose attempt has ended. No I/O, and a clock that is handed in."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from jabot.errors import JabotError, TaskFailed, WorkerLost
from jabot.protocol import limits
from jabot.protocol.codec import too_large
from jabot.protocol.frames import Cancelled, Failed, Rejected, Succeeded
from jabot.protocol.options import JobOptions, RetryOptions
from jabot.protocol.refusals import TRANSIENT, shortened, shortened_traceback
from jabot.protocol.refusals import failure as error_in
from jabot.queue.names import is_task_name
from jabot.queue.store.records import Failure, Record
from jabot.queue.store.verbs import Finish
from jabot.tasks import Retry

LOST = "lost"
_FINAL = frozenset({"refused", "too_large", "expired", "parent", "undecodable"})


class Fate:
    """Ends for attempts, by what the authors of tasks say (`defaults`).

    A job without a policy of its own or its task's is not run again after an error, but it is when
    its worker was lost, up to `most_losses` attempts.
    """

    def __init__(
        self,
        defaults: Mapping[str, JobOptions],
        most_losses: int,
        *,
        wall: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._defaults = defaults
        self._most_losses = most_losses
        self._wall = wall
        self._chance = chance

    def ended(self, record: Record, frame: Succeeded | Failed | Cancelled | Rejected) -> Finish:
        """By the word of its worker."""
        match frame:
            case Succeeded() if len(frame.result) > limits.PAYLOAD:
                text = f"the result cannot be kept: {too_large(len(frame.result))}"
                failure = Failure("TooLarge", text, code="too_large")
            case Succeeded():
                return Finish(
                    record.id,
                    record.attempt,
                    "succeed",
                    self._wall(),
                    result=frame.result,
                    worker=record.worker,
                )
            case Cancelled():
                return Finish(
                    record.id,
                    record.attempt,
                    "cancel",
                    self._wall(),
                    failure=Failure("JobCancelled", frame.reason),
                    worker=record.worker,
                    outcome="cancelled",
                )
            case Rejected() if frame.code in TRANSIENT:
                return self.released(record)
            case Rejected() if frame.code == "unknown_task" and is_task_name(record.task):
                return self.released(record)  # another worker may have it
            case Rejected():
                failure = Failure(frame.code, frame.message, code="refused")
            case Failed():
                failure = Failure(frame.type, frame.message, frame.traceback, frame.code)
        return self.failed(record, failure)

    def failed(self, record: Record, failure: Failure) -> Finish:
        """With a failure, after which it may be tried again."""
        now = self._wall()
        wait = None if failure.code in _FINAL else self._wait(record, failure)
        if wait is not None and record.deadline is not None and now + wait >= record.deadline:
            wait = None
        return Finish(
            record.id,
            record.attempt,
            "fail" if wait is None else "retry",
            now,
            failure=failure,
            at=0.0 if wait is None else now + wait,
            worker=record.worker,
            outcome=failure.code if failure.code in (LOST, "timeout") else "failed",
        )

    def released(self, record: Record) -> Finish:
        """Without having begun."""
        return Finish(record.id, record.attempt, "release", self._wall(), worker=record.worker)

    def _wait(self, record: Record, failure: Failure) -> float | None:
        """Seconds to the next attempt, if there is one. What kills its workers may be the job."""
        defaults = self._defaults.get(record.task)
        policy = record.options.retry or (defaults.retry if defaults is not None else None)
        if policy is None:
            if failure.code != LOST:
                return None
            policy = RetryOptions(attempts=self._most_losses)
        return _retry(policy, failure.code).delay(record.runs, error_of(failure), self._chance)


def lost(worker: str, why: str) -> Failure:
    """The failure of an attempt whose worker is no more."""
    return Failure("WorkerLost", f"{worker} {why}", code=LOST)


def failure_frame(record_id: str, attempt: int, failure: Failure) -> Failed:
    """As it is told to a caller."""
    return Failed(
        record_id,
        attempt,
        shortened(failure.type),
        shortened(failure.message),
        shortened_traceback(failure.traceback),
        failure.code,
    )


def _retry(options: RetryOptions, code: str) -> Retry:
    on = (WorkerLost,) if code == LOST else tuple(options.on) or (TaskFailed, WorkerLost)
    return Retry(
        options.attempts, options.backoff, options.factor, options.most, options.jitter, on
    )


def error_of(failure: Failure) -> JabotError:
    """What a caller's program would raise."""
    if failure.code == LOST:
        return WorkerLost(failure.message)
    return error_in(Failed("-", 1, failure.type, failure.message, failure.traceback, failure.code))
