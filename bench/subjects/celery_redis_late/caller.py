"""Sends jobs and fetches their results, oldest first, while a window stays full."""

from typing import Any

from tasks import tasks

from bench.durable.orders import answer_orders_blocking

_TIMEOUT = 60.0  # seconds


def submit(task: str, *arguments: Any) -> Any:
    return tasks[task].delay(*arguments)


def result(job: Any) -> Any:
    return job.get(timeout=_TIMEOUT)


if __name__ == "__main__":
    answer_orders_blocking(submit, result)
