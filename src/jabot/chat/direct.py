"""A node that does by itself what people ask for: a `Clerk`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version

from jabot.chat import texts
from jabot.chat.clerk import Answer, Asker, Command, Taken, by_word, cancelling
from jabot.chat.talk import Ending, Talks
from jabot.durations import duration
from jabot.jid import JID
from jabot.protocol.states import JobState
from jabot.runner import Desk, Job
from jabot.tasks import Bind, Offer

NAMES = ("help", "jobs", "cancel", "status", "can", "exit")
"""Words that no task of a node may have."""


class Direct:
    """Starts jobs at the desk. `stop()` has the node leave when its jobs are done."""

    def __init__(self, desk: Desk, talks: Talks, stop: Callable[[], None]) -> None:
        self.desk = desk
        self._runner = desk.runner
        self._talks = talks
        self.stop = stop
        self._started = time.monotonic()
        self.commands = by_word(
            Command("jobs", "your jobs that are not done yet.", self._jobs),
            cancelling(self._cancel),
            Command("status", "how busy I am, and since when I am up.", self._status),
            Command("exit", "finish what runs, and leave.", self._exit, for_managers=True),
        )

    # -- see `Clerk` ---------------------------------------------------------------------------

    def find(self, word: str) -> Offer | None:
        return self.desk.tasks.find(word)

    def does(self, offer: Offer) -> bool:
        return True

    def allowed(self, person: JID) -> Sequence[Offer]:
        return self.desk.allowed(person)

    def start(
        self, offer: Offer, person: JID, bind: Bind, taken: Taken = lambda job_id: None
    ) -> Answer:
        task = self.desk.tasks[offer.name]
        runner = self._runner
        before = runner.waiting + 1 if runner.running >= runner.concurrency else 0
        job = self.desk.start(task, person, bind)
        self._talks.accompany(person, job.id, task.name)
        taken(job.id)
        self._talks.begun(job.id)
        job.on_progress(partial(self._talks.stepped, job.id))
        job.completion(partial(self._ended, person))
        return texts.scheduled(task, job.id, before)

    def run(self, offer: Offer, person: JID, bind: Bind) -> Answer:
        return _awaited(self.desk.start(self.desk.tasks[offer.name], person, bind))

    # -- within --------------------------------------------------------------------------------

    def _ended(self, person: JID, job: Job) -> None:
        self._talks.ended(person, job.id, job.task.name, partial(_ending, job))

    def _jobs(self, asker: Asker) -> Answer:
        """One's own, and everybody's for those who manage the node."""
        jobs = self.desk.jobs_for(asker.jid)
        return "\n".join(texts.job_line(j, with_caller=asker.manages) for j in jobs) or "No jobs."

    def _cancel(self, asker: Asker, given: str) -> Answer:
        """The end of an id is enough, or the task's name when that is clear."""
        word = given.casefold()
        found = [
            job
            for job in self.desk.jobs_for(asker.jid)
            if job.id.endswith(word) or job.task.name.casefold() == word
        ]
        if not found:
            return f"There is no job {given}."
        if len(found) > 1:
            lines = [f"{texts.job_line(j, with_caller=asker.manages)} ({j.id})" for j in found]
            return "\n".join(["Which one?", *lines])
        job = found[0]
        self.desk.cancel(job, asker.jid)
        return f"Cancelling {job.task.name} {job.short_id}."

    def _status(self, _: Asker) -> Answer:
        runner = self._runner
        load = texts.load(runner.running, runner.concurrency, runner.waiting)
        return f"{load}{', stopping' if runner.draining else ''}. {self.up_for()}"

    def up_for(self) -> str:
        """Since when it is up, and which version it is."""
        uptime = duration(time.monotonic() - self._started)
        return f"Up for {uptime}, jabot {version('jabot')}."

    def _exit(self, asker: Asker) -> Answer:
        if not asker.manages:
            decision = self.desk.may_manage(asker.jid)
            return f"You may not stop me: {decision.reason}."
        left = len(self._runner.jobs)
        self.stop()
        return (
            f"Leaving when {left} jobs are done."
            if left > 1
            else ("Leaving when the last job is done." if left else "Leaving.")
        )


async def _awaited(job: Job) -> str:
    """A job's result; raises what it failed with."""
    return texts.told_alone(job.task, job.id, await job)


def _ending(job: Job) -> Ending:
    if job.error is None:
        return Ending(texts.succeeded(job.task, job.id, job.value), True, job.value)
    if job.state is JobState.CANCELLED:  # such an error is a whole sentence
        return Ending(f"{job.error}.")
    return Ending(texts.failed(job.task.name, job.id, str(job.error)))
