"""The caller's side of every subject: N jobs in flight, a new one for each that ends.

It runs in the peers' environments as well, so it needs the standard library alone. A caller prints
`ready`, then answers each order `{"in_flight": N, "seconds": S}` on stdin with a line of figures.
"""

import asyncio
import itertools
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any


@dataclass
class Measured:
    """One load. `seconds` run from the first submit to the last result."""

    jobs: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds; with one in flight only


class WrongResultError(Exception):
    """The worker answered with something else than the value it was given."""


def check(value: int, result: Any) -> None:
    """A job that brings back another value is no job done."""
    if result != value:
        raise WrongResultError(f"echo({value}) came back as {result!r}")


async def keep_in_flight(
    call: Callable[[int], Awaitable[Any]], in_flight: int, seconds: float
) -> Measured:
    """Run `call(value)` in `in_flight` coroutines until the time is up; waits for the last."""
    values = itertools.count()
    measured = Measured()
    begin = perf_counter()
    deadline = begin + seconds

    async def one_after_another() -> None:
        now = perf_counter()
        while True:
            value = next(values)
            submitted = now
            check(value, await call(value))
            now = perf_counter()
            measured.jobs += 1
            if in_flight == 1:
                measured.latencies.append(now - submitted)
            if now >= deadline:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one_after_another())
    measured.seconds = perf_counter() - begin
    return measured


def keep_window(
    submit: Callable[[int], Any], result: Callable[[Any], Any], in_flight: int, seconds: float
) -> Measured:
    """For callers that block: submit, and wait for the oldest, while a window stays full."""
    measured = Measured()
    begin = perf_counter()
    deadline = begin + seconds
    waiting = deque((value, submit(value)) for value in range(in_flight))
    sent, submitted = in_flight, begin
    while waiting:
        value, job = waiting.popleft()
        check(value, result(job))
        measured.jobs += 1
        now = perf_counter()
        if in_flight == 1:
            measured.latencies.append(now - submitted)
        if now < deadline:
            submitted = now
            waiting.append((sent, submit(sent)))
            sent += 1
    measured.seconds = perf_counter() - begin
    return measured


async def answer_orders(call: Callable[[int], Awaitable[Any]]) -> None:
    """Take orders until stdin ends, for callers on an event loop."""
    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        say(json.dumps(asdict(await keep_in_flight(call, **json.loads(line)))))


def answer_orders_blocking(measure: Callable[[int, float], Measured]) -> None:
    """Take orders until stdin ends, for callers without an event loop."""
    say("ready")
    while line := sys.stdin.readline():
        say(json.dumps(asdict(measure(**json.loads(line)))))


def say(line: str) -> None:
    """Say a line to the benchmark; Celery has put something else in place of `sys.stdout`."""
    assert sys.__stdout__ is not None  # noqa: S101 - it is a pipe
    sys.__stdout__.write(line + "\n")
    sys.__stdout__.flush()
