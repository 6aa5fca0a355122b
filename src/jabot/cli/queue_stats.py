"""`jabot queue stats`, `pause` and `resume`: how a queue stands, and which tasks it may begin."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Final

import click
from rich.console import RenderableType, group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jabot.cli.asking import Asking, Queue, apart, queue_command, short
from jabot.cli.screen import as_json, one_line, output, plain_table, print_json
from jabot.durations import brief
from jabot.queue.answers import RunLine, Spread, Standing, TaskLine, WorkerLine
from jabot.queue.store.records import LaneFigures

_EVERY: Final = 2.0  # seconds between two looks of --watch
_NUMBERS: Final = ("WAIT", "RUN", "LATER", "DEAD", "/MIN")
_RUNS: Final = 3  # jobs of a worker that are named


@click.command(short_help="Depth, age, rates, latencies, workers, and what is stuck.")
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
@queue_command
def stats(asking: Asking, watch: bool) -> None:
    """Show how a queue stands.

    For each task: how many jobs wait for a worker (WAIT), run (RUN), wait for their time or another
    attempt (LATER) and have failed for good (DEAD); for how long the oldest has been due; how many
    ended in the last minute; and of the newest jobs the usual time (of half of them) and the long
    one (of 99 in 100) from when they were due to their start (WAITED), and from there to their end
    (RAN).

    Workers and limits are shown to who manages the queue; others see the tasks that they may have
    run. With --json one object; with --watch as well, one on each line.
    """
    if watch:
        asking.do(lambda queue: _watch(queue, json=asking.json))
        return
    standing: Standing = asking.do(lambda queue: queue.ask("stats", Standing))
    if asking.json:
        print_json(standing)
    else:
        output().print(_shown(standing))


async def _watch(queue: Queue, *, json: bool) -> None:
    console = output()
    whole = console.is_terminal and not json
    with Live(console=console, auto_refresh=False, screen=True) if whole else nullcontext() as live:
        while True:
            standing = await queue.ask("stats", Standing)
            if live is not None:
                live.update(_shown(standing), refresh=True)
            elif json:
                click.echo(as_json(standing))
            else:
                console.print(_shown(standing))
            sys.stdout.flush()
            await asyncio.sleep(_EVERY)


@click.command(short_help="Begin no jobs of a task any more.")
@click.argument("task")
@queue_command
def pause(asking: Asking, task: str) -> None:
    """Begin no jobs of TASK any more. Those that run go on; new ones are kept."""
    _switch(asking, "pause", task)


@click.command(short_help="Begin jobs of a task again.")
@click.argument("task")
@queue_command
def resume(asking: Asking, task: str) -> None:
    """Begin jobs of TASK again."""
    _switch(asking, "resume", task)


def _switch(asking: Asking, name: str, task: str) -> None:
    asking.do(lambda queue: queue.ask(name, None, task=task))
    paused = name == "pause"
    if asking.json:
        print_json({"task": task, "paused": paused})
    else:
        click.echo(f"{one_line(task)} {'is paused' if paused else 'goes on'}")


# -- tables ---------------------------------------------------------------------------------------


@group()
def _shown(standing: Standing) -> Iterator[RenderableType]:
    if standing.tasks:
        yield _tasks(standing.tasks)
    else:
        yield Text("no jobs")
    stuck = [(task, line.stuck) for task, line in standing.tasks.items() if line.stuck]
    if stuck:
        yield Text()
        for task, reason in stuck:
            said = "" if reason.startswith(f"{task} ") else f"{one_line(task)}: "
            yield Text(f"{said}{one_line(reason)}", style="yellow")
    if standing.lanes:
        yield Text()
        yield _lanes(standing)
    if standing.workers:
        yield Text()
        yield _workers(standing)
    for node in standing.silent:
        yield Text(f"{one_line(node)} did not tell of its workers", style="red")


def _tasks(tasks: dict[str, TaskLine]) -> Table:
    table = plain_table("TASK", *_NUMBERS, "OLDEST", "WAITED", "RAN", numbers=_NUMBERS)
    for name, line in tasks.items():
        states = line.states
        waiting, dead = states.get("available", 0), states.get("failed", 0)
        table.add_row(
            one_line(name),
            Text(f"{waiting:,}", style="yellow" if waiting and line.stuck else ""),
            f"{states.get('running', 0):,}",
            f"{states.get('scheduled', 0) + states.get('retryable', 0):,}",
            Text(f"{dead:,}", style="red" if dead else ""),
            f"{line.ended_last_minute:,}",
            "-" if line.oldest is None else brief(line.oldest),
            _spread(line.waited),
            _spread(line.ran),
        )
    return table


def _spread(times: Spread | None) -> str:
    return "-" if times is None else f"{brief(times.p50)}, {brief(times.p99)}"


def _lanes(standing: Standing) -> Table:
    table = plain_table("FULL LANE", "RUN", "WAIT", "NEXT")
    for name, lane in standing.lanes.items():
        table.add_row(
            one_line(name), _of(lane), f"{lane.waiting:,}", apart(lane.next, standing.now)
        )
    return table


def _of(lane: LaneFigures) -> str:
    return f"{lane.running:,}" + (f" of {lane.slots:,}" if lane.slots is not None else "")


def _workers(standing: Standing) -> Table:
    table = plain_table("WORKER", "LOAD", "RUNS")
    for worker in standing.workers:
        table.add_row(one_line(worker.jid), _load(worker), _runs(worker, standing.now))
    return table


def _load(worker: WorkerLine) -> Text:
    if not worker.here:
        return Text("away", style="red")
    full = worker.running >= worker.slots
    return Text(f"{worker.running} of {worker.slots}", style="yellow" if full else "green")


def _runs(worker: WorkerLine, now: float) -> str:
    named = [_run(run, now) for run in worker.runs[:_RUNS]]
    more = worker.running - len(named)
    return ", ".join([*named, *([f"{more} more"] if more > 0 else [])]) or "-"


def _run(run: RunLine, now: float) -> str:
    since = "" if run.started is None else f" {brief(now - run.started)}"
    return one_line(f"{run.task} {short(run.id)}{since}")
