"""Sends jobs and fetches their results, oldest first, while a window stays full."""

from collections import deque
from time import perf_counter

from tasks import echo

from bench.closed_loop import Measured, answer_orders_blocking, check

_TIMEOUT = 60.0  # seconds


def measure(in_flight: int, seconds: float) -> Measured:
    measured = Measured()
    begin = perf_counter()
    deadline = begin + seconds
    waiting = deque((value, echo.delay(value)) for value in range(in_flight))
    sent, submitted = in_flight, begin
    while waiting:
        value, result = waiting.popleft()
        check(value, result.get(timeout=_TIMEOUT))
        measured.jobs += 1
        now = perf_counter()
        if in_flight == 1:
            measured.latencies.append(now - submitted)
        if now < deadline:
            submitted = now
            waiting.append((sent, echo.delay(sent)))
            sent += 1
    measured.seconds = perf_counter() - begin
    return measured


if __name__ == "__main__":
    answer_orders_blocking(measure)
