"""Jobs come in: what is the same whether a program, a person or a schedule asks for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jabot.protocol.frames import Submit
from jabot.protocol.options import JobOptions
from jabot.protocol.states import JobState
from jabot.queue.defaults import with_defaults
from jabot.queue.ready import Ready
from jabot.queue.store.records import Record
from jabot.queue.store.verbs import Add, Added


class Arrivals:
    """Makes of what is asked for the job that is kept, and says when it is to be looked at.

    `defaults` is what the authors of tasks say of their jobs. `due_at(moment)` is told when
    something is to be looked at. One account may have `most` unfinished jobs.
    """

    def __init__(
        self,
        ready: Ready,
        defaults: Mapping[str, JobOptions],
        due_at: Callable[[float], None],
        most: int,
        *,
        wall: Callable[[], float],
    ) -> None:
        self._ready = ready
        self._defaults = defaults
        self._due_at = due_at
        self._most = most
        self._wall = wall

    def job(
        self,
        asked: Submit,
        options: JobOptions,
        owner: str,
        *,
        reply_to: str = "",
        person: str = "",
        teller: str = "",
    ) -> Add:
        """What is asked, with the options that were read from it or belong to it, as the job that
        is to be kept. For the last three see `Add`."""
        return Add(
            asked.id,
            owner,
            asked.task,
            asked.args,
            asked.kwargs,
            with_defaults(options, self._defaults.get(asked.task), asked),
            asked.meta,
            self._wall(),
            asked.timeout,
            reply_to,
            person,
            teller,
            self._most,
        )

    def expect(self, job: Add) -> None:
        """A job is on its way to the store: to be begun in the same transaction, if it may be."""
        if job.due <= job.now and not job.options.after:
            self._ready.look_for(job.kind)
        deadline = None if job.timeout is None else job.now + job.timeout
        self._look(job.options, job.now, job.due, deadline)

    def kept(self, job: Add, added: Added) -> None:
        """The store has it. What it comes after may have ended already."""
        if job.options.after and added.state is JobState.AVAILABLE:
            self._ready.look_for(job.kind)

    def again(self, record: Record) -> None:
        """A job that had ended is available again."""
        self._ready.look_for(record.kind)
        self._look(record.options, record.due, record.due, record.deadline)

    def _look(self, options: JobOptions, now: float, due: float, deadline: float | None) -> None:
        """Have it looked at first when what it waits for may have come; the rest `Due` tells."""
        moments = [due] if due > now or options.lane is not None else []
        if deadline is not None:
            moments.append(deadline)
        if options.expires is not None:
            moments.append(due + options.expires)
        if moments:
            self._due_at(min(moments))


def refusal(job: Add, added: Added) -> str:
    """Why a job was not kept, for whoever asked for it."""
    match added.refused:
        case "id_taken":
            return f"the id {job.id} is another job's"
        case "key_reused":
            return f"the key {job.options.key!r} stands for another job, {added.id}"
        case "too_many_same":
            by = "unique" if job.options.key is None else f"the key {job.options.key!r}"
            return (
                f"{by}: {int(added.detail):,} submits are one job already, {added.id}, and a job "
                "is no more than that; wait until it has begun, or the key is over"
            )
        case "unknown_parent":
            return f"after: there is no job {added.detail} of yours here"
    return (
        f"{added.detail} of your jobs in this queue are unfinished, and {job.most} are allowed: "
        "wait for some of them, or cancel some"
    )
