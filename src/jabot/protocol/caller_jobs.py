"""The jobs of a caller, who has them, and what a frame about one of them means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Raw, Struct

from jabot.errors import JabotError, LocalProtocolError
from jabot.protocol import codec, limits
from jabot.protocol.caller_states import Input, Phase
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import (
    NO_ARGS,
    NO_KWARGS,
    NO_META,
    NULL,
    Accepted,
    Cancelled,
    Failed,
    Progress,
    Rejected,
    State,
    Submit,
    Succeeded,
)

RetryPolicy = Callable[[int, JabotError], float | None]
"""From the number of runs that failed or were lost, and the error of the last one, to the seconds
before the next, or None when there is to be none."""


def never(runs: int, error: JabotError) -> float | None:
    """The policy without retries: a job runs at most once."""
    return None


class Request(Struct, frozen=True, gc=False):
    """One job as it is asked for."""

    id: str  # a UUIDv7; asking again with the same id is the same job
    task: str
    args: Raw = NO_ARGS
    kwargs: Raw = NO_KWARGS
    timeout: float | None = None  # seconds until `JobTimeout`
    retry: RetryPolicy = never
    movable: bool = False  # whether any worker of a pool will do
    meta: Mapping[str, str] | None = None
    options: Raw = NULL  # what only a queue can do for it
    for_queue: Raw = NULL  # the same and the rest of what a queue is told

    def check(self) -> None:
        """Raises `TooLarge` or `LocalProtocolError` for what no worker would take."""
        codec.check_payload(bytes(self.args), bytes(self.kwargs))
        if not 1 <= len(self.id) <= limits.ID or not 1 <= len(self.task) <= limits.TASK:
            raise LocalProtocolError(
                f"an id has 1 to {limits.ID} characters, and a task's name 1 to {limits.TASK}"
            )
        if not self.id.isascii() or not self.task.isascii() or self.meta:
            meta = dict(self.meta or {})
            codec.encode_frame(Submit(self.id, self.task, meta=meta))
            check_meta(meta)


def check_meta(meta: Mapping[str, str]) -> None:
    """Raises `LocalProtocolError` past the limits of `meta`."""
    if len(meta) > limits.META or any(
        len(key) > limits.META_KEY or len(value) > limits.META_VALUE for key, value in meta.items()
    ):
        raise LocalProtocolError(
            f"meta has at most {limits.META} entries, keys of {limits.META_KEY} and values of "
            f"{limits.META_VALUE} characters"
        )


class CallerJob(Struct, eq=False, gc=False):
    """What a caller knows of one job that has not ended."""

    request: Request
    id: str
    phase: Phase = Phase.WAITING
    peer: str | None = None  # who has it
    asked: frozenset[str] = frozenset()  # who was asked for it, while asking
    attempt: int = 1  # the number of the offer
    runs: int = 0  # of which a worker may have begun one, and it came to nothing
    seq: int = 0  # of the newest progress
    deadline: float | None = None
    copies: int = 0  # of the submit that are on their way: neither answered nor come back
    offered: float = 0.0  # when the newest one went
    doubtful: bool = False  # one of them went without an answer, and may have arrived
    avoid: frozenset[str] = frozenset()
    error: JabotError | None = None  # why it waits for a worker
    reason: str = ""  # of the cancel
    queue: str = ""  # the address of the queue that it was offered to last
    kept: bool = False  # that queue has said that it is on disk
    calls: int = 0  # the number of the newest cancel to a queue
    since: float | None = None  # from then on, it has had no node of that queue that took it

    def submit(self, now: float) -> Submit:
        """The frame that offers it."""
        request = self.request
        left = None if self.deadline is None else max(0.0, round(self.deadline - now, 3))
        return Submit(
            request.id,
            request.task,
            request.args,
            request.kwargs,
            self.attempt,
            left,
            dict(request.meta) if request.meta else NO_META,
            request.for_queue if self.queue else request.options,
        )

    @property
    def never_arrived(self) -> bool:
        """Whether each submit of it surely came back unread."""
        return self.phase is Phase.OFFERED and not (self.copies or self.doubtful or self.kept)

    def was_sent_in_vain(self, gone: float) -> bool:
        """Whether the only submit of it that did not come back yet went to a worker that had gone
        by then."""
        if self.phase is not Phase.OFFERED or self.queue or self.doubtful:
            return False
        return self.copies == 1 and self.offered >= gone

    @property
    def waits(self) -> bool:
        """Whether it needs somebody: to do it, or to stop it where a queue may have it."""
        return self.peer is None and self.phase in (Phase.WAITING, Phase.CANCELLING)

    @property
    def in_queue(self) -> bool:
        """Whether a queue has it, or may have."""
        return bool(self.queue) and (self.kept or self.doubtful)

    def is_with(self, peer: str) -> bool:
        """Whether this peer has it, or was asked for it, or gets it just now."""
        return peer in self.asked if self.phase is Phase.ASKING else peer == self.peer

    def heeds(self, peer: str, attempt: int) -> bool:
        """Whether a frame of this attempt from this peer is to be heard.

        The worker may count on by itself (a queue does): a higher attempt is news, a lower one is
        late. 0 stands for what has no attempt. For a queue any of its nodes may speak, and a job
        that it was offered twice is one job.
        """
        if self.phase is Phase.ASKING:
            return peer in self.asked
        if self.queue:
            return peer.partition("/")[0] == self.queue
        return peer == self.peer and (attempt >= self.attempt or attempt == 0)


class CallerJobs:
    """All jobs that have not ended, by id and by who has them or was asked for them."""

    def __init__(self) -> None:
        self._jobs: dict[str, CallerJob] = {}
        self._peers: dict[str, dict[str, CallerJob]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[CallerJob]:
        return iter(list(self._jobs.values()))

    def get(self, job_id: str) -> CallerJob | None:
        """The job, unless it has ended or never was."""
        return self._jobs.get(job_id)

    def add(self, job: CallerJob) -> None:
        """Keep a new job."""
        self._jobs[job.id] = job

    def remove(self, job: CallerJob) -> None:
        """It has ended."""
        self._jobs.pop(job.id, None)
        self.leave(job)

    def give(self, job: CallerJob, peer: str) -> None:
        """Note that `peer` has it now, and nobody else."""
        if job.peer is not None or job.asked:
            self.leave(job)
        job.peer = peer
        self._link(job, peer)

    def ask(self, job: CallerJob, peer: str) -> None:
        """Note that `peer` was asked for it as well."""
        job.asked |= {peer}
        self._link(job, peer)

    def dismiss(self, job: CallerJob, peer: str) -> None:
        """Note that `peer` does not have it."""
        job.asked -= {peer}
        self._unlink(job, peer)

    def leave(self, job: CallerJob) -> None:
        """Note that nobody has it."""
        if job.peer is not None:
            self._unlink(job, job.peer)
            job.peer = None
        for peer in job.asked:
            self.dismiss(job, peer)

    def at(self, peer: str) -> list[CallerJob]:
        """The jobs that a peer has or was asked for, in the order in which it got them."""
        return list(self._peers.get(peer, {}).values())

    def count_at(self, peer: str) -> int:
        """How many they are."""
        return len(self._peers.get(peer, ()))

    @property
    def peers(self) -> list[str]:
        """Who has jobs or was asked for some."""
        return list(self._peers)

    def _link(self, job: CallerJob, peer: str) -> None:
        jobs = self._peers.get(peer)
        if jobs is None:
            jobs = self._peers[peer] = {}
        jobs[job.id] = job

    def _unlink(self, job: CallerJob, peer: str) -> None:
        jobs = self._peers.get(peer)
        if jobs is not None:
            jobs.pop(job.id, None)
            if not jobs:
                del self._peers[peer]


_INPUTS: Final[Mapping[type[Incoming], Input]] = {
    Accepted: Input.ACCEPTED,
    Rejected: Input.REJECTED,
    Progress: Input.PROGRESS,
    Succeeded: Input.SUCCEEDED,
    Failed: Input.FAILED,
    Cancelled: Input.CANCELLED,
}


def input_of(frame: Incoming) -> Input | None:
    """What a frame from a worker about a job is to the table; None for another frame."""
    if isinstance(frame, State):
        return Input.UNKNOWN if frame.state == "unknown" else Input.LIVE
    return _INPUTS.get(type(frame))
