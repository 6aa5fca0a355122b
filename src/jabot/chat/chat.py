"""The door for people: who is heard, how fast, and in which order they are answered."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from jabot.chat import texts
from jabot.chat.clerk import Answer
from jabot.chat.obeying import Obeying, refusal
from jabot.chat.talk import Mouth, Talks
from jabot.jid import JID
from jabot.pace import Pace
from jabot.pool import Pool
from jabot.tasks import Offer
from jabot.xmpp.stanzas import IncomingText, OutgoingText

log = logging.getLogger(__name__)

_MOST_HELD = 1_000  # lines to the pool, from the third of a second before the node has joined it
_MOST_UNANSWERED = 1_000  # lines of all people together whose answers are not there yet
_GATHER = 0.5  # seconds in which the server hands over what waited while we were away


class Chat:
    """Answers people.

    Who has no right at all is told so, now and then, and learns nothing else. A line that waited in
    a store is never run: it was meant for another time.
    """

    def __init__(self, obeying: Obeying, talks: Talks, mouth: Mouth, pool: Pool) -> None:
        self._obeying = obeying
        self._talks = talks
        self._mouth = mouth
        self._pool = pool
        self._strangers = Pace(burst=1, rate=1 / 60)
        self._held: deque[tuple[IncomingText, bool]] = deque(maxlen=_MOST_HELD)
        self._missed: dict[JID, list[str]] = {}
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
        if text.to != self._obeying.own and not text.delayed:
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

    def close(self) -> None:
        """Give up answers that are not there yet."""
        for answering in self._answering.values():
            answering.cancel()
        self._talks.close()

    def _answer(self, text: IncomingText) -> None:
        now = asyncio.get_running_loop().time()
        if not self._obeying.knows(text.sender):
            log.info("refused a line of %s, who has no rights here", text.sender.bare)
            if self._strangers.take(text.sender.bare, now):
                self._say(text.sender, texts.stranger(self._obeying.own))
        elif text.delayed:
            self._missed_line(text)
        elif self._within_pace(text.sender, now):
            self._handle(text.sender, text.body.strip())

    def _within_pace(self, person: JID, now: float) -> bool:
        pace = self._obeying.pace
        if pace.take(person.bare, now):
            dropped = pace.forgive(person.bare)
            if dropped:
                self._say(person, f"I dropped {dropped} of your lines before this one.")
            return True
        if pace.dropped(person.bare) == 1:
            log.warning("%s talks too fast; lines are dropped", person.bare)
            limit = f"{pace.burst} lines at once and {pace.rate:g} a second after that"
            self._say(person, f"Too fast: I take {limit}. What comes now is dropped.")
        return False

    def _handle(self, person: JID, line: str) -> None:
        offer = self._obeying.find(line)
        try:
            answer = self._obeying.obey(person, line)
        except Exception as problem:
            self._say(person, refusal(problem, person, offer))
            return
        if isinstance(answer, asyncio.Task):
            answer.add_done_callback(lambda handled: self._handled(person, handled))
        elif answer is not None:
            self._give(person, answer, offer)

    def _handled(self, person: JID, handled: asyncio.Task[str | None]) -> None:
        if not handled.cancelled() and (answer := handled.result()) is not None:
            self._say(person, answer)

    def _give(self, person: JID, answer: Answer, offer: Offer | None) -> None:
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
            text = refusal(problem, person, offer)
        self._say(person, text)

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
