"""The one place where a job is asked for, whichever way the asker came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jabot.access import Access, Decision
from jabot.errors import NotAllowed
from jabot.jid import JID
from jabot.runner.execution import answer
from jabot.runner.job import NO_OPTIONS, Job, Options
from jabot.runner.runner import Runner
from jabot.tasks import Bind, Registry, Task


@dataclass(frozen=True)
class Desk:
    """A node's tasks, its runner, and the rules about both."""

    own: Callable[[], JID]
    """The node's full address, which the server has the last word on."""
    tasks: Registry
    runner: Runner
    access: Access
    own_tasks: dict[str, Task[..., Any]] = field(default_factory=dict)
    """What the node tells of itself. They are in no list."""

    def add_own(self, *tasks: Task[..., Any]) -> None:
        """Have these done at once for everybody who has any right here: they are plain functions,
        and quick."""
        self.own_tasks.update({task.name: task for task in tasks})
        self.access.offer_to_all(self.own_tasks)

    def find(self, name: str) -> Task[..., Any] | None:
        """The task of exactly that name, the node's own ones included."""
        return self.tasks.get(name) or self.own_tasks.get(name)

    def start(
        self,
        task: Task[..., Any],
        caller: JID,
        bind: Bind,
        options: Options = NO_OPTIONS,
    ) -> Job:
        """Check the caller's right, then the arguments (`bind` makes them), then take the job.

        One of the node's own tasks is done at once, and takes no slot: a full node answers, too.
        Raises `NotAllowed`, `BadArguments`, `Draining`, `TooManyJobs`, and `UnknownJob` when a task
        of the node's own is about a job that is not there; nothing ran then.
        """
        # A queue has looked at its caller's right.
        decision = self.may_run(options.via or caller, task.name)
        if not decision:
            raise NotAllowed(f"you may not run {task.name}: {decision.reason}")
        job = Job(task, *bind(task.signature), caller, options)
        if task.name in self.own_tasks:
            answer(job)
        else:
            self.runner.submit(job)
        return job

    def may_run(self, caller: JID, task: str) -> Decision:
        """Whether `caller` may run `task` here."""
        return self.access.may_run(self.own(), caller, task)

    def allowed(self, caller: JID) -> list[Task[..., Any]]:
        """The tasks that `caller` may run here."""
        return [task for task in self.tasks if self.may_run(caller, task.name)]

    def may_manage(self, caller: JID) -> Decision:
        """Whether `caller` may stop this node and handle the jobs of others."""
        return self.access.may_manage(self.own(), caller)

    def jobs_for(self, asker: JID) -> list[Job]:
        """The unfinished jobs that somebody may see and stop, oldest first: the own ones, and
        everybody's for who manages the node."""
        manages = bool(self.may_manage(asker))
        return [job for job in self.runner.jobs if manages or job.caller.bare == asker.bare]

    def cancel(self, job: Job, by: JID) -> None:
        """Stop a job of `jobs_for(by)`; its caller is told who it was, if it was another."""
        self.runner.cancel(job, f"by {by.bare}" if job.caller.bare != by.bare else "")

    def knows(self, caller: JID) -> bool:
        """Whether `caller` has any right here."""
        return self.access.knows(self.own(), caller)
