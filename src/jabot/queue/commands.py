"""What people say to look after a queue, and what they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jabot.chat.clerk import Answer, Asker, Command, by_word, cancelling
from jabot.chat.commands import dunno
from jabot.chat.direct import Direct
from jabot.chat.talk import Talks
from jabot.protocol.states import JobState
from jabot.queue import words
from jabot.queue.answers import JobLine
from jabot.queue.catalogue import Catalogue
from jabot.queue.foreman import Foreman
from jabot.queue.ledger import Ledger
from jabot.queue.office import Office
from jabot.queue.store.verbs import Filter, Tell
from jabot.runner.job import short_id

NAMES: Final = (
    *("help", "jobs", "show", "cancel", "retry", "stats", "status", "can"),
    *("pause", "resume", "exit"),
)
"""Words that mean something else than a task where people talk to a queue."""
_SHOWN: Final = 20  # jobs in a list
_UNFINISHED: Final = [state for state in JobState if not state.ended]


class Commands:
    """The office and the foreman of a queue, as words.

    `direct` is what does the queue's own tasks, `crew_load()` tells how busy the workers are.
    """

    def __init__(
        self,
        direct: Direct,
        talks: Talks,
        catalogue: Catalogue,
        ledger: Ledger,
        office: Office,
        foreman: Foreman,
        *,
        crew_load: Callable[[], str],
        wall: Callable[[], float],
    ) -> None:
        self._desk = direct.desk
        self._direct = direct
        self._talks = talks
        self._catalogue = catalogue
        self._ledger = ledger
        self._office = office
        self._foreman = foreman
        self._crew_load = crew_load
        self._wall = wall
        self.by_word = by_word(
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

    # -- jobs ----------------------------------------------------------------------------------

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
        await self._ledger.ask(Tell(job.id, str(asker.jid), str(self._desk.own())))
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
        return words.standing(await self._foreman.stats(asker.jid))

    def _status(self, _: Asker) -> Answer:
        stopping = ", stopping" if self._desk.runner.draining else ""
        return f"{self._crew_load()}{stopping}. {self._direct.up_for()}"

    async def _pause(self, asker: Asker, word: str) -> str:
        offer = self._catalogue.find(word)
        if offer is None and asker.manages:
            return dunno(word, self._catalogue.names)
        task = offer.name if offer is not None else word
        await self._foreman.pause(asker.jid, task)
        return f"No more jobs of {task} are begun; those that run go on."

    async def _resume(self, asker: Asker, word: str) -> str:
        """Also of a task that no worker offers any more."""
        offer = self._catalogue.find(word)
        task = offer.name if offer is not None else word
        await self._foreman.resume(asker.jid, task)
        return f"Jobs of {task} are begun again."

    def _exit(self, asker: Asker) -> Answer:
        if not asker.manages:
            return f"You may not stop me: {self._desk.may_manage(asker.jid).reason}."
        self._direct.stop()
        return "Leaving. The jobs are kept, and go on when I am back."
