"""Sends jobs and fetches their results, oldest first, while a window stays full."""

from typing import Any

from tasks import echo

from bench.closed_loop import Measured, answer_orders_blocking, keep_window

_TIMEOUT = 60.0  # seconds


def result(job: Any) -> Any:
    return job.get(timeout=_TIMEOUT)


def measure(in_flight: int, seconds: float) -> Measured:
    return keep_window(echo.delay, result, in_flight, seconds)


if __name__ == "__main__":
    answer_orders_blocking(measure)
