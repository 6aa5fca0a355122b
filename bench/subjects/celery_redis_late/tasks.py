"""The Celery application: tasks that are acknowledged after they ran."""

import os

from celery import Celery
from celery.signals import worker_ready

from bench.closed_loop import say
from bench.durable import jobs

_URL = os.environ["BENCH_REDIS"]

app = Celery("tasks", broker=_URL + "/0", backend=_URL + "/1")
app.conf.update(
    # "Reserve one task at a time", in the guide's words both settings (userguide/optimizing).
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    # With late acknowledgement alone, a process of the pool that dies takes its job along.
    task_reject_on_worker_lost=True,
    task_ignore_result=False,
)

tasks = {each.__name__: app.task(name=each.__name__)(each) for each in (jobs.echo, jobs.clock)}
tasks["hold"] = app.task(name="hold")(jobs.hold)


@worker_ready.connect
def _ready(**_: object) -> None:
    say("ready")
