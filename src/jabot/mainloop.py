"""Running a coroutine as the program: signals, and an end that comes whatever happens."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

log = logging.getLogger(__name__)

_LAST_WAIT = 2.0  # seconds that what is left may take to end when the program is over


def run_program(
    main: Callable[[], Coroutine[Any, Any, None]],
    *,
    stop: Callable[[], None],
    leave: Callable[[], None],
) -> None:
    """Run `main()` to its end; the first SIGINT or SIGTERM calls `stop`, the second `leave`, and
    ends the process at once with 130 or 143.

    `asyncio.run` waits for every task and every thread of its pool, for ever. This does not: what
    does not end within two seconds is left behind, and the process ends.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    signals = 0

    def signalled(number: int) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            stop()
            return
        log.warning("%s again: leaving now", signal.Signals(number).name)
        leave()
        exit_now(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled, number)
    try:
        loop.run_until_complete(main())
    except BaseException as error:
        if not _clean_up(loop):
            log.error("%s", error)
            exit_now(1)
        raise
    if not _clean_up(loop):
        exit_now(0)


def exit_now(code: int) -> NoReturn:
    """End the process, whatever threads and tasks still do. Children end with their node."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _clean_up(loop: asyncio.AbstractEventLoop) -> bool:
    """End what is left on the loop and close it; False when something does not end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    try:
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=_LAST_WAIT))
        loop.run_until_complete(_shut_down(loop))
    except TimeoutError:
        log.warning("a thread does not end, and is left behind")
        return False
    stubborn = [task.get_name() for task in tasks if not task.done()]
    if stubborn:
        log.warning("left behind what does not end: %s", ", ".join(stubborn))
        return False
    asyncio.set_event_loop(None)
    loop.close()
    return True


async def _shut_down(loop: asyncio.AbstractEventLoop) -> None:
    async with asyncio.timeout(_LAST_WAIT):
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()
