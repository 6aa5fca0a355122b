"""What a person hears of one job: typing, progress, the end."""

from __future__ import annotations

import asyncio
from typing import Protocol
from xml.etree import ElementTree as ET

from jabot.chat import texts
from jabot.jid import JID
from jabot.runner import Job
from jabot.tasks import Step
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT, OutgoingText, chat_state

_PROMPT = 0.3  # seconds: a job that ends within them needs no typing state and no progress
_PACE = 1.0  # seconds between two corrections (DESIGN: at most one a second)


class Mouth(Protocol):
    """The part of a session that talk needs."""

    def send_text(self, text: OutgoingText) -> None: ...
    def send(self, element: ET.Element) -> bool: ...
    async def features(self, jid: JID) -> frozenset[str]: ...


class Talk:
    """Accompanies a job for the person who asked for it.

    Progress is one message that is corrected (XEP-0308) as the job goes on. Programs that cannot
    show corrections would show each as a new line, so they get none.
    """

    def __init__(self, mouth: Mouth, job: Job, person: JID) -> None:
        self._mouth = mouth
        self._job = job
        self._person = person
        self._typing = False
        self._progress: OutgoingText | None = None
        self._next: asyncio.TimerHandle | None = None
        self._sent_at = float("-inf")
        self._starting = asyncio.ensure_future(self._start())
        job.completion(self._end)

    async def _start(self) -> None:
        await asyncio.sleep(_PROMPT)
        if not self._person.resource:
            return  # nobody can be asked what they can show
        features = await self._mouth.features(self._person)
        if CHAT_STATES in features:
            self._typing = self._mouth.send(chat_state(self._person, "composing"))
        if CORRECT in features:
            if self._job.step is not None:
                self._show(self._job.step)
            self._job.on_progress(self._show)

    def _show(self, _: Step) -> None:
        """A step: show it now, or when a second has passed since the last."""
        loop = asyncio.get_running_loop()
        if self._next is None:
            self._next = loop.call_at(max(self._sent_at + _PACE, loop.time()), self._correct)

    def _correct(self) -> None:
        self._next = None
        self._sent_at = asyncio.get_running_loop().time()
        first = self._progress
        text = OutgoingText(
            self._person,
            f"{self._job.task.name} {self._job.short_id}: {self._job.step}",
            chat_state="composing" if self._typing else None,
            replaces=first.id if first else None,
            automatic=True,
        )
        # Lossy on purpose: an old step is worth nothing. The first one names those that follow.
        if self._mouth.send(text.xml()) and first is None:
            self._progress = text

    def _end(self, job: Job) -> None:
        self._starting.cancel()
        if self._next is not None:
            self._next.cancel()
        job.callback(lambda value: self._say(texts.succeeded(job, value)))
        job.errback(lambda error: self._say(texts.failed(job, error)))

    def _say(self, text: str) -> None:
        self._mouth.send_text(
            OutgoingText(
                self._person, text, chat_state="active" if self._typing else None, automatic=True
            )
        )
