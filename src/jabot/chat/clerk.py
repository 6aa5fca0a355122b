"""What chat needs of a node: who may do what, and who does what people ask for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from jabot.errors import BadArguments
from jabot.jid import JID
from jabot.runner import Desk
from jabot.tasks import Offer, Signature

Answer: TypeAlias = str | Coroutine[Any, Any, str]
"""A text for a person, or what gives one in a while. Both raise `JabotError` to say no."""
Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
Taken: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Asker:
    """Who says it, and what that allows."""

    jid: JID
    manages: bool


@dataclass(frozen=True)
class Command:
    """A word that is no task. `run` takes who asks and the words after the command, and raises
    `BadArguments` for words that it cannot use."""

    usage: str
    help: str
    run: Callable[[Asker, list[str]], Answer]
    for_managers: bool = False


class Clerk(Protocol):
    """Does what people ask for: a node by itself, a queue by its workers.

    What becomes of a job it tells the person through `Talks`.
    """

    @property
    def commands(self) -> Mapping[str, Command]:
        """Its words, besides those that all have."""

    @property
    def desk(self) -> Desk:
        """Who the node is, and who may do what there."""

    def find(self, word: str) -> Offer | None:
        """The task that a person means by a word."""

    def does(self, offer: Offer) -> bool:
        """Whether this node does a task itself, and has no worker do it."""

    def allowed(self, person: JID) -> Sequence[Offer]:
        """The tasks that somebody may have run."""

    def start(
        self,
        offer: Offer,
        person: JID,
        bind: Callable[[Signature], Arguments],
        taken: Taken = lambda job_id: None,
    ) -> Answer:
        """Take a job, whose arguments `bind` makes, once the person's right was checked; and answer
        how that went. `taken` is called with its id before it can have ended."""

    def run(self, offer: Offer, person: JID, bind: Callable[[Signature], Arguments]) -> Answer:
        """The same for a line in a room, where one answer is all there is: it tells the outcome, or
        that the job is kept and its outcome will be told to the person alone."""


def alone(words: list[str], command: str) -> None:
    """Raises `BadArguments` when words follow a command that takes none."""
    if words:
        raise BadArguments(f"{command} stands alone")


def one(words: list[str], usage: str) -> str:
    """The one word of a command that takes one."""
    if len(words) != 1 or not words[0]:
        raise BadArguments(f"say: {usage}")
    return words[0]
