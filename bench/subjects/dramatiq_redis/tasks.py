"""The actors, with a broker and a store of results in Redis."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.closed_loop import say
from bench.durable import jobs

_URL = os.environ["BENCH_REDIS"]


class _Ready(dramatiq.Middleware):
    def after_worker_boot(self, broker: dramatiq.Broker, worker: Any) -> None:
        say("ready")


broker = RedisBroker(url=_URL + "/0")
broker.add_middleware(Results(backend=RedisBackend(url=_URL + "/1")))
broker.add_middleware(_Ready())
dramatiq.set_broker(broker)

tasks = {
    each.__name__: dramatiq.actor(store_results=True)(each)
    for each in (jobs.echo, jobs.clock, jobs.hold)
}
