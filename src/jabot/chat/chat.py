"""The door for people: one line in, and what follows from it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from jabot.chat import texts, words
from jabot.chat.clerk import Answer, Arguments, Asker, Clerk
from jabot.chat.commands import Commands, dunno
from jabot.chat.talk import Mouth, Talks
from jabot.errors import BadArguments, JabotError, NotAllowed
from jabot.jid import JID
from jabot.pace import Pace
from jabot.pool import Pool
from jabot.tasks import Offer, Signature
from jabot.xmpp.shares import Status
from jabot.xmpp.stanzas import IncomingText, OutgoingText

log = logging.getLogger(__name__)

_MOST_HELD = 1_000  # lines to the pool, from the third of a second before the node has joined it
_HANDLERS = 8  # calls of on_message at once; a plain function has a thread for each
_MOST_UNANSWERED = 1_000  # lines of all people together whose answers are not there yet
_GATHER = 0.5  # seconds in which the server hands over what waited while we were away

OnMessage = Callable[["Message"], Awaitable[str | None]]
Start: TypeAlias = Callable[[Offer, JID, Callable[[Signature], Arguments]], Answer]
Part: TypeAlias = tuple[Status, str]
"""What came of a line in a room at this node, and its text."""


@dataclass(frozen=True)
class Message:
    """Free text that is no command, as `on_message` gets it."""

    sender: JID
    text: str


class Chat:
    """Answers people.

    Who has no right at all is told so, now and then, and learns nothing else. A line that waited in
    a store is never run: it was meant for another time.
    """

    def __init__(
        self,
        clerk: Clerk,
        talks: Talks,
        mouth: Mouth,
        pool: Pool,
        *,
        on_message: OnMessage | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._clerk = clerk
        self._talks = talks
        self._mouth = mouth
        self._pool = pool
        self._on_message = on_message
        self._commands = Commands(clerk)
        self._pace = pace or Pace(burst=50, rate=10)
        # Another bot may take "Dunno" for something to answer; this ends such a talk.
        self._dunnos = Pace(burst=30, rate=0.2)
        self._strangers = Pace(burst=1, rate=1 / 60)
        self._held: deque[tuple[IncomingText, bool]] = deque(maxlen=_MOST_HELD)
        self._missed: dict[JID, list[str]] = {}
        self._handling: set[asyncio.Task[str | None]] = set()  # calls of on_message
        self._answering: dict[str, asyncio.Task[None]] = {}  # by account, the newest one
        self._unanswered = 0

    def received(self, text: IncomingText) -> None:
        """Handle a message that came in."""
        if text.type == "error":
            log.info("a text to %s came back", text.sender)
            self._talks.gone(text.sender)
        if text.type not in ("chat", "normal") or text.automatic or not text.body.strip():
            return
        # What waited in a store, the server gives to one node alone.
        if text.to != self._clerk.desk.own() and not text.delayed:
            if not self._pool.joined:
                self._held.append((text, self._pool.has_place))
                return
            if not self._pool.answers:
                log.debug("left to another node of the pool: a line of %s", text.sender.bare)
                return
        self._answer(text)

    def joined(self) -> None:
        """The node knows its place in the pool: look at what was said to the pool meanwhile."""
        held = list(self._held)
        self._held.clear()
        for text, had_place in held:
            if had_place or not self._pool.took_over:  # else a worker has answered it
                self.received(text)

    def _answer(self, text: IncomingText) -> None:
        now = asyncio.get_running_loop().time()
        if not self._clerk.desk.knows(text.sender):
            log.info("refused a line of %s, who has no rights here", text.sender.bare)
            if self._strangers.take(text.sender.bare, now):
                self._say(text.sender, texts.stranger(self._clerk.desk.own()))
        elif text.delayed:
            self._missed_line(text)
        elif self._within_pace(text.sender, now):
            self._handle(text.sender, text.body.strip())

    def _within_pace(self, person: JID, now: float) -> bool:
        if self._pace.take(person.bare, now):
            dropped = self._pace.forgive(person.bare)
            if dropped:
                self._say(person, f"I dropped {dropped} of your lines before this one.")
            return True
        if self._pace.dropped(person.bare) == 1:
            log.warning("%s talks too fast; lines are dropped", person.bare)
            limit = f"{self._pace.burst} lines at once and {self._pace.rate:g} a second after that"
            self._say(person, f"Too fast: I take {limit}. What comes now is dropped.")
        return False

    def _handle(self, person: JID, line: str) -> None:
        word = line.split(maxsplit=1)[0]
        offer = self._clerk.find(word)
        try:
            answer = self._obey(person, line, self._clerk.start)
        except Exception as problem:
            self._say(person, _refusal(problem, person, offer))
            return
        if answer is not None:
            self._give(person, answer, offer)
        elif self._on_message is not None:
            self._ask_handler(self._on_message, Message(person, line))
        elif dunno := self._dunno(person, word):
            self._say(person, dunno)

    def _obey(self, person: JID, line: str, start: Start) -> Answer | None:
        """Do what a line says, a task by `start`; None when it is neither command nor task."""
        word, rest = (*line.split(maxsplit=1), "")[:2]
        command, offer = self._commands.find(word), self._clerk.find(word)
        if command is not None:
            return command.run(self._asker(person), words.split(rest))
        if offer is None:
            return None

        def bind(signature: Signature) -> Arguments:
            return words.bind(signature, words.split(rest))

        return start(offer, person, bind)

    def _asker(self, person: JID) -> Asker:
        return Asker(person, bool(self._clerk.desk.may_manage(person)))

    def _dunno(self, person: JID, word: str) -> str:
        if not self._dunnos.take(person.bare, asyncio.get_running_loop().time()):
            return ""
        return dunno(word, self._commands.allowed_names(self._asker(person)))

    # -- lines in rooms: see `Assembly` --------------------------------------------------------

    def knows(self, person: JID) -> bool:
        """Whether somebody has any right here."""
        return self._clerk.desk.knows(person)

    def part(
        self, person: JID, line: str, *, beside_others: bool = False
    ) -> Part | Coroutine[Any, Any, Part]:
        """Do what somebody says in a room, and give what came of it, which nobody was told yet.

        `beside_others` is whether nodes that are no queues hear the line as well: then this one, if
        it is a queue, leaves to them what it would have a worker do.
        """
        if not self._clerk.desk.knows(person):
            return "stranger", ""
        if not self._pace.take(person.bare, asyncio.get_running_loop().time()):
            return (
                ("failed", "too fast") if self._pace.dropped(person.bare) == 1 else ("nothing", "")
            )
        self._pace.forgive(person.bare)
        word = line.split(maxsplit=1)[0]
        offer = self._clerk.find(word)
        if beside_others and self._is_for_others(word, offer):
            return "nothing", ""
        try:
            answer = self._obey(person, line, self._clerk.run)
        except Exception as problem:
            return _part_of(problem, person, offer)
        if isinstance(answer, str):
            return "answered", answer
        if answer is not None:
            return self._part_later(person, answer, offer)
        if self._on_message is None:
            text = self._dunno(person, word)
            return ("answered", text) if text else ("nothing", "")
        if len(self._handling) >= _HANDLERS:
            return "failed", texts.BUSY
        return _part_handled(self._handled(self._on_message, Message(person, line)))

    def _is_for_others(self, word: str, offer: Offer | None) -> bool:
        if self._commands.find(word) is not None:
            return False
        return self._on_message is None if offer is None else not self._clerk.does(offer)

    async def _part_later(
        self, person: JID, answer: Coroutine[Any, Any, str], offer: Offer | None
    ) -> Part:
        try:
            return "answered", await answer
        except Exception as problem:
            return _part_of(problem, person, offer)

    # -- answers -------------------------------------------------------------------------------

    def _give(self, person: JID, answer: Answer, offer: Offer | None = None) -> None:
        """Say an answer: now, or when it is there and those of before have been said."""
        if isinstance(answer, str):
            self._say(person, answer)
            return
        if self._unanswered >= _MOST_UNANSWERED:
            answer.close()
            self._say(person, texts.BUSY)
            return
        before = self._answering.get(person.bare)
        later = asyncio.ensure_future(self._give_later(person, answer, offer, before))
        self._answering[person.bare] = later
        self._unanswered += 1

        def done(_: object) -> None:
            answer.close()  # it may not have begun
            self._unanswered -= 1
            if self._answering.get(person.bare) is later:
                del self._answering[person.bare]

        later.add_done_callback(done)

    async def _give_later(
        self,
        person: JID,
        answer: Coroutine[Any, Any, str],
        offer: Offer | None,
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            text = await answer
        except Exception as problem:
            text = _refusal(problem, person, offer)
        self._say(person, text)

    def _ask_handler(self, handler: OnMessage, message: Message) -> None:
        if len(self._handling) >= _HANDLERS:
            self._say(message.sender, texts.BUSY)
            return

        def say(handled: asyncio.Task[str | None]) -> None:
            if not handled.cancelled() and (answer := handled.result()):
                self._say(message.sender, answer)

        self._handled(handler, message).add_done_callback(say)

    def _handled(self, handler: OnMessage, message: Message) -> asyncio.Task[str | None]:
        """Call `on_message`; gives what it answers, whatever happens in it."""

        async def ask() -> str | None:
            try:
                return await handler(message)
            except Exception:
                log.exception("on_message raised on a line of %s", message.sender.bare)
                return texts.WENT_WRONG

        handling = asyncio.ensure_future(ask())
        self._handling.add(handling)
        handling.add_done_callback(self._handling.discard)
        return handling

    def close(self) -> None:
        """Give up what `on_message` still does, and answers that are not there yet."""
        for handling in [*self._handling, *self._answering.values()]:
            handling.cancel()
        self._talks.close()

    def _missed_line(self, text: IncomingText) -> None:
        """Gather what waited offline, and answer each person once."""
        if not self._missed:
            asyncio.get_running_loop().call_later(_GATHER, self._own_up)
        self._missed.setdefault(text.sender, []).append(text.body.strip())

    def _own_up(self) -> None:
        missed, self._missed = self._missed, {}
        for person, lines in missed.items():
            said = ", ".join(f'"{texts.cut(line, 40)}"' for line in lines[:3])
            more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
            self._say(
                person, f"I was away when you said {said}{more}. Say it again if it still holds."
            )

    def _say(self, person: JID, text: str) -> None:
        self._mouth.send_text(OutgoingText(person, texts.cut(text), automatic=True))


def _refusal(problem: Exception, person: JID, offer: Offer | None) -> str:
    """What a person is told whose line was not obeyed."""
    if not isinstance(problem, JabotError):
        log.error("a line of %s could not be handled", person.bare, exc_info=problem)
        return texts.WENT_WRONG
    log.info("refused a line of %s: %s", person.bare, problem)
    text = _sentence(str(problem))
    if not isinstance(problem, BadArguments):
        return text[:1].upper() + text[1:]
    return f"{text}\nUsage: {offer.usage}" if offer is not None else text


def _part_of(problem: Exception, person: JID, offer: Offer | None) -> Part:
    """What came of a line that was not obeyed, or whose job failed."""
    text = _refusal(problem, person, offer)
    return ("refused", "") if isinstance(problem, NotAllowed) else ("failed", text)


async def _part_handled(handling: asyncio.Task[str | None]) -> Part:
    answer = await handling
    return ("answered", answer) if answer else ("nothing", "")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
