"""What a worker does with each input in each phase of a job: the table that `worker.py` runs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple


class _Word(enum.Enum):
    """An enum that costs little as a key: Python's own hashes its name each time."""

    __hash__ = object.__hash__


class Phase(_Word):
    """Where a job stands on its worker."""

    UNKNOWN = "unknown"  # never heard of, or forgotten
    AVAILABLE = "available"  # taken, and waits for a slot
    RUNNING = "running"
    CANCELLING = "cancelling"  # was told to stop, and has not yet
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"  # nothing was run


class Input(_Word):
    """What can happen to it. Frames with an earlier attempt than the job's are passed over."""

    SUBMIT = "`submit`"
    NEXT_SUBMIT = "`submit` of a later attempt"
    CANCEL = "`cancel`"
    NEXT_CANCEL = "`cancel` of a later attempt"
    QUERY = "`query`"
    NEXT_QUERY = "`query` for a later attempt"
    REJECT = "the owner refuses it"
    START = "it begins to run"
    STEP = "it tells progress"
    SUCCEED = "it returns"
    FAIL = "it raises"
    STOP = "it was stopped"
    EXPIRE = "its outcome was kept long enough"


class Do(_Word):
    """What is done then."""

    TAKE = "start it; or `rejected` when stopping, or when the caller has too many jobs here"
    TELL = "answer with its outcome, or else with `state` and the newest `progress`"
    RENUMBER = "it is that attempt from now on; answer as *tell*"
    DENY = "answer with `state`: unknown"
    CANCEL = "tell the runner to stop it, and do not start it anew"
    FOLLOW = "start it anew when it has stopped, unless it succeeds: then answer with that"
    FORESTALL = "answer with `cancelled`; a submit that comes later will not start it"
    REJECT = "send `rejected`"
    NOTE = "note it"
    STEP = "send `progress`"
    SUCCEED = "send `succeeded`"
    FAIL = "send `failed`"
    STOP = "send `cancelled`"
    FORGET = "forget it"


class Step(NamedTuple):
    """One cell. `to` is where it leads unless what is done says otherwise."""

    do: Do
    to: Phase


_HELD: Final = {
    Input.SUCCEED: Step(Do.SUCCEED, Phase.SUCCEEDED),
    Input.FAIL: Step(Do.FAIL, Phase.FAILED),
    Input.STOP: Step(Do.STOP, Phase.CANCELLED),
}


def _taken(phase: Phase) -> dict[Input, Step]:
    return {
        **_HELD,
        Input.SUBMIT: Step(Do.TELL, phase),
        Input.NEXT_SUBMIT: Step(Do.RENUMBER, phase),
        Input.QUERY: Step(Do.TELL, phase),
        Input.NEXT_QUERY: Step(Do.RENUMBER, phase),
    }


_BEGIN: Final = Step(Do.TAKE, Phase.AVAILABLE)
_FORESTALL: Final = Step(Do.FORESTALL, Phase.CANCELLED)


def _ended(phase: Phase, *, final: bool) -> dict[Input, Step]:
    """What succeeded is the answer for later attempts as well; what did not may begin anew. A queue
    also stops an attempt that it has given up, and then has the job done again."""
    same = Step(Do.RENUMBER, phase)
    return {
        Input.SUBMIT: Step(Do.TELL, phase),
        Input.NEXT_SUBMIT: same if final else _BEGIN,
        Input.CANCEL: Step(Do.TELL, phase),
        Input.NEXT_CANCEL: same if final else _FORESTALL,
        Input.QUERY: Step(Do.TELL, phase),
        Input.NEXT_QUERY: same if final else Step(Do.DENY, phase),
        Input.EXPIRE: Step(Do.FORGET, Phase.UNKNOWN),
    }


# A cell that is not here: the input changes nothing in that phase.
TABLE: Final[Mapping[Phase, Mapping[Input, Step]]] = {
    Phase.UNKNOWN: {
        Input.SUBMIT: _BEGIN,
        Input.CANCEL: _FORESTALL,
        Input.QUERY: Step(Do.DENY, Phase.UNKNOWN),
    },
    Phase.AVAILABLE: {
        **_taken(Phase.AVAILABLE),
        Input.CANCEL: Step(Do.CANCEL, Phase.CANCELLING),
        Input.NEXT_CANCEL: Step(Do.CANCEL, Phase.CANCELLING),
        Input.REJECT: Step(Do.REJECT, Phase.REFUSED),
        Input.START: Step(Do.NOTE, Phase.RUNNING),
        Input.STEP: Step(Do.STEP, Phase.RUNNING),
    },
    Phase.RUNNING: {
        **_taken(Phase.RUNNING),
        Input.CANCEL: Step(Do.CANCEL, Phase.CANCELLING),
        Input.NEXT_CANCEL: Step(Do.CANCEL, Phase.CANCELLING),
        Input.STEP: Step(Do.STEP, Phase.RUNNING),
    },
    Phase.CANCELLING: {
        **_taken(Phase.CANCELLING),
        Input.NEXT_SUBMIT: Step(Do.FOLLOW, Phase.CANCELLING),
        Input.CANCEL: Step(Do.CANCEL, Phase.CANCELLING),
        Input.NEXT_CANCEL: Step(Do.CANCEL, Phase.CANCELLING),
        Input.STEP: Step(Do.STEP, Phase.CANCELLING),
    },
    Phase.SUCCEEDED: _ended(Phase.SUCCEEDED, final=True),
    Phase.FAILED: _ended(Phase.FAILED, final=False),
    Phase.CANCELLED: _ended(Phase.CANCELLED, final=False),
    Phase.REFUSED: _ended(Phase.REFUSED, final=False),
}
ENDED: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.REFUSED})
