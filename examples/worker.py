"""The worker of the Ruby program of 2008, which included a Deferrable: no chat, no server.

    $ python examples/worker.py

A deferrable is a result that is not there yet. Whoever wants it says what is to happen then, and
goes on; whoever makes it calls `succeed` or `fail`, once.
"""

import asyncio
import atexit
import threading
import time

from jabot import Deferrable


class Worker(Deferrable[str]):
    """Lifts in a thread of its own, and succeeds when it is done."""

    def __init__(self, kilos: int) -> None:
        self.kilos = kilos

    def spawn(self) -> "Worker":
        """Start to lift, and return at once."""
        loop = asyncio.get_running_loop()

        def work() -> None:
            # A thread may not settle a deferrable itself: its callbacks belong to the loop.
            try:
                result = self.lift()
            except ValueError as error:
                loop.call_soon_threadsafe(self.fail, error)
            else:
                loop.call_soon_threadsafe(self.succeed, result)

        threading.Thread(target=work, daemon=True).start()
        return self

    def lift(self) -> str:
        """The heavy work: it blocks."""
        if self.kilos > 200:
            raise ValueError(f"{self.kilos} kg are too heavy")
        time.sleep(0.5)
        return f"{self.kilos} kg"


async def tick(seconds: float) -> None:
    """A periodic timer: proof that the loop goes on."""
    while True:
        await asyncio.sleep(seconds)
        print("tick")


async def main() -> None:
    """Give three workers their weights, and wait for all of them."""
    atexit.register(print, "worker down")
    timer = asyncio.create_task(tick(0.1))
    workers = [Worker(kilos) for kilos in (80, 120, 500)]
    for worker in workers:
        worker.callback(lambda result: print(f"Done lifting {result}"))
        worker.errback(lambda error: print(f"Could not lift: {error}"))
        worker.spawn()
        print("Scheduled heavy job...")
    # It can be awaited as well: the value is returned, or the error is raised.
    outcomes = await asyncio.gather(*workers, return_exceptions=True)
    print(f"{sum(isinstance(outcome, str) for outcome in outcomes)} of {len(outcomes)} lifted")
    timer.cancel()


if __name__ == "__main__":
    asyncio.run(main())
