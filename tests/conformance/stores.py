"""The stores that the suite goes over, and a shorthand for what it asks of them.

A kind of store is a function that takes a directory, and gives a store that is still to be opened
and what undoes it: another one is one more entry of `KINDS`.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Raw

from jabot.protocol.options import JobOptions
from jabot.protocol.states import JobState
from jabot.queue.store import open_store
from jabot.queue.store.records import Failure
from jabot.queue.store.store import Store
from jabot.queue.store.verbs import Add, Cancel, Claim, Delivered, Due, Finish, Look, Revive
from servers.postgres import shared

OWNER = "app@example.org"
NODE = "queue@example.org/1"
WORKER = "bot@example.org/1"
BOOM = Failure("ValueError", "boom")


def sqlite_file(directory: Path) -> Store:
    return open_store(f"sqlite:///{directory}/jobs.db")


def sqlite_memory(directory: Path) -> Store:
    return open_store("sqlite:///:memory:")


def postgres(directory: Path) -> Store:
    return open_store(shared().emptied_database())


KINDS: dict[str, Callable[[Path], Store]] = {
    "sqlite-file": sqlite_file,
    "sqlite-memory": sqlite_memory,
    "postgres": postgres,
}


_FIELDS = ("timeout", "reply_to", "meta", "person", "teller", "most", "most_same")


def new(job, *, owner=OWNER, task="lift", args="[]", kwargs="{}", now=0.0, **more):
    """An `Add`: what is no field of it is an option."""
    fields = {name: more.pop(name) for name in _FIELDS if name in more}
    return Add(
        id=job,
        owner=owner,
        task=task,
        args=Raw(args.encode()),
        kwargs=Raw(kwargs.encode()),
        options=JobOptions(**more),
        meta=fields.pop("meta", {}),
        now=now,
        **fields,
    )


def json(raw):
    return None if raw is None else msgspec.json.decode(raw)


class Asked:
    """A store, and short words for its verbs."""

    def __init__(self, store):
        self.store = store

    async def do(self, *verbs):
        answers = await self.store.apply(list(verbs))
        assert len(answers) == len(verbs)
        return answers[0] if len(verbs) == 1 else answers

    async def add(self, *jobs, **more):
        """One job or several, with the same options."""
        return await self.do(*(new(job, **more) for job in jobs))

    async def claim(self, most=100, *kinds, now=0.0, worker=WORKER, node=NODE):
        return await self.do(Claim(node, worker, list(kinds or ("lift",)), most, now))

    async def claimed(self, most=100, *kinds, **more):
        return [record.id for record in await self.claim(most, *kinds, **more)]

    async def finish(self, job, event="succeed", *, attempt=1, now=0.0, **more):
        if event == "succeed":
            more.setdefault("result", Raw(b'"done"'))
        if event == "fail":
            more.setdefault("failure", BOOM)
        return await self.do(Finish(job, attempt, event, now, **more))

    async def look(self, job, owner=None, **more):
        return await self.do(Look(job, owner, **more))

    async def state(self, job):
        return (await self.look(job)).state

    async def cancel(self, job, reason="enough", *, owner=None, now=0.0):
        return await self.do(Cancel(job, owner, reason, now))

    async def due(self, now, most=1000):
        return await self.do(Due(now, most))

    async def revive(self, job, *, owner=None, now=0.0):
        return await self.do(Revive(job, owner, now))

    async def delivered(self, *jobs):
        return await self.do(Delivered(list(jobs), 0.0))

    async def in_state(self, state, job="a"):
        """A new job that is brought there."""
        options = {"delay": 10.0} if state is JobState.SCHEDULED else {}
        await self.add(job, **options)
        if state is JobState.CANCELLED:
            await self.cancel(job)
        elif state not in (JobState.SCHEDULED, JobState.AVAILABLE):
            await self.claim()
            if state is not JobState.RUNNING:
                events = {
                    JobState.RETRYABLE: "retry",
                    JobState.SUCCEEDED: "succeed",
                    JobState.FAILED: "fail",
                }
                await self.finish(job, events[state], at=5.0)
        assert await self.state(job) is state
