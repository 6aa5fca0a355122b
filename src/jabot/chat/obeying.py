"""What a line of a person means: a command, a task, or free text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from jabot.chat import texts, words
from jabot.chat.clerk import Answer, Asker, Clerk
from jabot.chat.commands import Commands, dunno
from jabot.errors import BadArguments, JabotError, NotAllowed
from jabot.jid import JID
from jabot.pace import Pace
from jabot.tasks import Bind, Offer
from jabot.xmpp.shares import Status

log = logging.getLogger(__name__)

_PROMPT = 2.0  # seconds: a job that ends within them is not said to run
_HANDLERS = 8  # calls of on_message at once; a plain function has a thread for each

OnMessage = Callable[["Message"], Awaitable[str | None]]
Start: TypeAlias = Callable[[Offer, JID, Bind], Answer]
Part: TypeAlias = tuple[Status, str]
"""What came of a line in a room at this node, and its text."""


@dataclass(frozen=True)
class Message:
    """Free text that is no command, as `on_message` gets it."""

    sender: JID
    text: str


class Obeying:
    """Does what people say, wherever they say it. Each task checks their right to it; whether they
    have any, `take_part` looks itself, and who calls `obey` does."""

    def __init__(
        self, clerk: Clerk, *, on_message: OnMessage | None = None, pace: Pace | None = None
    ) -> None:
        self._clerk = clerk
        self._commands = Commands(clerk)
        self._on_message = on_message
        self.pace = pace or Pace(burst=50, rate=10)
        """Of each person's lines, in chat and in rooms together."""
        # Another bot may take "Dunno" for something to answer; this ends such a talk.
        self._dunnos = Pace(burst=30, rate=0.2)
        self._handling: set[asyncio.Task[str | None]] = set()  # calls of on_message
        self._pending: set[asyncio.Task[None]] = set()  # parts of answers

    @property
    def own(self) -> JID:
        """Our full address."""
        return self._clerk.desk.own()

    def knows(self, person: JID) -> bool:
        """Whether somebody has any right here."""
        return self._clerk.desk.knows(person)

    @property
    def pending(self) -> int:
        """How many lines in rooms, and private messages through them, have no outcome here yet."""
        return len(self._pending)

    def close(self) -> None:
        """Give up what `on_message` still does, and parts that are not there yet."""
        for task in (*self._handling, *self._pending):
            task.cancel()

    def find(self, line: str) -> Offer | None:
        """The task that a line asks for, if it is one."""
        return self._clerk.find(_word(line))

    def obey(self, person: JID, line: str) -> Answer | asyncio.Task[str | None] | None:
        """Do what a line says. None: there is nothing to answer. A Task is `on_message`, which
        raises nothing, and may have no answer either. Raises what a person is to be told with
        `refusal`."""
        return self._obey(person, line, self._clerk.start)

    def take_part(
        self,
        person: JID,
        line: str,
        give: Callable[[Part], None],
        *,
        beside_others: bool = False,
    ) -> None:
        """Do what somebody says in a room, and `give` what came of it, which nobody was told yet;
        before that, if it takes longer than two seconds, that it runs.

        `beside_others` is whether nodes that are no queues hear the line as well: then this one, if
        it is a queue, leaves to them what it would have a worker do.
        """
        part = self._taken(person, line, beside_others)
        if isinstance(part, tuple):
            give(part)
            return
        pending = asyncio.ensure_future(_give_later(part, give))
        self._pending.add(pending)
        pending.add_done_callback(self._pending.discard)

    def _taken(
        self, person: JID, line: str, beside_others: bool
    ) -> Part | Coroutine[Any, Any, Part]:
        if not self.knows(person):
            return "stranger", ""
        if not self.pace.take(person.bare, asyncio.get_running_loop().time()):
            return (
                ("failed", "too fast") if self.pace.dropped(person.bare) == 1 else ("nothing", "")
            )
        self.pace.forgive(person.bare)
        offer = self.find(line)
        if beside_others and self._is_for_others(_word(line), offer):
            return "nothing", ""
        try:
            answer = self._obey(person, line, self._clerk.run)
        except Exception as problem:
            return _part_of(problem, person, offer)
        if answer is None or isinstance(answer, str):
            return _part(answer)
        return _part_later(person, answer, offer)

    def _obey(
        self, person: JID, line: str, start: Start
    ) -> Answer | asyncio.Task[str | None] | None:
        word, rest = (*line.split(maxsplit=1), "")[:2]
        command, offer = self._commands.find(word), self._clerk.find(word)
        asker = Asker(person, bool(self._clerk.desk.may_manage(person)))
        if command is not None:
            return command.run(asker, words.split(rest))
        if offer is not None:
            return start(offer, person, lambda signature: words.bind(signature, words.split(rest)))
        if self._on_message is not None:
            return self._handle(self._on_message, Message(person, line))
        if not self._dunnos.take(person.bare, asyncio.get_running_loop().time()):
            return None
        return dunno(word, self._commands.allowed_names(asker))

    def _is_for_others(self, word: str, offer: Offer | None) -> bool:
        if self._commands.find(word) is not None:
            return False
        return self._on_message is None if offer is None else not self._clerk.does(offer)

    def _handle(self, handler: OnMessage, message: Message) -> asyncio.Task[str | None]:
        """Call `on_message`; gives what it answers, whatever happens in it."""
        if len(self._handling) >= _HANDLERS:
            raise JabotError(texts.BUSY)

        async def ask() -> str | None:
            try:
                return await handler(message) or None
            except Exception:
                log.exception("on_message raised on a line of %s", message.sender.bare)
                return texts.WENT_WRONG

        handling = asyncio.ensure_future(ask())
        self._handling.add(handling)
        handling.add_done_callback(self._handling.discard)
        return handling


def refusal(problem: Exception, person: JID, offer: Offer | None) -> str:
    """What a person is told whose line was not obeyed."""
    if not isinstance(problem, JabotError):
        log.error("a line of %s could not be handled", person.bare, exc_info=problem)
        return texts.WENT_WRONG
    log.info("refused a line of %s: %s", person.bare, problem)
    text = _sentence(str(problem))
    if not isinstance(problem, BadArguments):
        return text[:1].upper() + text[1:]
    return f"{text}\nUsage: {offer.usage}" if offer is not None else text


def _word(line: str) -> str:
    return line.split(maxsplit=1)[0]


async def _give_later(coming: Coroutine[Any, Any, Part], give: Callable[[Part], None]) -> None:
    running = asyncio.get_running_loop().call_later(_PROMPT, give, ("running", ""))
    try:
        part = await coming
    finally:
        running.cancel()
    give(part)


async def _part_later(person: JID, answer: Awaitable[str | None], offer: Offer | None) -> Part:
    try:
        return _part(await answer)
    except Exception as problem:
        return _part_of(problem, person, offer)


def _part(answer: str | None) -> Part:
    return ("nothing", "") if answer is None else ("answered", answer)


def _part_of(problem: Exception, person: JID, offer: Offer | None) -> Part:
    """What came of a line that was not obeyed, or whose job failed."""
    text = refusal(problem, person, offer)
    return ("refused", "") if isinstance(problem, NotAllowed) else ("failed", text)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
