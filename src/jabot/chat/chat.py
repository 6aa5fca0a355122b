"""The door for people: one line in, and what follows from it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from jabot.chat import texts, words
from jabot.chat.commands import NAMES, Asker, Commands, dunno
from jabot.chat.talk import Mouth, Talks
from jabot.errors import BadArguments, Draining, NotAllowed, TooManyJobs
from jabot.jid import JID
from jabot.pace import Pace
from jabot.pool import Pool
from jabot.runner import Desk
from jabot.tasks import Task
from jabot.xmpp.stanzas import IncomingText, OutgoingText

log = logging.getLogger(__name__)

_MOST_HELD = 1_000  # lines to the pool, from the third of a second before the node has joined it
_HANDLERS = 8  # calls of on_message at once; a plain function has a thread for each
_GATHER = 0.5  # seconds in which the server hands over what waited while we were away

OnMessage = Callable[["Message"], Awaitable[str | None]]


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
        desk: Desk,
        mouth: Mouth,
        pool: Pool,
        *,
        stop: Callable[[], None],
        on_message: OnMessage | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._desk = desk
        self._mouth = mouth
        self._pool = pool
        self._on_message = on_message
        self._commands = Commands(desk, stop)
        self._talks = Talks(mouth)
        self._pace = pace or Pace(burst=50, rate=10)
        # Another bot may take "Dunno" for something to answer; this ends such a talk.
        self._dunnos = Pace(burst=30, rate=0.2)
        self._strangers = Pace(burst=1, rate=1 / 60)
        self._held: deque[IncomingText] = deque(maxlen=_MOST_HELD)
        self._missed: dict[JID, list[str]] = {}
        self._handling: set[asyncio.Task[None]] = set()

    def received(self, text: IncomingText) -> None:
        """Handle a message that came in."""
        if text.type == "error":
            log.info("a text to %s came back", text.sender)
            self._talks.gone(text.sender)
        if text.type not in ("chat", "normal") or text.automatic or not text.body.strip():
            return
        # What waited in a store, the server gives to one node alone.
        if text.to != self._desk.own() and not text.delayed:
            if not self._pool.joined:
                self._held.append(text)
                return
            if not self._pool.answers:
                log.debug("left to another node of the pool: a line of %s", text.sender.bare)
                return
        self._answer(text)

    def joined(self) -> None:
        """The node knows its place in the pool: look at what was said to the pool meanwhile."""
        held = list(self._held)
        self._held.clear()
        for text in held:
            self.received(text)

    def _answer(self, text: IncomingText) -> None:
        now = asyncio.get_running_loop().time()
        if not self._desk.knows(text.sender):
            log.info("refused a line of %s, who has no rights here", text.sender.bare)
            if self._strangers.take(text.sender.bare, now):
                self._say(text.sender, texts.stranger(self._desk.own()))
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
        word, rest = (*line.split(maxsplit=1), "")[:2]
        task = self._desk.tasks.find(word)
        try:
            self._obey(person, line, word, rest)
        except BadArguments as problem:
            usage = f"\nUsage: {task.usage}" if task is not None else ""
            self._say(person, f"{_sentence(str(problem))}{usage}")
        except Exception:
            log.exception("a line of %s could not be handled", person.bare)
            self._say(person, texts.WENT_WRONG)

    def _obey(self, person: JID, line: str, word: str, rest: str) -> None:
        asker = Asker(person, bool(self._desk.may_manage(person)))
        task = self._desk.tasks.find(word)
        if word.casefold() in NAMES:
            self._say(person, self._commands.run(word.casefold(), asker, words.split(rest)))
        elif task is not None:
            self._start(task, person, rest)
        elif self._on_message is not None:
            self._ask_handler(self._on_message, Message(person, line))
        elif self._dunnos.take(person.bare, asyncio.get_running_loop().time()):
            self._say(person, dunno(word, self._commands.allowed_names(asker)))

    def _start(self, task: Task[..., Any], person: JID, rest: str) -> None:
        runner = self._desk.runner
        before = runner.waiting + 1 if runner.running >= runner.concurrency else 0
        try:
            job = self._desk.start(task, person, lambda taken: words.bind(taken, words.split(rest)))
        except (NotAllowed, Draining, TooManyJobs) as refusal:
            log.info("refused %s to %s: %s", task.name, person.bare, refusal)
            text = _sentence(str(refusal))
            self._say(person, text[:1].upper() + text[1:])
            return
        self._say(person, texts.scheduled(job, before))
        self._talks.accompany(job, person)

    def _ask_handler(self, handler: OnMessage, message: Message) -> None:
        if len(self._handling) >= _HANDLERS:
            self._say(message.sender, "I am still busy with what was said before. Try again soon.")
            return

        async def ask() -> None:
            try:
                answer = await handler(message)
            except Exception:
                log.exception("on_message raised on a line of %s", message.sender.bare)
                answer = texts.WENT_WRONG
            if answer:
                self._say(message.sender, answer)

        handling = asyncio.ensure_future(ask())
        self._handling.add(handling)
        handling.add_done_callback(self._handling.discard)

    def close(self) -> None:
        """Give up what `on_message` still does."""
        for handling in self._handling:
            handling.cancel()

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


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
