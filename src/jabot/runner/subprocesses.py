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

    It looks at all processes of the machine: not on an event loop.
    """
    living = list(_living(child.pid))
    return bool(living) and not any(living)


def _living(group: int) -> Iterator[bool]:
    """Of each in a group, whether it lives: as Linux tells (proc(5), /proc/PID/stat)."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it is gone
            about = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
            state, its_group, threads = about[0], int(about[2]), int(about[17])
            if its_group == group:
                yield state not in "ZX" or threads > 1  # then only the first one has ended
