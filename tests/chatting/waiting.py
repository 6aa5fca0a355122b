"""How long a test waits for what has to come."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LIMIT = 20.0  # seconds, for a machine that is busy with other things


async def soon(awaited: Awaitable[T], limit: float = LIMIT) -> T:
    """What comes of it; raises `TimeoutError` when nothing does."""
    async with asyncio.timeout(limit):
        return await awaited


async def until(condition: Callable[[], object]) -> None:
    """Return when it is so; raises `TimeoutError` when it does not come to that."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.01)


def written(file: Path, text: str) -> None:
    """Return when a program has written that, and nothing else, into a file."""
    deadline = time.monotonic() + 2 * LIMIT
    while not file.exists() or file.read_text() != text:
        assert time.monotonic() < deadline, f"{file} never said {text!r}"
        time.sleep(0.02)
