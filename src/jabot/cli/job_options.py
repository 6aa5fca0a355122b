"""What the commands that have tasks run share: how words and options are read, and the options that
are for a queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from jabot.account import parse_jid
from jabot.calls.queue_options import QueueOptions
from jabot.errors import ConfigError
from jabot.schedule import parse_duration

F = TypeVar("F", bound=Callable[..., Any])


def address(_: click.Context, __: click.Parameter, text: str) -> str:
    """Any address, on a command line."""
    try:
        return str(parse_jid(text))
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


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


def one_label(
    ctx: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str] | None:
    """`name=value` words, each name once."""
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


class LiteralWords(click.Command):
    """Keeps the words after `--` apart, where click would forget that they stood there."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["literal"] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


_OPTIONS: dict[str, dict[str, Any]] = {
    "--delay": {"metavar": "TIME", "callback": duration, "help": "run it so much later."},
    "--at": {
        "metavar": "WHEN",
        "callback": _moment,
        "help": "run it then, as 2026-12-24T18:00 or 2026-12-24T18:00+01:00.",
    },
    "--expires": {
        "metavar": "TIME",
        "callback": duration,
        "help": "let it fail when it was not begun so long after it was due.",
    },
    "--priority": {
        "metavar": "N",
        "type": click.IntRange(-100, 100),
        "help": "jobs with a higher one first, from -100 to 100; 0 is usual.",
    },
    "--key": {
        "metavar": "TEXT",
        "help": "within a day, one job of each key: this is the one that was before, if any.",
    },
    "--unique": {
        "is_flag": True,
        "help": "let no second one wait with the same arguments: this is the one that does.",
    },
    "--concurrency": {
        "metavar": "N",
        "type": click.IntRange(min=1),
        "help": "run no more than N of this task at once, on all workers together.",
    },
    "--rate": {
        "metavar": "N/UNIT",
        "help": "begin no more of this task than so many, as 5/s, 10/m, 100/h or 1000/d.",
    },
    "--limit-key": {
        "metavar": "TEXT",
        "help": "count --concurrency and --rate over all jobs with this text, not by task.",
    },
    "--after": {
        "multiple": True,
        "metavar": "ID",
        "help": "run it when the job of this id has succeeded. May be given more than once.",
    },
    "--label": {
        "multiple": True,
        "metavar": "NAME=VALUE",
        "callback": one_label,
        "help": "a label of the job, to find it by. May be given more than once.",
    },
}
_OF_ONE_JOB = ("--at", "--key", "--after")  # a schedule has many


def queue_options(command: F) -> F:
    """Adds them to a command, which gets them by name; `given()` makes options of that."""
    return _with(command, _OPTIONS, lambda text: f"Queue: {text}")


def schedule_options(command: F) -> F:
    """Adds those that are about each of many jobs."""
    chosen = {name: how for name, how in _OPTIONS.items() if name not in _OF_ONE_JOB}
    return _with(command, chosen, lambda text: text[:1].upper() + text[1:])


def _with(command: F, options: dict[str, dict[str, Any]], told: Callable[[str], str]) -> F:
    for name, how in reversed(options.items()):
        names = (name, "labels") if name == "--label" else (name,)
        command = click.option(*names, **{**how, "help": told(how["help"])})(command)
    return command


def given(values: dict[str, Any]) -> QueueOptions:
    """Those that were given."""
    return {  # type: ignore[return-value]
        name: value
        for name, value in values.items()
        if value is not None and value is not False and value != ()
    }
