"""`jabot jobs retry`, `cancel` and `purge`: what is done about many jobs at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import click

from jabot.cli.asking import PATIENCE, Asking, Queue, queue_command, short
from jabot.cli.exit_codes import end_with
from jabot.cli.job_filters import ENDED, UNFINISHED, Chosen, filters, pages
from jabot.cli.screen import clean, counted, print_json
from jabot.cli.values import DURATION
from jabot.errors import JabotError
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine

_TOGETHER: Final = 50  # jobs that are asked for at once
_AGAIN: Final = [JobState.FAILED.value, JobState.CANCELLED.value]

_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(short_help="Run jobs again that failed or were cancelled.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters(_AGAIN)
@_yes
@queue_command
def retry(asking: Asking, ids: Sequence[str], chosen: Chosen, yes: bool) -> None:
    """Run jobs again that failed or were cancelled, each with a full number of attempts.

    Without an ID all that failed and fit the filters; on a terminal it says how many there are, and
    asks first. With --json an array of those that are available again.
    """
    usual, question = [JobState.FAILED.value], "" if yes else "Run {} again"
    ids = _meant(asking, ids, chosen, usual, question)
    _change(asking, "retry", ids)


@click.command(short_help="Stop jobs.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters(UNFINISHED)
@click.option("--reason", default="", metavar="TEXT", help="What their submitters are told.")
@_yes
@queue_command
def cancel(asking: Asking, ids: Sequence[str], chosen: Chosen, reason: str, yes: bool) -> None:
    """Stop jobs. One that runs is told to stop, and is "running" until it has.

    Without an ID all that have not ended and fit the filters; on a terminal it says how many there
    are, and asks first. With --json an array of the jobs, as they are then.
    """
    ids = _meant(asking, ids, chosen, UNFINISHED, "" if yes else "Stop {}")
    _change(asking, "cancel", ids, reason=reason)


def _meant(
    asking: Asking, ids: Sequence[str], chosen: Chosen, usual: Sequence[str], question: str
) -> Sequence[str]:
    """The ids that are given, or those of the jobs that fit, in the usual states when none is
    named; of these a person is asked first, where there is a question."""
    if bool(ids) == chosen.says_something:
        raise click.UsageError(
            "name the jobs by their ids, or say which with --state, --task, --label, --owner, "
            "--mine or --all"
        )
    if ids:
        return ids
    if not chosen.state:
        chosen = replace(chosen, state=usual)

    async def ask(queue: Queue) -> tuple[list[str], str]:
        return [line.id for line in (await pages(queue, chosen, None))[0]], queue.address

    found, address = asking.do(ask)
    if found and question:
        _confirm(question.format(counted(len(found), "job")), address)
    return found


def _change(asking: Asking, name: str, ids: Sequence[str], **more: Any) -> None:
    answers = asking.do(lambda queue: _each(queue, name, ids, **more)) if ids else []
    lines = [answer for answer in answers if isinstance(answer, JobLine)]
    if asking.json:
        print_json(lines)
    else:
        for line in lines:
            click.echo(clean(f"{line.task} {short(line.id)}: {_now(name, line)}"))
        if not answers:
            click.echo("no such jobs", err=True)
    end_with(answers)


async def _each(
    queue: Queue, name: str, ids: Sequence[str], **more: Any
) -> list[JobLine | JabotError]:
    """Ask for each of some jobs; one that cannot be done does not keep the others from it."""

    async def one(job_id: str) -> JobLine | JabotError:
        try:
            line: JobLine = await queue.ask(name, JobLine, id=job_id, **more)
        except JabotError as error:
            return error
        return line

    answers: list[JobLine | JabotError] = []
    for first in range(0, len(ids), _TOGETHER):
        answers += await asyncio.gather(*map(one, ids[first : first + _TOGETHER]))
    return answers


def _now(name: str, line: JobLine) -> str:
    """What has come of a job that was to be cancelled or run again."""
    if name == "retry":
        return f"{line.state} again"
    if line.state == JobState.RUNNING.value:
        return "its worker is told to stop it"
    if line.state == JobState.CANCELLED.value:
        return "cancelled"
    return f"it had {line.state} already"


@click.command(short_help="Delete ended jobs.")
@filters(ENDED)
@click.option(
    "--older-than",
    metavar="TIME",
    type=DURATION,
    help="Those that ended longer ago than that: 30m, 12h, 7d.",
)
@_yes
@queue_command
def purge(asking: Asking, chosen: Chosen, older_than: float | None, yes: bool) -> None:
    """Delete the ended jobs that fit all that is given, with their results: every ended one that
    this account may see where nothing is given.

    On a terminal it says how many there are, and asks first. A job that another one waits for
    stays. With --json an object: {"deleted": 3}.
    """
    before = None if older_than is None else time.time() - older_than

    async def ask(queue: Queue, name: str, patience: float | None = PATIENCE) -> tuple[int, str]:
        asked = {**chosen.asked(queue), "ended_before": before}
        return await queue.ask(name, int, patience=patience, **asked), queue.address

    count = None
    if not yes and sys.stdin.isatty():
        count, address = asking.do(lambda queue: ask(queue, "count"))
        if count:
            _confirm(f"Delete {counted(count, 'ended job')}", address)
    deleted = 0 if count == 0 else asking.do(lambda queue: ask(queue, "purge", None))[0]
    if asking.json:
        print_json({"deleted": deleted})
    else:
        click.echo(f"{counted(deleted, 'ended job')} deleted")


def _confirm(question: str, address: str) -> None:
    """Ask, where a person can answer; "no" ends the command with 1. Not while signed in: neither
    Ctrl-C nor the server would be heard."""
    if sys.stdin.isatty():
        click.confirm(f"{question} at {address}?", abort=True, err=True)
