"""The door for people's menus: tasks and words as commands with forms (XEP-0050, XEP-0004).

What is asked for here goes to the same clerk as a line of chat, and is answered in one step.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal
from xml.etree import ElementTree as ET

from jabot.chat import texts
from jabot.chat.clerk import Answer, Asker, Clerk
from jabot.chat.fields import Filled, arguments, fields_of, result_fields, text_field
from jabot.chat.talk import Ending, Talks
from jabot.errors import BadArguments, JabotError, NotAllowed, StanzaError
from jabot.jid import JID
from jabot.pace import Pace
from jabot.tasks import Offer
from jabot.xmpp.data_forms import Field, data_form, read_form
from jabot.xmpp.disco import COMMANDS
from jabot.xmpp.requests import Question, Requests
from jabot.xmpp.stanzas import clean

_PATIENCE: Final = 2.0  # seconds that the outcome of a job is waited for; then chat tells it
_WAITING: Final = 50  # forms whose jobs are waited for at once; the next are answered at once
_LONGEST_NOTE: Final = 500  # characters; the fields have all of it
_WORDS: Final = {"jobs": "Your jobs", "status": "Status", "exit": "Stop"}

Status = Literal["executing", "completed", "canceled"]


class Menu:
    """Commands of those who have a right: a `Shelf` for discovery. `is_room(address)` tells what
    comes from a room, where nobody has one."""

    def __init__(
        self,
        clerk: Clerk,
        talks: Talks,
        requests: Requests,
        *,
        is_room: Callable[[str], bool] = lambda address: False,
        pace: Pace | None = None,
    ) -> None:
        self._clerk = clerk
        self._talks = talks
        self._is_room = is_room
        self._pace = pace or Pace(burst=50, rate=10)
        self._waiting = 0
        requests.serve(f"{{{COMMANDS}}}command", self._asked)

    # -- what there is to find: see `Shelf` ------------------------------------------------------

    def knows(self, asker: JID) -> bool:
        return not self._is_room(asker.bare) and self._clerk.desk.knows(asker)

    def tasks(self, asker: JID) -> list[str]:
        return sorted(offer.name for offer in self._clerk.allowed(asker))

    def commands(self, asker: JID) -> Mapping[str, str]:
        manages = bool(self._clerk.desk.may_manage(asker))
        words = {
            name: label
            for name, label in _WORDS.items()
            if manages or not self._clerk.commands[name].for_managers
        }
        offers = self._clerk.allowed(asker)
        return {offer.name: _title(offer) for offer in offers if offer.name not in words} | words

    # -- commands --------------------------------------------------------------------------------

    async def _asked(self, question: Question) -> ET.Element:
        """A command is given, or its form sent back (XEP-0050 section 3)."""
        person, command = question.sender, question.payload
        if not self.knows(person):
            raise StanzaError("forbidden", "you may do nothing here")
        if not self._pace.take(person.bare, asyncio.get_running_loop().time()):
            raise StanzaError("resource-constraint", "too fast; try again in a moment")
        action = command.get("action", "execute")
        if action == "cancel":
            return _answer(command, "canceled")
        if action not in ("execute", "complete", "next"):
            raise StanzaError("bad-request", f"a command has one step, so there is no {action}")
        node, filled = command.get("node", ""), read_form(command)
        if node in _WORDS:
            return await self._word(command, node, person)
        offer = self._clerk.find(node)
        if offer is None or offer.name != node:
            raise StanzaError("item-not-found", f"there is no command {texts.cut(node, 60)}")
        decision = self._clerk.desk.may_run(person, node)
        if not decision:
            raise StanzaError("forbidden", f"you may not run {node}: {decision.reason}")
        if filled is None and offer.signature.parameters:
            return _form(command, offer)
        return await self._task(command, offer, person, filled or {})

    async def _word(self, command: ET.Element, word: str, person: JID) -> ET.Element:
        manages = self._clerk.desk.may_manage(person)
        known = self._clerk.commands[word]
        if known.for_managers and not manages:
            raise StanzaError("forbidden", f"you may not do that: {manages.reason}")
        try:
            text = await _text(known.run(Asker(person, bool(manages)), []))
        except JabotError as problem:
            return _answer(command, "completed", error=str(problem))
        if "\n" not in text:
            return _answer(command, "completed", info=text)
        return _answer(command, "completed", form=data_form("result", [text_field(word, text)]))

    async def _task(
        self, command: ET.Element, offer: Offer, person: JID, filled: Filled
    ) -> ET.Element:
        ending: list[tuple[str, asyncio.Future[Ending]]] = []
        patient = self._waiting < _WAITING

        def taken(job_id: str) -> None:
            if patient:
                ending.append((job_id, self._talks.catch(person, job_id)))

        self._waiting += 1
        try:
            bind = partial(arguments, filled=filled)
            said = await _text(self._clerk.start(offer, person, bind, taken))
            if ending:
                await asyncio.wait({ending[0][1]}, timeout=_PATIENCE)
        except BadArguments as problem:
            return _form(command, offer, filled, str(problem))
        except NotAllowed as problem:
            raise StanzaError("forbidden", str(problem)) from None
        except JabotError as problem:
            return _answer(command, "completed", error=str(problem))
        except asyncio.CancelledError:  # the line went, and the form with it
            for job_id, _ in ending:
                self._talks.tell(person, job_id)
            raise
        finally:
            self._waiting -= 1
            for job_id, _ in ending:
                self._talks.let_go(person, job_id)
        if ending and ending[0][1].done():
            return _outcome(command, ending[0][1].result())
        return _answer(command, "completed", info=said)


def _title(offer: Offer) -> str:
    return f"{offer.name}: {offer.summary}" if offer.summary else offer.name


async def _text(answer: Answer) -> str:
    return answer if isinstance(answer, str) else await answer


def _form(
    command: ET.Element, offer: Offer, filled: Filled | None = None, problem: str = ""
) -> ET.Element:
    fields = fields_of(offer.signature, filled)
    form = data_form("form", fields, title=offer.name, instructions=offer.__doc__ or "")
    return _answer(command, "executing", form=form, error=problem)


def _outcome(command: ET.Element, ending: Ending) -> ET.Element:
    if not ending.succeeded:
        return _answer(command, "completed", error=ending.text)
    fields: list[Field] = result_fields(ending.value)
    form = data_form("result", fields) if fields else None
    said = ending.text.partition("\n")[0] if fields else ending.text
    return _answer(command, "completed", form=form, info=texts.cut(said, _LONGEST_NOTE))


def _answer(
    command: ET.Element,
    status: Status,
    *,
    form: ET.Element | None = None,
    info: str = "",
    error: str = "",
) -> ET.Element:
    attributes = {
        "node": command.get("node", ""),
        "sessionid": command.get("sessionid") or secrets.token_hex(8),
        "status": status,
    }
    answer = ET.Element(f"{{{COMMANDS}}}command", attributes)
    if status == "executing":
        actions = ET.SubElement(answer, f"{{{COMMANDS}}}actions", {"execute": "complete"})
        ET.SubElement(actions, f"{{{COMMANDS}}}complete")
    if form is not None:
        answer.append(form)
    for kind, text in (("info", info), ("error", error)):
        if text:
            note = ET.SubElement(answer, f"{{{COMMANDS}}}note", {"type": kind})
            note.text = clean(text)
    return answer
