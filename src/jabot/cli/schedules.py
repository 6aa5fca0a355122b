"""`jabot schedules`: jobs that a queue submits again and again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec
from rich.table import Table
from rich.text import Text

from jabot.cli.arguments import described, read_words
from jabot.cli.asking import Asking, Queue, apart, queue_command
from jabot.cli.job_options import (
    LiteralWords,
    Words,
    checked,
    retries_option,
    schedule_options,
    where_option,
    words_argument,
)
from jabot.cli.screen import clean, one_line, output, plain_table, print_json
from jabot.cli.values import DURATION
from jabot.durations import brief
from jabot.queue.answers import ScheduleLine


@click.group(short_help="Have a queue submit jobs again and again.")
def schedules() -> None:
    """Have a queue submit jobs again and again: by a cron line, or at intervals.

    Schedules are kept by the queue. Everybody sees and handles his own, and who manages the queue
    those of all.

    \b
    Exit codes:
        0    done
        1    it could not be done
        2    the command line is wrong, there is no such schedule, or it could never fire
        3    no queue is there
        4    this account is not allowed to
    """


@schedules.command("list", short_help="All schedules, and when each is due.")
@queue_command
def list_(asking: Asking) -> None:
    """List the schedules that this account may see, with their next times; and where one cannot
    fire, why. With --json an array of objects: moments are seconds since 1970."""

    async def ask(queue: Queue) -> tuple[list[ScheduleLine], str]:
        return await queue.ask("schedules", list[ScheduleLine]), queue.own

    lines, own = asking.do(ask)
    if asking.json:
        print_json(lines)
    elif lines:
        console = output()
        console.print(_table(lines, with_owner={line.owner for line in lines} != {own}))
        for line in lines:
            if line.problem:
                console.print(Text(f"{one_line(line.name)}: {one_line(line.problem)}", style="red"))
    else:
        click.echo("no schedules", err=True)


@schedules.command(cls=LiteralWords, short_help="Keep a schedule, or change one.")
@click.argument("name")
@click.argument("task")
@words_argument
@click.option("--cron", metavar="LINE", help="When: minute, hour, day, month, weekday.")
@click.option("--every", metavar="TIME", type=DURATION, help="Or how often: 30s, 5m, 1h 30m.")
@click.option(
    "--zone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="The time zone of the cron line, as Europe/Berlin.",
)
@click.option(
    "--missed",
    default="once",
    show_default=True,
    type=click.Choice(["once", "skip", "all"]),
    help="For times that passed by more than a minute while no queue was up: one job for all of "
    "them, none, or each (of the newest 1,000 at most).",
)
@click.option(
    "--timeout",
    metavar="TIME",
    type=DURATION,
    help="Give each job so long, from when it is due, and stop it then.",
)
@retries_option("Run each job again up to N times when it fails.")
@where_option("on workers")
@schedule_options
@queue_command
def add(asking: Asking, name: str, task: str, words: Words, **given: Any) -> None:
    """Have TASK run again and again, under a NAME by which the schedule is paused and removed.

    Arguments are written as for `jabot submit`:

    \b
        jabot schedules add nightly lift 30 --cron "0 3 * * *" --zone Europe/Berlin
        jabot schedules add pulse check host=db --every 30s --missed skip

    A NAME that this account has already is changed. What could never fire is refused. Prints the
    next three times; with --json an object.
    """
    when = {each: given.pop(each) for each in ("cron", "every", "zone", "missed", "timeout")}
    if (when["cron"] is None) == (when["every"] is None):
        raise click.UsageError("give --cron or --every, one of both")
    chosen = checked("jobs@localhost", **given)  # any address will do here
    if chosen.not_for_queue:
        raise click.UsageError(chosen.not_for_queue)

    async def ask(queue: Queue) -> ScheduleLine:
        description = None
        if any(words):
            description = await described(queue.app, queue.address, task)
        args, kwargs = read_words(*words, description)
        line: ScheduleLine = await queue.ask(
            "schedule",
            ScheduleLine,
            name=name,
            task=task,
            args=list(args),
            kwargs=kwargs,
            options=msgspec.json.decode(chosen.for_queue),
            **when,
        )
        return line

    line = asking.do(ask)
    _tell(line, f"{line.name}: {line.task}, {_when(line)}", json=asking.json)


@schedules.command(short_help="Submit no more jobs of a schedule.")
@click.argument("name")
@queue_command
def pause(asking: Asking, name: str) -> None:
    """Submit no more jobs of the schedule NAME, until it is resumed."""
    _switch(asking, "pause_schedule", name, "is paused")


@schedules.command(short_help="Submit jobs of a schedule again.")
@click.argument("name")
@queue_command
def resume(asking: Asking, name: str) -> None:
    """Submit jobs of the schedule NAME again, from its next time on: what it missed stays so."""
    _switch(asking, "resume_schedule", name, "goes on")


@schedules.command(short_help="Forget a schedule.")
@click.argument("name")
@queue_command
def remove(asking: Asking, name: str) -> None:
    """Forget the schedule NAME. The jobs that it has submitted stay."""
    asking.do(lambda queue: queue.ask("remove_schedule", None, name=name))
    if asking.json:
        print_json({"name": name, "removed": True})
    else:
        click.echo(f"{one_line(name)} is removed")


# -- words ----------------------------------------------------------------------------------------


def _switch(asking: Asking, task: str, name: str, what: str) -> None:
    line = asking.do(lambda queue: queue.ask(task, ScheduleLine, name=name))
    _tell(line, f"{line.name} {what}", json=asking.json)


def _tell(line: ScheduleLine, text: str, *, json: bool) -> None:
    if json:
        print_json(line)
        return
    click.echo(clean(text))
    for number, moment in enumerate(_times(line)):
        click.echo(f"{'      ' if number else 'next: '}{moment}")


def _table(lines: Sequence[ScheduleLine], *, with_owner: bool) -> Table:
    owner = ["OWNER"] if with_owner else []
    table = plain_table("NAME", "TASK", "WHEN", "NEXT", "LAST", *owner)
    now = time.time()
    for line in lines:
        table.add_row(
            one_line(line.name),
            one_line(line.task),
            one_line(_when(line)),
            _next(line, now),
            apart(line.last, now),
            *([one_line(line.owner)] if with_owner else []),
        )
    return table


def _when(line: ScheduleLine) -> str:
    if line.every is not None:
        return f"every {brief(line.every)}"
    return f"{line.cron}" + ("" if line.zone == "UTC" else f" {line.zone}")


def _next(line: ScheduleLine, now: float) -> Text:
    if line.paused:
        return Text("paused", style="yellow")
    if not line.upcoming:
        return Text("never", style="red")
    return Text(apart(line.upcoming[0], now), style="red" if line.problem else "")


def _times(line: ScheduleLine) -> list[str]:
    """In the zone of the schedule."""
    try:
        zone = ZoneInfo(line.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # this machine knows fewer than the queue
        zone = ZoneInfo("UTC")
    return [f"{datetime.fromtimestamp(t, zone):%a %Y-%m-%d %H:%M:%S %Z}" for t in line.upcoming]
