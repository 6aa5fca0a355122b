"""Running a plain function in a thread that cannot keep the process alive."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any

from jabot.tasks import Step


class TaskThread(threading.Thread):
    """A thread that runs one function of the user's for a loop."""


async def run_in_thread(function: Callable[[], Any], name: str) -> Any:
    """Call `function` in a thread of its own and wait for what it returns or raises.

    Not `asyncio.to_thread`: that one's threads are joined when the interpreter ends, so a task that
    blocks for ever would keep a stopped node from leaving. A thread costs about 50 microseconds,
    and the runner bounds how many there are.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def main() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = context.run(function)
        except StopIteration as stray:  # a future refuses to carry this one
            error = RuntimeError(f"the task raised {stray!r}")
        except BaseException as raised:
            error = raised
        # The loop is closed when the node left without waiting for this thread.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    TaskThread(target=main, name=name, daemon=True).start()
    return await future


class LatestStep:
    """Brings progress from a thread to the loop; of steps that come in a burst, the last one.

    At most one call waits on the loop, however fast the thread reports.
    """

    def __init__(self, report: Callable[[Step], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._report = report
        self._lock = threading.Lock()
        self._waiting: Step | None = None

    def __call__(self, step: Step) -> None:
        """Report a step, from any thread."""
        with self._lock:
            idle = self._waiting is None
            self._waiting = step
        if idle:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Hand on what waits; on the loop, also before the result is made known."""
        with self._lock:
            step, self._waiting = self._waiting, None
        if step is not None:
            self._report(step)
