"""A queue that has its workers do what people ask for: a `Clerk`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from jabot.chat import texts
from jabot.chat.clerk import Answer, Asker, Command, Taken, by_word, cancelling
from jabot.chat.commands import dunno
from jabot.chat.direct import Direct
from jabot.chat.talk import Talks
from jabot.errors import Draining, TooManyJobs
from jabot.jid import JID
from jabot.protocol.frames import Submit
from jabot.protocol.options import NO_OPTIONS, OWN_TASKS
from jabot.protocol.states import JobState
from jabot.queue import words
from jabot.queue.answers import JobLine
from jabot.queue.arrivals import Arrivals, refusal
from jabot.queue.catalogue import Catalogue
from jabot.queue.ledger import Ledger
from jabot.queue.office import Office
from jabot.queue.rights import Rights
from jabot.queue.store.verbs import Added, Filter, Tell
from jabot.runner.job import new_job_id, short_id
from jabot.tasks import Bind, Offer

NAMES: Final = (
    *("help", "jobs", "show", "cancel", "retry", "stats", "status", "can"),
    *("pause", "resume", "exit"),
)
"""Words that mean something else than a task where people talk to a queue."""
_SHOWN: Final = 20  # jobs in a list
_UNFINISHED: Final = [state for state in JobState if not state.ended]


class QueueClerk:
    """Keeps the jobs that people ask for, and answers those who look after jobs.

    A task of the queue's own is done by `direct`. `is_draining()` tells whether it takes no more,
    `crew_load()` how busy the workers are.
    """

    def __init__(  # noqa: PLR0913 - the parts that it speaks with, by name
        self,
        direct: Direct,
        talks: Talks,
        catalogue: Catalogue,
        ledger: Ledger,
        arrivals: Arrivals,
        office: Office,
        *,
        rights: Rights,
        is_draining: Callable[[], bool],
        crew_load: Callable[[], str],
        stop: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.desk = direct.desk
        self._direct = direct
        self._talks = talks
        self._catalogue = catalogue
        self._ledger = ledger
        self._arrivals = arrivals
        self._office = office
        self._rights = rights
        self._is_draining = is_draining
        self._crew_load = crew_load
        self._stop = stop
        self._wall = wall
        self.commands = by_word(
            Command("jobs", "your jobs that are not done yet.", self._jobs),
            Command(
                "show ID",
                "all about a job, and why it is where it is.",
                self._show,
                hint="jobs shows the ids",
            ),
            cancelling(self._cancel),
            Command("retry ID", "run a job again that failed or was cancelled.", self._retry),
            Command("stats", "how many jobs run and wait.", self._stats),
            Command("status", "how busy the workers are, and since when I am up.", self._status),
            Command("pause TASK", "begin no more jobs of a task.", self._pause, for_managers=True),
            Command("resume TASK", "begin jobs of a task again.", self._resume, for_managers=True),
            Command("exit", "leave; the jobs are kept.", self._exit, for_managers=True),
        )

    # -- see `Clerk` ---------------------------------------------------------------------------

    def find(self, word: str) -> Offer | None:
        own = self._direct.find(word)
        return self._catalogue.find(word) if own is None or _is_office(own) else own

    def does(self, offer: Offer) -> bool:
        return self._direct.find(offer.name) is offer

    def allowed(self, person: JID) -> Sequence[Offer]:
        own = [offer for offer in self._direct.allowed(person) if not _is_office(offer)]
        theirs = [name for name in self._catalogue.names if self.desk.may_run(person, name)]
        return [*own, *map(self._catalogue.offer, theirs)]

    def start(
        self, offer: Offer, person: JID, bind: Bind, taken: Taken = lambda job_id: None
    ) -> Answer:
        if self.does(offer):
            return self._direct.start(offer, person, bind, taken)
        self._rights.check(str(person), offer.name)
        if self._is_draining():
            raise Draining("I am stopping and take no new jobs")
        args, kwargs = bind(offer.signature)
        return self._keep(offer, person, args, kwargs, taken)

    def run(self, offer: Offer, person: JID, bind: Bind) -> Answer:
        if self.does(offer):
            return self._direct.run(offer, person, bind)
        return self.start(offer, person, bind)

    # -- jobs ----------------------------------------------------------------------------------

    async def _keep(
        self,
        offer: Offer,
        person: JID,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        taken: Taken,
    ) -> str:
        asked = Submit(
            new_job_id(),
            offer.name,
            Raw(msgspec.json.encode(args)),
            Raw(msgspec.json.encode(kwargs)),
        )
        job = self._arrivals.job(
            asked, NO_OPTIONS, person.bare, person=str(person), teller=str(self.desk.own())
        )
        self._arrivals.expect(job)
        added: Added = await self._ledger.ask(job)
        if added.refused:
            raise TooManyJobs(refusal(job, added))
        self._talks.accompany(person, added.id, offer.name)
        taken(added.id)
        if not added.is_new:
            return words.waits_already(offer.name, added.id)
        return texts.scheduled(offer, added.id)

    async def _jobs(self, asker: Asker) -> str:
        """One's own that have not ended, and everybody's for those who manage."""
        found = await self._office.jobs(asker.jid, Filter(states=_UNFINISHED), _SHOWN + 1)
        lines = [self._line(job, asker) for job in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"These are the newest {_SHOWN}; `stats` counts them all.")
        return "\n".join(lines) or "No jobs."

    async def _show(self, asker: Asker, job_id: str) -> str:
        sheet = await self._office.show(asker.jid, job_id)
        return words.sheet(sheet, with_owner=sheet.owner != asker.jid.bare, now=self._wall())

    async def _cancel(self, asker: Asker, word: str) -> str:
        """By the id, or the task's name when it is clear which of its jobs is meant."""
        offer = self._catalogue.find(word)
        if offer is not None:
            chosen = Filter(states=_UNFINISHED, task=offer.name)
            found = await self._office.jobs(asker.jid, chosen, _SHOWN)
            if len(found) > 1:
                lines = [f"{self._line(job, asker)} ({job.id})" for job in found]
                return "\n".join(["Which one?", *lines])
            word = found[0].id if found else word
        job = await self._office.cancel(asker.jid, word)
        return words.called_off(job)

    async def _retry(self, asker: Asker, job_id: str) -> str:
        """Who has it run again is told how that ends."""
        job = await self._office.retry(asker.jid, job_id)
        self._talks.accompany(asker.jid, job.id, job.task)
        await self._ledger.ask(Tell(job.id, str(asker.jid), str(self.desk.own())))
        return f"Running {job.task} {short_id(job.id)} again."

    def _line(self, job: JobLine, asker: Asker) -> str:
        return words.line(
            job,
            with_owner=asker.manages and job.owner != asker.jid.bare,
            now=self._wall(),
            step=self._talks.step(job.id),
        )

    # -- the queue -----------------------------------------------------------------------------

    async def _stats(self, asker: Asker) -> str:
        """All of it for those who manage, else of the tasks that one may have run."""
        return words.standing(await self._office.stats(asker.jid))

    def _status(self, _: Asker) -> Answer:
        stopping = ", stopping" if self._is_draining() else ""
        return f"{self._crew_load()}{stopping}. {self._direct.up_for()}"

    async def _pause(self, asker: Asker, word: str) -> str:
        offer = self._catalogue.find(word)
        if offer is None and asker.manages:
            return dunno(word, self._catalogue.names)
        task = offer.name if offer is not None else word
        await self._office.pause(asker.jid, task)
        return f"No more jobs of {task} are begun; those that run go on."

    async def _resume(self, asker: Asker, word: str) -> str:
        """Also of a task that no worker offers any more."""
        offer = self._catalogue.find(word)
        task = offer.name if offer is not None else word
        await self._office.resume(asker.jid, task)
        return f"Jobs of {task} are begun again."

    def _exit(self, asker: Asker) -> Answer:
        if not asker.manages:
            return f"You may not stop me: {self.desk.may_manage(asker.jid).reason}."
        self._stop()
        return "Leaving. The jobs are kept, and go on when I am back."


def _is_office(offer: Offer) -> bool:
    """What people have commands for."""
    return offer.name.startswith(OWN_TASKS)
