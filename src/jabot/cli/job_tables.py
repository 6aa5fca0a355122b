"""Jobs as tables and sheets for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jabot.cli.asking import apart, at, short
from jabot.cli.screen import as_json, clean, one_line, plain_table
from jabot.durations import brief
from jabot.peers import as_text
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, JobSheet
from jabot.queue.store.records import Attempt

_STYLES: Final = {
    "scheduled": "cyan",
    "available": "yellow",
    "running": "blue",
    "retryable": "magenta",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
}
_VALUE: Final = 2000  # characters of a value in a sheet


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(one_line(state), style=_STYLES.get(state, ""))


def job_table(jobs: Sequence[JobLine], now: float, *, with_owner: bool) -> Table:
    """One line for each job."""
    names = ["JOB", "TASK", "STATE", "TRY", "WHEN", *(["OWNER"] if with_owner else []), "REMARK"]
    table = plain_table(*names)
    for job in jobs:
        owner = [one_line(job.owner)] if with_owner else []
        table.add_row(
            one_line(short(job.id)),
            one_line(job.task),
            state_text(job.state),
            str(job.attempt or "-"),
            _when(job, now),
            *owner,
            one_line(_remark(job)),
        )
    return table


def _when(job: JobLine, now: float) -> str:
    """The moment that matters in its state."""
    if job.ended is not None:
        return apart(job.ended, now)
    if job.state == JobState.RUNNING.value and job.started is not None:
        return f"for {brief(now - job.started)}"
    if job.due > now:
        return apart(job.due, now)
    return f"for {brief(now - job.due)}"


def _remark(job: JobLine) -> str:
    if job.error:
        return job.error
    if job.worker:
        return f"on {job.worker}"
    return as_text(job.labels)


def show_sheet(console: Console, sheet: JobSheet, *, verbose: bool) -> None:
    """All about one job."""
    line = Text(clean(sheet.task), style="bold")
    line.append(" ")
    line.append(state_text(sheet.state))
    console.print(line, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(sheet):
        table.add_row(name, clean(value))
    console.print(table)
    if verbose and sheet.traceback:
        console.print(Text(clean(sheet.traceback.rstrip("\n"))), soft_wrap=True)


def _facts(sheet: JobSheet) -> Iterator[tuple[str, str]]:
    yield "why", sheet.why
    yield "id", sheet.id
    yield "owner", sheet.owner
    if sheet.left_out:
        yield "arguments", "too large to be shown, or the result is"
    elif sheet.args or sheet.kwargs:
        given = [as_json(value) for value in sheet.args or []]
        given += [f"{name}={as_json(value)}" for name, value in (sheet.kwargs or {}).items()]
        yield "arguments", _cut(" ".join(given))
    if sheet.state == JobState.SUCCEEDED.value and not sheet.left_out:
        told = "" if sheet.delivered else " (its submitter does not have it yet)"
        yield "result", _cut(as_json(sheet.result)) + told
    yield "submitted", at(sheet.created)
    if sheet.due > sheet.created + 1:
        yield "not before", at(sheet.due)
    if sheet.deadline is not None:
        yield "not after", at(sheet.deadline)
    if sheet.started is not None:
        yield (
            "began",
            at(sheet.started) + (f", attempt {sheet.attempt}" if sheet.attempt > 1 else ""),
        )
    if sheet.ended is not None:
        ran = "" if sheet.started is None else f" (after {brief(sheet.ended - sheet.started)})"
        yield "ended", at(sheet.ended) + ran
    for each in sheet.history:
        yield f"attempt {each.number}", _attempt(each)
    options = {name: value for name, value in sheet.options.items() if name != "delay"}
    if options:
        yield "options", ", ".join(f"{name}={_short(value)}" for name, value in options.items())


def _attempt(each: Attempt) -> str:
    took = brief(each.ended - each.started)
    error = f": {each.error}" if each.error else ""
    return f"{each.outcome} at {at(each.ended)} after {took} on {each.worker}{error}"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value)


def _cut(text: str) -> str:
    if len(text) <= _VALUE:
        return text
    return f"{text[:_VALUE]}... ({len(text):,} characters; --json has all)"
