"""What the command line and the blocking client have done, besides what users call: with options
that are checked already, and with types of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

from jabot.calls.broadcast import Broadcast, Plan
from jabot.calls.calling import Calling
from jabot.calls.job import Job
from jabot.calls.options import Call, Options, options
from jabot.errors import NobodyThere, NotAllowed, UnknownTask
from jabot.tasks import Description, Task

_ASKED: Final = 5  # nodes that are asked what a task takes, one after the other
_DESCRIBED: Final = 3.0  # seconds that each of them has


def spread(
    app: Calling, plan: Plan, on_nodes: Callable[[int], object] = lambda count: None
) -> Broadcast:
    """A broadcast that is checked already. It also tells how many nodes it is for, before the first
    reply."""
    return Broadcast(app._calls, app._audience, plan, on_nodes)


async def describe_to(
    app: Calling, task: str, options: Mapping[str, Any], stack: ExitStack
) -> Description | None:
    """What one of the nodes that a broadcast is for says of a task; None when none of the first few
    has it. What it takes to know them is kept until `stack` is closed."""
    to, where = options["to"], options["where"]
    members = await app._audience.find(to, task, where, stack, lambda jid: None)
    for member in [member for member in members if member.refusal is None][:_ASKED]:
        try:
            async with asyncio.timeout(_DESCRIBED):
                return (await app.describe(member.jid, task))[task]
        except (TimeoutError, NobodyThere, NotAllowed, UnknownTask):
            continue
    return None


async def begin(
    app: Calling,
    task: str | Task[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    chosen: Options,
) -> Job[Any]:
    """Give a job away without waiting until it is taken; what would be raised then, its handle
    fails with. The arguments may have any name."""
    return await app._calls.begin(Call.of(task, args, kwargs), chosen)


async def submit_for(
    app: Calling,
    task: str,
    kind: Any,
    arguments: Mapping[str, Any],
    *,
    to: str,
    timeout: float | None,
) -> Job[Any]:
    """As `submit`, for a result of a kind: with one of another the job fails with
    `RemoteProtocolError`. For what nodes and queues tell of themselves."""
    chosen = options(to, timeout)
    return await app._calls.submit(Call.of(task, (), arguments)._replace(result_type=kind), chosen)
