"""The class that extensions subclass: what happens around a job, on both of its sides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from jabot.jid import JID

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """One job as its caller gives it away."""

    id: str
    task: str
    to: str
    """The address that it is given to: of a pool, a queue or a node."""
    meta: dict[str, str] = field(default_factory=dict)
    """Travels with the job. `before_submit` may add to it; the protocol bounds its size."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job on its worker. A job that is retried has several."""

    job_id: str
    task: str
    caller: JID
    """Who asked for the job: the full address that the server vouches for."""
    attempt: int
    meta: Mapping[str, str]
    """What the caller's middleware sent along."""


class Middleware:
    """Subclass it and override what you need: the hooks do nothing.

    They are called on the event loop and must not block. What one raises is logged, and harms no
    job. The same objects are handed to the hook before and the hook after.
    """

    def before_submit(self, submission: Submission) -> None:
        """The caller is about to send a job."""

    def after_result(self, submission: Submission, error: BaseException | None) -> None:
        """The caller's handle is settled; `error` is None when the job succeeded."""

    def before_run(self, run: Run) -> None:
        """The task is about to run, in the same `contextvars` context as this hook."""

    def after_run(self, run: Run, error: BaseException | None) -> None:
        """The run is over, in the context of `before_run`; `error` is None when it succeeded.

        A thread that was given up may end long after its job did.
        """


def tell(layers: Iterable[Middleware], job_id: str, call: Callable[[Middleware], None]) -> None:
    """Call a hook of each layer, by `call`."""
    for layer in layers:
        try:
            call(layer)
        except Exception:
            log.exception("[%s] the middleware %r raised", job_id, layer)
