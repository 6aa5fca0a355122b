"""The Celery application: its one task, and settings for many short jobs."""

import os

from celery import Celery
from celery.signals import worker_ready

from bench.closed_loop import say

_URL = os.environ["BENCH_REDIS"]

app = Celery("tasks", broker=_URL + "/0", backend=_URL + "/1")
app.conf.update(
    # "Many short-running tasks": the guide names 50 to 150 (userguide/optimizing).
    worker_prefetch_multiplier=128,
    # The defaults, spelled out: results are kept, and nothing is sent or stored besides them.
    task_ignore_result=False,
    task_track_started=False,
    worker_send_task_events=False,
)


@app.task
def echo(value: int) -> int:
    return value


@worker_ready.connect
def _ready(**_: object) -> None:
    say("ready")
