"""Processes that jobs run in: what they write, and signals to all that they have started."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

_LIMIT = 65536  # bytes


@contextlib.asynccontextmanager
async def reading(descriptor: int, limit: int = _LIMIT) -> AsyncIterator[asyncio.StreamReader]:
    """A stream of what comes from a pipe, which is closed afterwards. Its lines have up to `limit`
    bytes."""
    stream = asyncio.StreamReader(limit)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb")
    )
    try:
        yield stream
    finally:
        transport.close()


def signal_group(child: asyncio.subprocess.Process, number: int) -> bool:
    """Send a signal to a child that leads a process group, and to all others in there. Whether
    anybody is left whom we may send one."""
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def only_zombies(child: asyncio.subprocess.Process) -> bool:
    """Whether all in the process group that a child leads, or led, have ended, and wait for a
    parent that does not collect them. Linux lets them be sent signals; elsewhere it is False.
    """
    states = list(_states(child.pid))
    return bool(states) and set(states) <= {"Z", "X"}


def _states(group: int) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it is gone
            about = (process / "stat").read_text(errors="replace")
            state, _parent, its_group, *_ = about.rpartition(")")[2].split()
            if int(its_group) == group:
                yield state
