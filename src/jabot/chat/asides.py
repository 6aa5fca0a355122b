"""What somebody in a room says to this node alone, through the room."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from jabot.chat import texts
from jabot.chat.collection import Collection
from jabot.chat.obeying import Obeying, Part
from jabot.chat.talk import Mouth
from jabot.jid import JID
from jabot.pace import Pace
from jabot.xmpp.stanzas import OutgoingText

PROMPT: Final = 2.0
"""Seconds: a job that ends within them is not said to run."""
_MOST: Final = 1_000  # without an answer


class Asides:
    """Obeys by the real address, and answers once, at the address in the room. `strangers` is the
    pace at which those without rights are refused."""

    def __init__(self, obeying: Obeying, mouth: Mouth, strangers: Pace) -> None:
        self._obeying = obeying
        self._mouth = mouth
        self._strangers = strangers
        self._pending: set[asyncio.Task[None]] = set()

    def received(self, sender: JID, person: JID, body: str) -> None:
        """`sender` is the address in the room, `person` the real one."""
        loop = asyncio.get_running_loop()
        if not self._obeying.knows(person):
            if self._strangers.take(person.bare, loop.time()):
                self._say(sender, texts.NOT_FOR_YOU)
        elif len(self._pending) >= _MOST:
            self._say(sender, texts.BUSY)
        else:
            part = self._obeying.part(person, body)
            if isinstance(part, tuple):
                self._tell(sender, part)
            else:
                pending = asyncio.ensure_future(self._tell_later(sender, part))
                self._pending.add(pending)
                pending.add_done_callback(self._pending.discard)

    def close(self) -> None:
        """Give up what is not answered yet."""
        for pending in self._pending:
            pending.cancel()

    async def _tell_later(self, sender: JID, coming: Coroutine[Any, Any, Part]) -> None:
        loop = asyncio.get_running_loop()
        running = loop.call_later(PROMPT, self._say, sender, texts.AT_IT)
        try:
            part = await coming
        finally:
            running.cancel()
        self._tell(sender, part)

    def _tell(self, sender: JID, part: Part) -> None:
        collection = Collection([sender.resource])
        collection.add(sender.resource, *part)
        if text := collection.text():
            self._say(sender, text)

    def _say(self, to: JID, text: str) -> None:
        self._mouth.send_text(OutgoingText(to, texts.cut(text), automatic=True))
