"""The states of a job, and the one table that says which event leads where."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class JobState(enum.Enum):
    """Where a job stands."""

    SCHEDULED = "scheduled"  # not before a time
    AVAILABLE = "available"  # may be run as soon as somebody is free
    RUNNING = "running"  # a worker has an attempt of it
    RETRYABLE = "retryable"  # an attempt failed; the next one waits for its backoff
    SUCCEEDED = "succeeded"  # the task returned
    FAILED = "failed"  # out of attempts, or cannot run: a dead letter
    CANCELLED = "cancelled"  # somebody stopped it

    @property
    def ended(self) -> bool:
        """Whether the job has its outcome."""
        return self in ENDED


class JobEvent(enum.Enum):
    """What can happen to a job."""

    DUE = "due"  # its time has come, or its backoff is over
    START = "start"  # an attempt was given to a worker
    SUCCEED = "succeed"  # the attempt returned
    RETRY = "retry"  # the attempt failed or its worker was lost, and attempts are left
    FAIL = "fail"  # the same, and none is left
    RELEASE = "release"  # the worker hands it back without having run it
    CANCEL = "cancel"  # somebody cancelled it
    EXPIRE = "expire"  # it was not begun before the time that was set for that
    REVIVE = "revive"  # somebody wants an ended one to be run again


_S, _E = JobState, JobEvent
ENDED: Final = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED})

TRANSITIONS: Final[Mapping[JobState, Mapping[JobEvent, JobState]]] = {
    _S.SCHEDULED: {
        _E.DUE: _S.AVAILABLE,
        _E.CANCEL: _S.CANCELLED,
        _E.EXPIRE: _S.FAILED,
        _E.FAIL: _S.FAILED,
    },
    _S.AVAILABLE: {
        _E.START: _S.RUNNING,
        _E.CANCEL: _S.CANCELLED,
        _E.EXPIRE: _S.FAILED,
        _E.FAIL: _S.FAILED,
    },
    _S.RUNNING: {
        _E.SUCCEED: _S.SUCCEEDED,
        _E.RETRY: _S.RETRYABLE,
        _E.FAIL: _S.FAILED,
        _E.RELEASE: _S.AVAILABLE,
        _E.CANCEL: _S.CANCELLED,
    },
    _S.RETRYABLE: {
        _E.DUE: _S.AVAILABLE,
        _E.CANCEL: _S.CANCELLED,
        _E.EXPIRE: _S.FAILED,
        _E.FAIL: _S.FAILED,
    },
    _S.SUCCEEDED: {},
    _S.FAILED: {_E.REVIVE: _S.AVAILABLE},
    _S.CANCELLED: {_E.REVIVE: _S.AVAILABLE},
}
