"""One trace from the program that submits a job to the task that runs it, over a real server."""

import asyncio
import itertools
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chatting import calling, serving
from jabot import BadArguments, Node, Retry, TaskFailed
from jabot.tracing import Tracing
from servers import Server


class Spans:
    """A program's spans, in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> list:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def here() -> Spans:
    return Spans()


@pytest.fixture
def there() -> Spans:
    return Spans()


async def test_both_sides_are_in_one_trace(xmpp: Server, here: Spans, there: Spans) -> None:
    node = Node(middleware=[Tracing(there.provider)])
    inside = there.provider.get_tracer("the task")

    @node.task
    async def outer() -> int:
        with inside.start_as_current_span("in a coroutine"):
            job = await node.submit("inner", to=node.jid)
        return await job

    @node.task
    def inner() -> int:
        with inside.start_as_current_span("in a thread"):
            return threading.get_ident()

    async with (
        serving(node, xmpp) as bot,
        calling(xmpp, bot, middleware=[Tracing(here.provider)]) as app,
    ):
        with here.provider.get_tracer("the program").start_as_current_span("request") as request:
            job = await app.submit("outer")
        assert await job != threading.get_ident()
    (submit,) = here.named("submit outer")
    (run,) = there.named("run outer")
    (coroutine,) = there.named("in a coroutine")
    (submit_inner,) = there.named("submit inner")
    (run_inner,) = there.named("run inner")
    (thread,) = there.named("in a thread")
    line = [request, submit, run, coroutine, submit_inner, run_inner, thread]
    assert {span.get_span_context().trace_id for span in line} == {
        request.get_span_context().trace_id
    }
    for parent, child in itertools.pairwise(line):
        assert child.parent.span_id == parent.get_span_context().span_id
    assert submit.attributes["jabot.job.id"] == run.attributes["jabot.job.id"] == job.id
    assert run.attributes["jabot.caller"] == bot.account.jid


async def test_each_attempt_is_a_child_and_errors_are_told(
    xmpp: Server, here: Spans, there: Spans
) -> None:
    node = Node(middleware=[Tracing(there.provider)])

    @node.task(retries=Retry(2, backoff=0.01, on=ValueError))
    async def drop(weight: int) -> None:
        raise ValueError("too heavy")

    async with (
        serving(node, xmpp) as bot,
        calling(xmpp, bot, middleware=[Tracing(here.provider)]) as app,
    ):
        with pytest.raises(TaskFailed):
            await (await app.submit("drop", 1))
        with pytest.raises(BadArguments):
            await app.submit("drop", "x")
        await asyncio.gather(*[app.submit("drop", n) for n in range(5)])
    failed, refused, *left = sorted(here.named("submit drop"), key=lambda span: span.start_time)
    assert failed.attributes["error.type"] == "ValueError"
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert refused.attributes["error.type"] == "BadArguments"
    assert len(left) == 5  # the client left before they had ended: their spans have, too
    runs = [run for run in there.named("run drop") if run.parent.span_id == failed.context.span_id]
    assert [run.attributes["jabot.attempt"] for run in runs] == [1, 2]
    assert all(run.attributes["error.type"] == "ValueError" for run in runs)
