"""Jobs that are given to a runner."""

import asyncio

from jabot import JID, Context
from jabot.runner import Job, Options
from jabot.tasks import Task

ALICE, BOB = JID("alice@localhost/phone"), JID("bob@localhost/desk")


def submit(runner, function, *args, caller=ALICE, **options):
    """A job of a task or a function; the options are those of `Options`."""
    task = function if isinstance(function, Task) else Task(function)
    job = Job(task, *task.signature.bind(args, {}), caller, Options(**options))
    runner.submit(job)
    return job


class Gate:
    """A task that runs until it is opened, and tells the order of the starts."""

    def __init__(self):
        self.started, self.open = [], asyncio.Event()

    def task(self, name="wait"):
        async def wait():
            self.started.append(name)
            await self.open.wait()
            return name

        return Task(wait)


async def doubled(n: int, *, ctx: Context) -> int:
    ctx.progress(n, 2 * n)
    return 2 * n


async def seven():
    return 7


async def for_ever():
    await asyncio.Event().wait()
