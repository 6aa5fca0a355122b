"""Traces of jobs, from the submit over the network to the run (OpenTelemetry).

    app = jabot.connect(middleware=[Tracing()])
    node = jabot.Node(middleware=[Tracing()])

Where the spans go is said by the program, as in every one that is traced: by setting a
`TracerProvider`, with opentelemetry-sdk and an exporter.
"""

from __future__ import annotations

from contextvars import Token

from jabot.errors import TaskFailed
from jabot.middleware import Middleware, Run, Submission

try:
    from opentelemetry import context, trace
    from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'jabot.tracing needs opentelemetry-api: pip install "jabot[tracing]"', name=error.name
    ) from error


class Tracing(Middleware):
    """A span from the submit to the outcome, and one for each run of the job, which is its child.

    The parent travels with the job, as the `traceparent` and `tracestate` of W3C Trace Context;
    baggage does not. A job that came without one, as from a chat, begins a trace. While the task
    runs its span is the current one: what it does itself, in a coroutine or a thread, belongs to
    it. The attributes are `jabot.task`, `jabot.job.id`, `jabot.to` or `jabot.caller` and
    `jabot.attempt`; and `error.type` where it failed, for a task's own exception its type.

    One object serves a client, a node, or both. Without `provider` it is the global one.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("jabot", tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()
        # By the identity of what the hooks get, which is the same object before and after.
        self._submits: dict[int, Span] = {}
        self._runs: dict[int, tuple[Span, Token[context.Context]]] = {}

    def before_submit(self, submission: Submission) -> None:
        """Begin a span as the child of the current one, and send it along."""
        span = self._tracer.start_span(
            f"submit {submission.task}",
            kind=SpanKind.CLIENT,
            attributes={
                "jabot.task": submission.task,
                "jabot.job.id": submission.id,
                "jabot.to": submission.to,
            },
        )
        self._propagator.inject(submission.meta, trace.set_span_in_context(span))
        self._submits[id(submission)] = span

    def after_result(self, submission: Submission, error: BaseException | None) -> None:
        """End the span."""
        span = self._submits.pop(id(submission), None)
        if span is not None:
            _end(span, error)

    def before_run(self, run: Run) -> None:
        """Begin a span as the child of the caller's, and make it the current one."""
        # On an empty context: what this one holds may be of the job before.
        parent = self._propagator.extract(run.meta, context.Context())
        span = self._tracer.start_span(
            f"run {run.task}",
            parent,
            kind=SpanKind.SERVER,
            attributes={
                "jabot.task": run.task,
                "jabot.job.id": run.job_id,
                "jabot.caller": run.caller.bare,
                "jabot.attempt": run.attempt,
            },
        )
        token = context.attach(trace.set_span_in_context(span, parent))
        self._runs[id(run)] = span, token

    def after_run(self, run: Run, error: BaseException | None) -> None:
        """End the span, and make the one before it the current one."""
        found = self._runs.pop(id(run), None)
        if found is not None:
            span, token = found
            context.detach(token)
            _end(span, error)


def _end(span: Span, error: BaseException | None) -> None:
    if error is not None:
        kind = error.type if isinstance(error, TaskFailed) else ""
        span.set_attribute("error.type", kind or type(error).__name__)
        span.set_status(StatusCode.ERROR, str(error))
    span.end()
