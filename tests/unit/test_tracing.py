"""Spans, as the hooks make them."""

import contextvars

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jabot import Run, Submission, TaskFailed, WorkerLost
from jabot.jid import JID
from jabot.tracing import Tracing


class Spans:
    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(self.provider)

    @property
    def ended(self):
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def spans():
    return Spans()


def a_run(meta, attempt=1):
    return Run("an id", "lift", JID("ann@localhost/desk"), attempt, meta)


def test_the_trace_travels_with_the_job(spans):
    here, there = spans.tracing, Tracing(spans.provider)
    job = Submission("an id", "lift", "bot@localhost")
    with spans.provider.get_tracer("the program").start_as_current_span("outer") as outer:
        here.before_submit(job)
        assert trace.get_current_span() is outer  # a submit that goes on is nobody's parent here
    assert set(job.meta) == {"traceparent"}
    run = a_run(job.meta)
    there.before_run(run)
    inside = trace.get_current_span()
    there.after_run(run, None)
    assert not trace.get_current_span().get_span_context().is_valid
    here.after_result(job, None)
    submit, ran = spans.ended["submit lift"], spans.ended["run lift"]
    assert inside.get_span_context() == ran.context
    assert ran.context.trace_id == submit.context.trace_id == outer.get_span_context().trace_id
    assert submit.parent.span_id == outer.get_span_context().span_id
    assert ran.parent.span_id == submit.context.span_id
    assert ran.parent.is_remote
    assert submit.kind is trace.SpanKind.CLIENT
    assert ran.kind is trace.SpanKind.SERVER
    assert dict(submit.attributes) == {
        "jabot.task": "lift",
        "jabot.job.id": "an id",
        "jabot.to": "bot@localhost",
    }
    assert dict(ran.attributes) == {
        "jabot.task": "lift",
        "jabot.job.id": "an id",
        "jabot.caller": "ann@localhost",
        "jabot.attempt": 1,
    }


def test_a_job_that_came_without_a_trace_begins_one(spans):
    tracing = spans.tracing
    with spans.provider.get_tracer("another job").start_as_current_span("left over") as other:
        run = a_run({"traceparent": "rubbish"})
        tracing.before_run(run)
        tracing.after_run(run, None)
        assert trace.get_current_span() is other
    ran = spans.ended["run lift"]
    assert ran.parent is None
    assert ran.context.trace_id != other.get_span_context().trace_id


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TaskFailed("ValueError: too heavy", kind="ValueError"), "ValueError"),
        (TaskFailed("too heavy"), "TaskFailed"),
        (WorkerLost("gone"), "WorkerLost"),
    ],
)
def test_an_error_is_told_by_its_type(spans, error, kind):
    job = Submission("an id", "lift", "bot@localhost")
    spans.tracing.before_submit(job)
    spans.tracing.after_result(job, error)
    submit = spans.ended["submit lift"]
    assert submit.attributes["error.type"] == kind
    assert submit.status.status_code is trace.StatusCode.ERROR
    assert submit.status.description == str(error)


def test_runs_at_the_same_time_each_have_their_own_span(spans):
    tracing, runs = spans.tracing, [a_run({}), a_run({})]  # two accounts, one job id
    contexts = [contextvars.copy_context() for _ in runs]
    for place, run in zip(contexts, runs, strict=True):
        place.run(tracing.before_run, run)
    seen = [place.run(trace.get_current_span) for place in contexts]
    assert seen[0] is not seen[1]
    contexts[0].run(tracing.after_run, runs[0], None)
    assert seen[1].is_recording()
    contexts[1].run(tracing.after_run, runs[1], None)
    assert not seen[1].is_recording()


def test_without_a_provider_nothing_is_sent_along():
    tracing = Tracing()
    job = Submission("an id", "lift", "bot@localhost")
    tracing.before_submit(job)
    tracing.after_result(job, None)
    assert job.meta == {}
