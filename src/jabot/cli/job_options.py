"""What the commands that have tasks run share: words, and the options that say where and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from jabot.calls.options import Options, options
from jabot.cli.values import DURATION, MOMENT, Command, Option
from jabot.errors import ConfigError


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


class Words(NamedTuple):
    """The words that stand for the arguments of a task."""

    plain: Sequence[str]
    literal: Sequence[str]
    """Those after `--`: positional, whatever they look like."""


class LiteralWords(click.Command):
    """Keeps the words after `--` apart, where click would forget that they stood there; before it,
    what looks like an option that is not known is a word, but not the name of something."""

    ignore_unknown_options = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["literal"] = args[at + 1 :]
        rest = super().parse_args(ctx, args[:at])
        for parameter in self.params:
            name = str(ctx.params[parameter.name or ""])
            is_name = isinstance(parameter, click.Argument) and parameter.nargs == 1
            if is_name and name.startswith("-"):
                known = [option for each in self.params for option in each.opts]
                raise click.NoSuchOption(name.partition("=")[0], possibilities=known, ctx=ctx)
        return rest


words_argument = click.argument(
    "words",
    nargs=-1,
    metavar="[ARG...] [name=value...]",
    type=click.UNPROCESSED,
    callback=lambda ctx, _, words: Words(words, ctx.meta["literal"]),
)


def where_option(whom: str) -> Option:
    """`--where`; `whom` are those that it is about."""
    return click.option(
        "--where",
        multiple=True,
        metavar="LABEL=VALUE",
        callback=labels,
        help=f"Only {whom} with this label; given twice for one label, either value will do.",
    )


def retries_option(text: str) -> Option:
    """`--retries`; `text` is its help."""
    return click.option("--retries", default=0, metavar="N", type=click.IntRange(min=0), help=text)


_OPTIONS: dict[str, dict[str, Any]] = {
    "--delay": {"metavar": "TIME", "type": DURATION, "help": "run it so much later."},
    "--at": {
        "metavar": "WHEN",
        "type": MOMENT,
        "help": "run it then, as 2026-12-24T18:00 or 2026-12-24T18:00+01:00.",
    },
    "--expires": {
        "metavar": "TIME",
        "type": DURATION,
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


def queue_options(command: Command) -> Command:
    """Adds them to a command, which gets them by name; `checked()` makes options of that."""
    return _with(command, _OPTIONS, lambda text: f"Queue: {text}")


def schedule_options(command: Command) -> Command:
    """Adds those that are about each of many jobs."""
    chosen = {name: how for name, how in _OPTIONS.items() if name not in _OF_ONE_JOB}
    return _with(command, chosen, lambda text: text[:1].upper() + text[1:])


def _with(
    command: Command, options: dict[str, dict[str, Any]], told: Callable[[str], str]
) -> Command:
    for name, how in reversed(options.items()):
        names = (name, "labels") if name == "--label" else (name,)
        command = click.option(*names, **{**how, "help": told(how["help"])})(command)
    return command


def checked(to: str, **values: Any) -> Options:
    """Those that were given, as the options of a job for an address."""
    given = {
        name: value
        for name, value in values.items()
        if value is not None and value is not False and value != () and value != {}
    }
    try:
        return options(to, **given)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
