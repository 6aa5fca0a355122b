"""Figures about jobs for Prometheus. `jabot run --metrics PORT` serves those of a node.

    metrics = Metrics()
    app = jabot.connect(middleware=[metrics])
    node = jabot.Node(middleware=[metrics])

Of the jobs that a program gives away, by task:

    jabot_jobs_submitted_total           how many it gave away
    jabot_jobs_in_flight                 how many of them have no outcome yet
    jabot_jobs_ended_total               by `outcome`: succeeded, or the name of the error
    jabot_job_duration_seconds           from the submit to the outcome

Of the jobs that run in it, each attempt for itself, by task:

    jabot_runs_running                   how many run
    jabot_runs_ended_total               by `outcome`, as above
    jabot_run_duration_seconds           how long they ran; waiting for a slot is not counted
"""

from __future__ import annotations

import time
from wsgiref.simple_server import WSGIServer

from jabot.errors import ConfigError
from jabot.middleware import Middleware, Run, Submission

try:
    from prometheus_client import (
        REGISTRY,
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        start_http_server,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'jabot.metrics needs prometheus-client: pip install "jabot[metrics]"', name=error.name
    ) from error

# Seconds: a round trip takes a millisecond, and jobs of an hour are no rarity.
_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Metrics(Middleware):
    """Counts and times the jobs of a client, a node, or both, in a registry of prometheus-client.

    A second object for one registry is a `ConfigError`: hand the same one to all.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        try:
            self._jobs = _Figures("jabot_job", "jobs that were given away", "in_flight", registry)
            self._runs = _Figures("jabot_run", "runs of jobs in this program", "running", registry)
        except ValueError as error:
            raise ConfigError(
                "this registry counts jabot's jobs already: use one Metrics() for all"
            ) from error
        self._submitted = Counter(
            "jabot_jobs_submitted_total", "Jobs given away.", ["task"], registry=registry
        )

    def before_submit(self, submission: Submission) -> None:
        """Count a job."""
        self._submitted.labels(submission.task).inc()
        self._jobs.begin(submission, submission.task)

    def after_result(self, submission: Submission, error: BaseException | None) -> None:
        """Count and time its outcome."""
        self._jobs.end(submission, submission.task, error)

    def before_run(self, run: Run) -> None:
        """Count a run as running."""
        self._runs.begin(run, run.task)

    def after_run(self, run: Run, error: BaseException | None) -> None:
        """Count and time how it ended."""
        self._runs.end(run, run.task, error)


class _Figures:
    """How many of one thing there are now, how they end, and how long they take."""

    def __init__(self, name: str, what: str, now: str, registry: CollectorRegistry) -> None:
        self._now = Gauge(
            f"{name}s_{now}", f"Of the {what}: those now under way.", ["task"], registry=registry
        )
        self._ended = Counter(
            f"{name}s_ended_total",
            f"Of the {what}: those that ended.",
            ["task", "outcome"],
            registry=registry,
        )
        self._duration = Histogram(
            f"{name}_duration_seconds",
            f"Of the {what}: how long they took.",
            ["task"],
            registry=registry,
            buckets=_BUCKETS,
        )
        # By the identity of what the hooks get, which is the same object before and after.
        self._begun: dict[int, float] = {}

    def begin(self, thing: object, task: str) -> None:
        self._now.labels(task).inc()
        self._begun[id(thing)] = time.perf_counter()

    def end(self, thing: object, task: str, error: BaseException | None) -> None:
        begun = self._begun.pop(id(thing), None)
        if begun is None:
            return
        self._now.labels(task).dec()
        self._duration.labels(task).observe(time.perf_counter() - begun)
        self._ended.labels(task, "succeeded" if error is None else type(error).__name__).inc()


def serve(metrics: Metrics, port: int, host: str = "127.0.0.1") -> WSGIServer:
    """Serve the figures at `http://host:port/metrics`, from a thread that keeps no program alive.

    Port 0 takes a free one (`server_port`). There is neither a password nor TLS. Raises
    `ConfigError` when the port is taken.
    """
    try:
        server, _ = start_http_server(port, host, metrics.registry)
    except OSError as error:
        raise ConfigError(
            f"metrics cannot be served on {host}, port {port}: {error.strerror or error}"
        ) from None
    return server
