"""Turns of the event loop. The clock of the unit tests is jabot.testing's."""

import asyncio


async def turns(count: int = 20) -> None:
    """Let the loop go round, so that what is due has happened."""
    for _ in range(count):
        await asyncio.sleep(0)
