"""What a person hears of one job: typing, progress, the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from xml.etree import ElementTree as ET

from jabot.chat import texts
from jabot.jid import JID
from jabot.runner.job import short_id
from jabot.tasks import Step
from jabot.xmpp.outbox import Arrived
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT, ChatState, OutgoingText, chat_state

log = logging.getLogger(__name__)

_PROMPT = 0.3  # seconds: a job that ends within them needs no typing state and no progress
_PACE = 1.0  # seconds between two corrections (DESIGN: at most one a second)


class Mouth(Protocol):
    """The part of a session that talk needs."""

    def send_text(self, text: OutgoingText, arrived: Arrived | None = None) -> None: ...
    def send(self, element: ET.Element) -> bool: ...
    async def features(self, jid: JID) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job has ended, as a person is told."""

    text: str
    succeeded: bool = False
    value: Any = None
    """What it returned, for who waits for it with a form."""


class Talks:
    """All jobs that people wait for.

    A job is accompanied from when it is taken; then it is told here when it has begun, each step of
    it, and its end. The end is told to a person in any case, also of a job that is not accompanied.
    """

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._talks: dict[str, Talk] = {}
        self._of: dict[JID, set[Talk]] = {}
        self._caught: dict[tuple[JID, str], asyncio.Future[Ending]] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._talks

    def accompany(self, person: JID, job_id: str, task: str) -> None:
        """Tell the person what becomes of a job."""
        before = self._forget(job_id)
        if before is not None and before != person:
            self._mouth.send(chat_state(before, "active"))
        talk = self._talks[job_id] = Talk(self._mouth, person, job_id, task)
        self._of.setdefault(person, set()).add(talk)

    def catch(self, person: JID, job_id: str) -> asyncio.Future[Ending]:
        """Have the end of a person's job told by this, not in chat, until it is let go."""
        ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        return self._caught.setdefault((person, job_id), ending)

    def let_go(self, person: JID, job_id: str) -> None:
        """Tell the end of a job in chat, unless it was told already."""
        self._caught.pop((person, job_id), None)

    def tell(self, person: JID, job_id: str) -> None:
        """Tell in chat what was caught and could not be told otherwise."""
        ending = self._caught.pop((person, job_id), None)
        if ending is not None and ending.done():
            self._mouth.send_text(OutgoingText(person, ending.result().text, automatic=True))

    def step(self, job_id: str) -> Step | None:
        """How far a job is, as far as it was told here."""
        return self._talks[job_id].step if job_id in self._talks else None

    def begun(self, job_id: str) -> None:
        """A job runs: the person is to see that something goes on."""
        if job_id in self._talks:
            self._talks[job_id].begun()

    def stepped(self, job_id: str, step: Step) -> None:
        """A job has got on."""
        if job_id in self._talks:
            self._talks[job_id].stepped(step)

    def ended(
        self,
        person: JID,
        job_id: str,
        task: str,
        compose: Callable[[], Ending],
        arrived: Arrived | None = None,
    ) -> None:
        """A job is over: say so, as `compose` does."""
        try:
            ending = compose()
        except Exception:  # a result can be such that it cannot be written out
            log.exception("[%s] the outcome cannot be told", job_id)
            text = f"{task} {short_id(job_id)} has ended. {texts.WENT_WRONG}"
            ending = Ending(text)
        typed = self._forget(job_id) == person
        state: ChatState | None = None
        if typed:
            others = any(other.typing for other in self._of.get(person, ()))
            state = "composing" if others else "active"
        caught = self._caught.get((person, job_id))
        if caught is not None and not caught.done():
            caught.set_result(ending)
            if state is not None:
                self._mouth.send(chat_state(person, state))
            if arrived is not None:
                arrived(True)
            return
        said = OutgoingText(person, ending.text, chat_state=state, automatic=True)
        self._mouth.send_text(said, arrived)

    def gone(self, person: JID) -> None:
        """A text to that address came back: nobody looks at progress there."""
        for talk in self._of.get(person, ()):
            talk.mute()

    def close(self) -> None:
        """Show nothing more."""
        for job_id in list(self._talks):
            self._forget(job_id)

    def _forget(self, job_id: str) -> JID | None:
        """End a talk; who was shown that something goes on, if anybody was."""
        talk = self._talks.pop(job_id, None)
        if talk is None:
            return None
        typed = talk.end()
        talks = self._of[talk.person]
        talks.discard(talk)
        if not talks:
            del self._of[talk.person]
        return talk.person if typed else None


class Talk:
    """Accompanies one job for the person who asked for it.

    Progress is one message that is corrected (XEP-0308) as the job goes on. Programs that cannot
    show corrections would show each as a new line, so they get none. The typing state lasts until
    the last of a person's jobs is done.
    """

    def __init__(self, mouth: Mouth, person: JID, job_id: str, task: str) -> None:
        self.person = person
        self.typing = False
        self._mouth = mouth
        self._name = f"{task} {short_id(job_id)}"
        self._muted = False
        self._shows = False  # the person's program can show progress
        self.step: Step | None = None
        self._progress: OutgoingText | None = None
        self._next: asyncio.TimerHandle | None = None
        self._sent_at = float("-inf")
        self._starting: asyncio.Future[None] | None = None

    def begun(self) -> None:
        """It runs."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())

    def stepped(self, step: Step) -> None:
        """It has got on: show that now, or when a second has passed since the last."""
        self.step = step
        self.begun()
        if self._shows:
            self._show()

    def mute(self) -> None:
        """Show no more progress."""
        self._muted = True

    def end(self) -> bool:
        """It is over. Answers whether its person sees that something goes on."""
        if self._starting is not None:
            self._starting.cancel()
        if self._next is not None and self._progress is None:
            self._next.cancel()  # else the correction still comes, so that the last step is seen
        typed, self.typing = self.typing, False
        return typed

    async def _start(self) -> None:
        await asyncio.sleep(_PROMPT)
        if not self.person.resource:
            return  # nobody can be asked what they can show
        features = await self._mouth.features(self.person)
        if CHAT_STATES in features:
            self.typing = self._mouth.send(chat_state(self.person, "composing"))
        if CORRECT in features:
            self._shows = True
            if self.step is not None:
                self._show()

    def _show(self) -> None:
        loop = asyncio.get_running_loop()
        if self._next is None and not self._muted:
            self._next = loop.call_at(max(self._sent_at + _PACE, loop.time()), self._correct)

    def _correct(self) -> None:
        self._next = None
        self._sent_at = asyncio.get_running_loop().time()
        first = self._progress
        text = OutgoingText(
            self.person,
            texts.cut(f"{self._name}: {self.step}"),
            chat_state="composing" if self.typing else None,
            replaces=first.id if first else None,
            automatic=True,
            progress=True,
        )
        # Lossy on purpose: an old step is worth nothing. The first one names those that follow.
        if self._mouth.send(text.xml()) and first is None:
            self._progress = text
