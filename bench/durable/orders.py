"""The caller's side of every durable subject.

A caller prints `ready`, then answers each order on stdin, a line of JSON, with a line of figures:

- `{"in_flight": N, "seconds": S}`: as in `closed_loop`, with `echo`;
- `{"starts": S}`: one `clock` at a time for so many seconds; nanoseconds from submit to start;
- `{"hold": [first, last], "seconds": S}`: submit these jobs and do not wait for them; the answer
  comes when the queue has accepted them all.

It runs in the peers' environments as well, so it needs the standard library alone.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from bench.closed_loop import keep_in_flight, keep_window, say


async def answer_orders(
    submit: Callable[..., Awaitable[Any]], result: Callable[[Any], Awaitable[Any]]
) -> None:
    """Take orders until stdin ends, for callers on an event loop.

    `submit(task, *arguments)` returns once the queue has accepted the job, with what `result`
    needs to wait for its result.
    """

    async def run(task: str, *arguments: Any) -> Any:
        return await result(await submit(task, *arguments))

    async def echo(value: int) -> Any:
        return await run("echo", value)

    async def starts(seconds: float) -> list[int]:
        latencies = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            submitted = time.time_ns()
            latencies.append(await run("clock") - submitted)
        return latencies

    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        match json.loads(line):
            case {"in_flight": in_flight, "seconds": seconds}:
                measured = await keep_in_flight(
                    lambda value: run("echo", value), in_flight, seconds
                )
                say(json.dumps(asdict(measured)))
            case {"starts": seconds}:
                say(json.dumps({"starts": await starts(seconds)}))
            case {"hold": [first, last], "seconds": seconds}:
                for job in range(first, last + 1):
                    await submit("hold", job, seconds)
                say(json.dumps({"accepted": last - first + 1}))


def answer_orders_blocking(submit: Callable[..., Any], result: Callable[[Any], Any]) -> None:
    """Take orders until stdin ends, for callers without an event loop."""

    def starts(seconds: float) -> list[int]:
        latencies = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            submitted = time.time_ns()
            latencies.append(result(submit("clock")) - submitted)
        return latencies

    say("ready")
    while line := sys.stdin.readline():
        match json.loads(line):
            case {"in_flight": in_flight, "seconds": seconds}:
                measured = keep_window(
                    lambda value: submit("echo", value), result, in_flight, seconds
                )
                say(json.dumps(asdict(measured)))
            case {"starts": seconds}:
                say(json.dumps({"starts": starts(seconds)}))
            case {"hold": [first, last], "seconds": seconds}:
                for job in range(first, last + 1):
                    submit("hold", job, seconds)
                say(json.dumps({"accepted": last - first + 1}))
