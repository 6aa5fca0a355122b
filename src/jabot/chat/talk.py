"""What a person hears of one job: typing, progress, the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol
from xml.etree import ElementTree as ET

from jabot.chat import texts
from jabot.jid import JID
from jabot.runner import Job
from jabot.tasks import Step
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT, ChatState, OutgoingText, chat_state

log = logging.getLogger(__name__)

_PROMPT = 0.3  # seconds: a job that ends within them needs no typing state and no progress
_PACE = 1.0  # seconds between two corrections (DESIGN: at most one a second)


class Mouth(Protocol):
    """The part of a session that talk needs."""

    def send_text(self, text: OutgoingText) -> None: ...
    def send(self, element: ET.Element) -> bool: ...
    async def features(self, jid: JID) -> frozenset[str]: ...


class Talks:
    """All jobs that people wait for, by person."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._talks: dict[JID, set[Talk]] = {}

    def accompany(self, job: Job, person: JID) -> None:
        """Tell the person what becomes of the job."""
        talk = Talk(self._mouth, job, person, self._others_type)
        self._talks.setdefault(person, set()).add(talk)
        job.completion(lambda _: self._forget(talk))

    def gone(self, person: JID) -> None:
        """A text to that address came back: nobody looks at progress there."""
        for talk in self._talks.get(person, ()):
            talk.mute()

    def _others_type(self, talk: Talk) -> bool:
        return any(other.typing for other in self._talks.get(talk.person, ()) if other is not talk)

    def _forget(self, talk: Talk) -> None:
        talks = self._talks.get(talk.person, set())
        talks.discard(talk)
        if not talks:
            self._talks.pop(talk.person, None)


class Talk:
    """Accompanies one job for the person who asked for it.

    Progress is one message that is corrected (XEP-0308) as the job goes on. Programs that cannot
    show corrections would show each as a new line, so they get none. The typing state lasts until
    the last of a person's jobs is done.
    """

    def __init__(
        self, mouth: Mouth, job: Job, person: JID, others_type: Callable[[Talk], bool]
    ) -> None:
        self.person = person
        self.typing = False
        self._mouth = mouth
        self._job = job
        self._others_type = others_type
        self._muted = False
        self._progress: OutgoingText | None = None
        self._next: asyncio.TimerHandle | None = None
        self._sent_at = float("-inf")
        self._starting = asyncio.ensure_future(self._start())
        job.completion(self._end)

    def mute(self) -> None:
        """Show no more progress."""
        self._muted = True

    async def _start(self) -> None:
        await asyncio.sleep(_PROMPT)
        if not self.person.resource:
            return  # nobody can be asked what they can show
        features = await self._mouth.features(self.person)
        if CHAT_STATES in features:
            self.typing = self._mouth.send(chat_state(self.person, "composing"))
        if CORRECT in features:
            if self._job.step is not None:
                self._show(self._job.step)
            self._job.on_progress(self._show)

    def _show(self, _: Step) -> None:
        """A step: show it now, or when a second has passed since the last."""
        loop = asyncio.get_running_loop()
        if self._next is None and not self._muted:
            self._next = loop.call_at(max(self._sent_at + _PACE, loop.time()), self._correct)

    def _correct(self) -> None:
        self._next = None
        self._sent_at = asyncio.get_running_loop().time()
        first = self._progress
        text = OutgoingText(
            self.person,
            texts.cut(f"{self._job.task.name} {self._job.short_id}: {self._job.step}"),
            chat_state="composing" if self.typing else None,
            replaces=first.id if first else None,
            automatic=True,
            progress=True,
        )
        # Lossy on purpose: an old step is worth nothing. The first one names those that follow.
        if self._mouth.send(text.xml()) and first is None:
            self._progress = text

    def _end(self, job: Job) -> None:
        self._starting.cancel()
        if self._next is not None and self._progress is None:
            self._next.cancel()  # else the correction still comes, so that the last step is seen
        job.callback(lambda value: self._say(lambda: texts.succeeded(job, value)))
        job.errback(lambda error: self._say(lambda: texts.failed(job, error)))

    def _say(self, compose: Callable[[], str]) -> None:
        try:
            text = compose()
        except Exception:  # a result can be such that it cannot be written out
            log.exception("[%s] the outcome cannot be told", self._job.id)
            text = f"{self._job.task.name} {self._job.short_id} has ended. {texts.WENT_WRONG}"
        state: ChatState | None = None
        if self.typing:
            state = "composing" if self._others_type(self) else "active"
        self.typing = False
        self._mouth.send_text(OutgoingText(self.person, text, chat_state=state, automatic=True))
