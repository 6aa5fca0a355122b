"""The commands that every node knows: words in, a text out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from jabot.chat import texts
from jabot.errors import BadArguments
from jabot.jid import JID, InvalidJID
from jabot.runner import Desk, Job
from jabot.tasks.registry import close_match

_HELP = {
    "help": "help, or help TASK: what you may ask for.",
    "jobs": "jobs: your jobs that are not done yet.",
    "cancel": "cancel ID: stop a job; the task's name will do when it is clear which one you mean.",
    "status": "status: how busy I am, and since when I am up.",
    "can": "can JID TASK: whether somebody may run a task, and why.",
    "exit": "exit: finish what runs, and leave.",
}
NAMES = tuple(_HELP)


@dataclass(frozen=True)
class Asker:
    """Who says it, and what that allows."""

    jid: JID
    manages: bool


class Commands:
    """The built-in commands of one node.

    Each method takes who asks and the words after the command, gives the answer, and raises
    `BadArguments` for words that it cannot use.
    """

    def __init__(self, desk: Desk, stop: Callable[[], None]) -> None:
        self._desk = desk
        self._runner = desk.runner
        self._stop = stop
        self._started = time.monotonic()

    def run(self, name: str, asker: Asker, words: list[str]) -> str:
        """Run the command of that name (one of `NAMES`)."""
        method: Callable[[Asker, list[str]], str] = getattr(self, f"_{name}")
        return method(asker, words)

    def allowed_names(self, asker: Asker) -> list[str]:
        """Every word that the asker could use: commands, and tasks that they may run."""
        commands = [name for name in NAMES if name != "exit" or asker.manages]
        return commands + [task.name for task in self._desk.allowed(asker.jid)]

    def _help(self, asker: Asker, words: list[str]) -> str:
        """`help` or `help TASK`."""
        if words:
            if words[0].casefold() in _HELP:
                return _HELP[words[0].casefold()]
            task = self._desk.tasks.find(words[0])
            if task is not None and self._desk.may_run(asker.jid, task.name):
                return texts.task_help(task)
            return dunno(words[0], self.allowed_names(asker))
        mine = [texts.task_line(task) for task in self._desk.allowed(asker.jid)]
        intro = "You can ask me for:" if mine else "There is no task that you may run."
        leave = ", exit" if asker.manages else ""
        rest = f"and: help TASK, jobs, cancel ID, status, can JID TASK{leave}"
        return "\n".join([intro, *mine, rest])

    def _jobs(self, asker: Asker, words: list[str]) -> str:
        """`jobs`: one's own, and everybody's for those who manage the node."""
        _none(words, "jobs")
        jobs = self._visible(asker)
        return "\n".join(texts.job_line(j, with_caller=asker.manages) for j in jobs) or "No jobs."

    def _cancel(self, asker: Asker, words: list[str]) -> str:
        """`cancel ID`: the end of an id is enough, or the task's name when that is clear."""
        if len(words) != 1 or not words[0]:
            raise BadArguments("say: cancel ID (jobs shows the ids)")
        word = words[0].casefold()
        found = [
            job
            for job in self._visible(asker)
            if job.id.endswith(word) or job.task.name.casefold() == word
        ]
        if not found:
            return f"There is no job {words[0]}."
        if len(found) > 1:
            lines = [f"{texts.job_line(j, with_caller=asker.manages)} ({j.id})" for j in found]
            return "\n".join(["Which one?", *lines])
        job = found[0]
        by_other = job.caller.bare != asker.jid.bare
        self._runner.cancel(job, f"by {asker.jid.bare}" if by_other else "")
        return f"Cancelling {job.task.name} {job.short_id}."

    def _visible(self, asker: Asker) -> list[Job]:
        return [
            job for job in self._runner.jobs if asker.manages or job.caller.bare == asker.jid.bare
        ]

    def _status(self, _: Asker, words: list[str]) -> str:
        """`status`: how busy, for how long, which version."""
        _none(words, "status")
        runner = self._runner
        load = texts.load(runner.running, runner.concurrency, runner.waiting)
        uptime = texts.duration(time.monotonic() - self._started)
        stopping = ", stopping" if runner.draining else ""
        return f"{load}{stopping}. Up for {uptime}, jabot {version('jabot')}."

    def _can(self, asker: Asker, words: list[str]) -> str:
        """`can JID TASK`: about oneself for everybody, about others for those who manage."""
        if len(words) != 2:
            raise BadArguments("say: can JID TASK")
        try:
            jid = JID(words[0])
        except InvalidJID:
            raise BadArguments(f"{words[0]} is not an address") from None
        if not asker.manages and jid.bare != asker.jid.bare:
            return "Only those who manage me may ask that about others."
        task = self._desk.tasks.find(words[1])
        if words[1].casefold() == "exit":
            decision = self._desk.may_manage(jid)
        elif task is None:
            return dunno(words[1], self.allowed_names(asker))
        else:
            decision = self._desk.may_run(jid, task.name)
        return f"{'Yes' if decision else 'No'}: {decision.reason}."

    def _exit(self, asker: Asker, words: list[str]) -> str:
        """`exit`: the node finishes what it has and leaves."""
        _none(words, "exit")
        if not asker.manages:
            decision = self._desk.may_manage(asker.jid)
            return f"You may not stop me: {decision.reason}."
        left = len(self._runner.jobs)
        self._stop()
        return (
            f"Leaving when {left} jobs are done."
            if left > 1
            else ("Leaving when the last job is done." if left else "Leaving.")
        )


def dunno(word: str, names: list[str]) -> str:
    """The answer to a word that means nothing here."""
    match = close_match(word, names)
    return f"Dunno how to {texts.cut(word, 60)}" + (f". Did you mean {match}?" if match else "")


def _none(words: list[str], command: str) -> None:
    if words:
        raise BadArguments(f"{command} stands alone")
