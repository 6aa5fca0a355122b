"""What every store can do."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct

from jabot.errors import StoreError
from jabot.queue.store.verbs import Question, Verb


class Impossible(StoreError):
    """A verb that the store can never do: what it holds is too large for an index, for one. Others
    are not touched by that."""


class News(Struct, frozen=True):
    """What another process on the same store did."""

    kind: Literal["ready", "ended", "cancelling", "progress", "changed"]
    # `ready`: jobs of a kind have become available; `ended`: a job has; `cancelling`: a running
    # job is to be stopped; `progress`: of a running job; `changed`: what `what` says
    what: str  # the kind, or the job's id; `schedules` or `tasks`, or empty: perhaps both
    detail: str = ""  # of `cancelling`: why; of `ended`: who has not heard of it; of `progress`:
    # that, and the step


class Store(Protocol):
    """Where the jobs are. One process may use it from one event loop."""

    async def open(self) -> list[News]:
        """Make or migrate the schema, and take hold of it.

        Raises `StoreError` when it cannot be used for good: a schema from the future, a file that
        is no database, another process that has the file. Answers `changed` when jobs are there,
        and `ready` for each kind of which some may run.
        """

    async def apply(self, verbs: list[Verb]) -> list[Any]:
        """Do all of them, or none. Answers one thing for each.

        Raises `Impossible` when one of them can never be done; `StoreError` when the store is of
        no use any more.

        Raises `StoreUnavailable` when it cannot be done now: the disk is full, the server is away.
        Nothing was done then, as far as is known: say them again. It may have been done, when the
        answer to a commit was lost. Said again, `Add` finds its job (`is_new` is False); `Finish`
        does not stand, and tells the state that it brought about; `Cancel` finds the job as it
        left it; `Revive` and `Fire` are answered with None. Children that ended by the first time
        are not told of again, and have to be looked up. What a `Claim` took is running for this
        node: `Orphans` tells of it.
        """

    async def read(self, verb: Question) -> Any:
        """A question that may take long, beside the work; what it sees may be a little old."""

    def listen(self, heard: Any) -> None:
        """`heard(News)` is called on the event loop for what other processes do."""

    def tell(self, news: News) -> None:
        """Let other processes hear, sooner or later or never."""

    async def close(self) -> None:
        """Let go of it."""
