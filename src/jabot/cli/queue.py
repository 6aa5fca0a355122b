"""`jabot queue`: run a queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from jabot.access import Access
from jabot.account import parse_jid, resolve_account, resolve_jid
from jabot.cli.account import account_option
from jabot.cli.queue_stats import pause, resume, stats
from jabot.cli.rooms import room_option
from jabot.cli.values import DURATION, Option, Value
from jabot.errors import ConfigError


def _who(text: str) -> str:
    who = parse_jid(text).bare if "@" in text and not text.startswith("*@") else text
    Access(manage=[who])  # says what is wrong with it
    return who


def _rule(text: str) -> tuple[str, list[str] | str]:
    who, equals, tasks = text.partition("=")
    if not who or (equals and not tasks):
        raise ConfigError(f"{text!r}: write WHO, or WHO=TASK,TASK")
    what = [task.strip() for task in tasks.split(",")] if equals else "*"
    Access({who: what})  # says what is wrong with it
    return who, what


def _whom(name: str, text: str) -> Option:
    return click.option(name, multiple=True, metavar="WHO", type=Value("who", _who), help=text)


def _how_long(name: str, usual: str, text: str) -> Option:
    return click.option(
        name, default=usual, show_default=True, metavar="TIME", type=DURATION, help=text
    )


def _how_many(name: str, usual: int, text: str) -> Option:
    least = click.IntRange(min=1)
    return click.option(name, default=usual, show_default=True, type=least, metavar="N", help=text)


@click.group(
    short_help="Run a queue: jobs on disk; or see how one stands.",
    invoke_without_command=True,
)
@click.option(
    "--store",
    default="sqlite:///jobs.db",
    show_default=True,
    metavar="URL",
    help="Where the jobs are kept: sqlite:///FILE, or postgresql://... for several queues.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="WHO[=TASKS]",
    type=Value("rule", _rule),
    callback=lambda _, __, given: dict(given),
    help="Who may have jobs done, besides the own account: an address, *@DOMAIN or *; "
    "TASKS separated by commas, all when left out.",
)
@_whom("--manage", "Who may see and handle the jobs of others, and stop the queue.")
@_whom("--work", "Whose nodes may take its jobs, besides those of the own account.")
@_how_long("--lease", "15s", "How long a silent worker keeps its jobs.")
@_how_long("--grace", "1s", "How long a worker that went offline keeps them.")
@_how_many(
    "--losses", 5, "How often a job without retries is run in all when its workers are lost."
)
@_how_many("--jobs-per-caller", 1_000_000, "How many unfinished jobs one account may have in it.")
@_how_long("--keep", "1d", "How long a job is kept whose submitter has its result.")
@_how_long("--keep-unread", "7d", "How long a job is kept whose submitter has not.")
@_how_long("--keep-failed", "30d", "How long a job is kept that failed for good.")
@room_option
@account_option
@click.pass_context
def queue(ctx: click.Context, /, account: str | None, room: Sequence[str], **options: Any) -> None:
    """Sign a queue in and serve until it is stopped.

    Callers give it jobs as they would a worker: the answer comes when a job is on disk. Nodes that
    were started with `jabot run FILE --queue ADDRESS` do them. When a worker is lost, its jobs are
    given to others; what it still says of them is not heard.

    SIGTERM or Ctrl-C stops it; nothing is lost by that, and workers finish what they have.

    With one of the commands below, none is run: they ask one that is.
    """
    if ctx.invoked_subcommand is not None:
        return
    from jabot.queue_node import QueueNode  # who asks one does not need what runs one

    node = QueueNode(account, rooms=room, **options)  # the others are named as its own are
    click.echo(f"{resolve_jid(account)} keeps jobs in {_shown(options['store'])}", err=True)
    node.run(resolve_account(account))


for _command in (stats, pause, resume):
    queue.add_command(_command)


def _shown(store: str) -> str:
    """Without the password that a URL may hold."""
    scheme, slashes, rest = store.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{place}"
