"""What a caller does with each input in each phase of a job: the table that `caller.py` runs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple


class _Word(enum.Enum):
    """An enum that costs little as a key: Python's own hashes its name each time."""

    __hash__ = object.__hash__


class Phase(_Word):
    """Where a job stands, as its caller knows."""

    WAITING = "waiting"  # no worker has it; the owner looks for one, or a backoff runs
    OFFERED = "offered"  # a submit is on its way
    ACCEPTED = "accepted"  # a worker is responsible
    CANCELLING = "cancelling"  # the worker was asked to stop it
    ASKING = "asking"  # re-attached by id: one or more workers were asked for it
    ENDED = "ended"  # has its outcome, and is forgotten


class Input(_Word):
    """What can happen to it."""

    ANSWERED = "the submit's batch was answered"
    ACCEPTED = "`accepted`"
    REJECTED = "`rejected`"
    PROGRESS = "`progress`"
    SUCCEEDED = "`succeeded`"
    FAILED = "`failed`"
    CANCELLED = "`cancelled`"
    LIVE = "`state`: not ended"
    UNKNOWN = "`state`: unknown"
    UNREADABLE = "an unreadable frame about it"
    BOUNCED = "the batch found nobody"
    PUT_OFF = "the worker takes nothing for now"
    BACK = "the worker or the connection is back"
    LOST = "the worker stays away"
    DUE = "the backoff is over"
    CANCEL = "the owner cancels"
    TIMEOUT = "its time is over"


class Do(_Word):
    """What is done then."""

    TAKE = "tell that it is accepted"
    ADOPT = "it is with this worker: stop asking the others, and tell that it is accepted"
    STEP = "tell the progress if it is newer"
    ADOPT_STEP = "as *adopt*, and tell the progress"
    SUCCEED = "end with the result"
    FAIL = "end with the error, or retry as the policy says"
    REFUSE = (
        "end with the error that the code stands for; look for another worker when it is "
        "`draining` or `too_many_jobs` and the job may move"
    )
    STOP = "end with JobCancelled"
    LOSE = (
        "end with WorkerLost, or retry as the policy says (NobodyThere if it never arrived); what "
        "a queue may have: look for another node of the queue"
    )
    MISS = "as *lose*; what a queue had: send `submit` again"
    CHASE = (
        "end with JobCancelled; what a queue may have: look for another node of the queue, to send "
        "`cancel` to"
    )
    RECALL = (
        "end with JobCancelled; what a queue may have: send `cancel` as soon as there is a node of "
        "the queue"
    )
    MOVE = "look for another worker if it surely never arrived and may move"
    SPARE = "look for another worker if this one surely has it not and it may move"
    BLAME = "end with RemoteProtocolError"
    DISMISS = (
        "ask this worker no more; end with UnknownJob when it was the last (if that is a node of a "
        "queue that stays away: look for another one)"
    )
    SEEK = "look for a worker"
    OFFER = "send `submit` again"
    ASK = "send `query`"
    CALL_OFF = "send `cancel`"
    INSIST = "if it is a queue: it has it now; send `cancel` again, that came perhaps too early"
    REPEAT = "if it is a queue: send `cancel` again, now that no `submit` is on its way"
    CONFIRM = "end with JobCancelled, unless a `submit` to a queue is still on its way"
    QUIT = "send `cancel` to all that were asked, end with JobCancelled"
    EXPIRE = "send `cancel` if a worker has it, end with JobTimeout"


class Step(NamedTuple):
    """One cell. `to` is where it leads unless what is done says otherwise."""

    do: Do
    to: Phase


_OUTCOMES: Final = {
    Input.SUCCEEDED: Step(Do.SUCCEED, Phase.ENDED),
    Input.FAILED: Step(Do.FAIL, Phase.ENDED),
    Input.CANCELLED: Step(Do.STOP, Phase.ENDED),
}
_ENDS: Final = {
    **_OUTCOMES,
    Input.UNREADABLE: Step(Do.BLAME, Phase.ENDED),
    Input.TIMEOUT: Step(Do.EXPIRE, Phase.ENDED),
}

# A cell that is not here: the input changes nothing in that phase.
TABLE: Final[Mapping[Phase, Mapping[Input, Step]]] = {
    Phase.WAITING: {
        **_OUTCOMES,  # from another node of the queue that has it
        Input.DUE: Step(Do.SEEK, Phase.WAITING),
        Input.CANCEL: Step(Do.RECALL, Phase.ENDED),
        Input.TIMEOUT: Step(Do.EXPIRE, Phase.ENDED),
    },
    Phase.OFFERED: {
        **_ENDS,
        Input.ANSWERED: Step(Do.TAKE, Phase.ACCEPTED),
        Input.ACCEPTED: Step(Do.TAKE, Phase.ACCEPTED),
        Input.REJECTED: Step(Do.REFUSE, Phase.ENDED),
        Input.PROGRESS: Step(Do.ADOPT_STEP, Phase.ACCEPTED),
        Input.LIVE: Step(Do.TAKE, Phase.ACCEPTED),
        Input.BOUNCED: Step(Do.MOVE, Phase.OFFERED),
        Input.PUT_OFF: Step(Do.SPARE, Phase.OFFERED),
        Input.BACK: Step(Do.OFFER, Phase.OFFERED),
        Input.LOST: Step(Do.LOSE, Phase.ENDED),
        Input.CANCEL: Step(Do.CALL_OFF, Phase.CANCELLING),
    },
    Phase.ACCEPTED: {
        **_ENDS,
        Input.REJECTED: Step(Do.REFUSE, Phase.ENDED),
        Input.PROGRESS: Step(Do.STEP, Phase.ACCEPTED),
        Input.UNKNOWN: Step(Do.MISS, Phase.ENDED),
        Input.BACK: Step(Do.ASK, Phase.ACCEPTED),
        Input.LOST: Step(Do.LOSE, Phase.ENDED),
        Input.CANCEL: Step(Do.CALL_OFF, Phase.CANCELLING),
    },
    Phase.CANCELLING: {
        **_ENDS,
        Input.ANSWERED: Step(Do.INSIST, Phase.CANCELLING),
        Input.REJECTED: Step(Do.REFUSE, Phase.ENDED),
        Input.PROGRESS: Step(Do.STEP, Phase.CANCELLING),
        Input.UNKNOWN: Step(Do.CONFIRM, Phase.ENDED),
        Input.BOUNCED: Step(Do.REPEAT, Phase.CANCELLING),
        Input.PUT_OFF: Step(Do.REPEAT, Phase.CANCELLING),
        Input.BACK: Step(Do.CALL_OFF, Phase.CANCELLING),
        Input.LOST: Step(Do.CHASE, Phase.ENDED),
    },
    Phase.ASKING: {
        **_ENDS,
        Input.ACCEPTED: Step(Do.ADOPT, Phase.ACCEPTED),
        Input.REJECTED: Step(Do.REFUSE, Phase.ENDED),
        Input.PROGRESS: Step(Do.ADOPT_STEP, Phase.ACCEPTED),
        Input.LIVE: Step(Do.ADOPT, Phase.ACCEPTED),
        Input.UNKNOWN: Step(Do.DISMISS, Phase.ASKING),
        Input.BACK: Step(Do.ASK, Phase.ASKING),
        Input.LOST: Step(Do.DISMISS, Phase.ASKING),
        Input.CANCEL: Step(Do.QUIT, Phase.ENDED),
    },
    Phase.ENDED: {},
}
