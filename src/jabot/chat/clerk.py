"""What chat needs of a node: who may do what, and who does what people ask for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from jabot.errors import BadArguments
from jabot.jid import JID
from jabot.runner import Desk
from jabot.tasks import Bind, Offer

Answer: TypeAlias = str | Coroutine[Any, Any, str]
"""A text for a person, or what gives one in a while. Both raise `JabotError` to say no."""
Taken: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Asker:
    """Who says it, and what that allows."""

    jid: JID
    manages: bool


@dataclass(frozen=True)
class Command:
    """A word that is no task, and what follows it: `cancel ID`. `act` takes who asks and the words
    that follow."""

    usage: str
    about: str
    act: Callable[..., Answer]
    for_managers: bool = False
    hint: str = ""
    """For who gives other words than `usage` says."""
    takes_any: bool = False
    """Whether such will do as well."""

    @property
    def word(self) -> str:
        """By which it is called."""
        return self.usage.split()[0]

    @property
    def help(self) -> str:
        """A line about it."""
        return f"{self.usage}: {self.about}"

    def run(self, asker: Asker, words: list[str]) -> Answer:
        """Do it. Raises `BadArguments` for words that it cannot use."""
        wanted = self.usage.split()[1:]
        if self.takes_any or (len(words) == len(wanted) and all(words)):
            return self.act(asker, *words)
        if not wanted:
            raise BadArguments(f"{self.word} stands alone")
        raise BadArguments(f"say: {self.usage}" + (f" ({self.hint})" if self.hint else ""))


def cancelling(act: Callable[[Asker, str], Answer]) -> Command:
    """The word `cancel`, for every kind of clerk. Its `act` takes an id, or the name of a task."""
    return Command(
        "cancel ID",
        "stop a job; the task's name will do when it is clear which one you mean.",
        act,
        hint="jobs shows the ids",
    )


def by_word(*commands: Command) -> dict[str, Command]:
    """In their order."""
    return {command.word: command for command in commands}


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
        self, offer: Offer, person: JID, bind: Bind, taken: Taken = lambda job_id: None
    ) -> Answer:
        """Take a job, whose arguments `bind` makes, once the person's right was checked; and answer
        how that went. `taken` is called with its id before it can have ended."""

    def run(self, offer: Offer, person: JID, bind: Bind) -> Answer:
        """The same for a line in a room, where one answer is all there is: it tells the outcome, or
        that the job is kept and its outcome will be told to the person alone."""
