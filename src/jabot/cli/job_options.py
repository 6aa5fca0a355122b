"""The options of `jabot submit` that are for a queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from jabot.calls.queue_options import QueueOptions
from jabot.errors import ConfigError
from jabot.schedule import parse_duration

F = TypeVar("F", bound=Callable[..., Any])


def duration(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """A time on a command line: `30` and `2.5` are seconds."""
    try:
        return None if text is None else parse_duration(_with_unit(text))
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def labels(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, list[str]]:
    """`name=value` words, by name."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, _equals, value = text.partition("=")
        if not name or not value:
            raise click.BadParameter(f"{text!r}: a label is written name=value")
        found.setdefault(name, []).append(value)
    return found


def _label(
    ctx: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str] | None:
    found = labels(ctx, parameter, given)
    for name, values in found.items():
        if len(values) > 1:
            raise click.BadParameter(f"{name}: given twice; a job has one value of each label")
    return {name: values[0] for name, values in found.items()} or None


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: write 2026-12-24T18:00, with +01:00 behind it for another time zone than "
            "this machine's"
        ) from None
    return moment if moment.tzinfo is not None else moment.astimezone()


def _with_unit(text: str) -> str:
    return f"{text}s" if text.replace(".", "", 1).isdecimal() else text


_OPTIONS = (
    click.option("--delay", metavar="TIME", callback=duration, help="Queue: run it so much later."),
    click.option(
        "--at",
        metavar="WHEN",
        callback=_moment,
        help="Queue: run it then, as 2026-12-24T18:00 or 2026-12-24T18:00+01:00.",
    ),
    click.option(
        "--expires",
        metavar="TIME",
        callback=duration,
        help="Queue: let it fail when it was not begun so long after it was due.",
    ),
    click.option(
        "--priority",
        metavar="N",
        type=click.IntRange(-100, 100),
        help="Queue: jobs with a higher one first, from -100 to 100; 0 is usual.",
    ),
    click.option(
        "--key",
        metavar="TEXT",
        help="Queue: within a day, one job of each key: this is the one that was before, if any.",
    ),
    click.option(
        "--unique",
        is_flag=True,
        help="Queue: let no second one wait with the same arguments: this is the one that does.",
    ),
    click.option(
        "--concurrency",
        metavar="N",
        type=click.IntRange(min=1),
        help="Queue: run no more than N of this task at once, on all workers together.",
    ),
    click.option(
        "--rate",
        metavar="N/UNIT",
        help="Queue: begin no more of this task than so many, as 5/s, 10/m, 100/h or 1000/d.",
    ),
    click.option(
        "--limit-key",
        metavar="TEXT",
        help="Queue: count --concurrency and --rate over all jobs with this text, not by task.",
    ),
    click.option(
        "--after",
        multiple=True,
        metavar="ID",
        help="Queue: run it when the job of this id has succeeded. May be given more than once.",
    ),
    click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_label,
        help="Queue: a label of the job, to find it by. May be given more than once.",
    ),
)


def queue_options(command: F) -> F:
    """Adds them to a command, which gets them by name; `given()` makes options of that."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given(values: dict[str, Any]) -> QueueOptions:
    """Those that were given."""
    return {  # type: ignore[return-value]
        name: value
        for name, value in values.items()
        if value is not None and value is not False and value != ()
    }
