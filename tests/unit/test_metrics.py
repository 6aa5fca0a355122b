"""Figures for Prometheus, as the hooks keep them."""

import sys
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from jabot import ConfigError, JobTimeout, NobodyThere, Run, Submission
from jabot.jid import JID
from jabot.metrics import Metrics, serve


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return Metrics(registry)


def run(task="lift"):
    return Run("an id", task, JID("ann@localhost/x"), 1, {})


def test_jobs_that_are_given_away(registry, metrics):
    first, second = Submission("1", "lift", "bot@x"), Submission("2", "lift", "bot@x")
    metrics.before_submit(first)
    metrics.before_submit(second)
    value, lift = registry.get_sample_value, {"task": "lift"}
    assert value("jabot_jobs_submitted_total", lift) == 2
    assert value("jabot_jobs_in_flight", lift) == 2
    metrics.after_result(first, None)
    metrics.after_result(second, NobodyThere("nobody"))
    metrics.after_result(second, None)  # a second end of one job is none
    assert value("jabot_jobs_in_flight", lift) == 0
    assert value("jabot_jobs_ended_total", lift | {"outcome": "succeeded"}) == 1
    assert value("jabot_jobs_ended_total", lift | {"outcome": "NobodyThere"}) == 1
    assert value("jabot_job_duration_seconds_count", lift) == 2
    assert value("jabot_runs_running", lift) is None


def test_runs_of_jobs_with_one_id_are_told_apart(registry, metrics):
    ann, bob = run(), run()  # two accounts may give their jobs one id
    metrics.before_run(ann)
    metrics.before_run(bob)
    value, lift = registry.get_sample_value, {"task": "lift"}
    assert value("jabot_runs_running", lift) == 2
    metrics.after_run(bob, JobTimeout("late"))
    assert value("jabot_runs_running", lift) == 1
    metrics.after_run(ann, None)
    assert value("jabot_runs_running", lift) == 0
    assert value("jabot_runs_ended_total", lift | {"outcome": "JobTimeout"}) == 1
    assert value("jabot_run_duration_seconds_count", lift) == 2
    assert value("jabot_run_duration_seconds_bucket", lift | {"le": "0.3"}) == 2


def test_a_second_one_for_one_registry_is_refused(registry, metrics):
    with pytest.raises(ConfigError, match=r"use one Metrics\(\) for all"):
        Metrics(registry)


def test_a_port_that_is_taken_is_told(metrics):
    server = serve(metrics, 0)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match=f"127.0.0.1, port {server.server_port}: "):
            serve(metrics, server.server_port)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as page:
            assert b"jabot_jobs_submitted_total" in page.read()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("module", "missing"), [("metrics", "prometheus_client"), ("tracing", "opentelemetry")]
)
def test_without_its_package_it_says_what_to_install(monkeypatch, module, missing):
    monkeypatch.delitem(sys.modules, f"jabot.{module}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "jabot\[{module}\]"'):
        __import__(f"jabot.{module}")
