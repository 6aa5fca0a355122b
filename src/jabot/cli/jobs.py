"""`jabot jobs`: see and handle the jobs of a queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from jabot.cli.asking import Queue, at_queue, print_json, queue_command, short
from jabot.cli.exit_codes import code_of, failure
from jabot.cli.job_options import duration, one_label
from jabot.cli.job_tables import job_table, show_sheet
from jabot.cli.screen import as_json, clean, output
from jabot.cli.waiting import wait_for
from jabot.errors import JabotError
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, JobSheet

F = TypeVar("F", bound=Callable[..., Any])

_PAGE = 1000  # jobs that are asked for at a time
_STATES = [state.value for state in JobState]
_ENDED = [state.value for state in JobState if state.ended]


_FILTERS = (
    click.option("--task", metavar="TASK", help="Those of this task."),
    click.option(
        "--label",
        "label",
        multiple=True,
        metavar="NAME=VALUE",
        callback=one_label,
        help="Those with this label; given more than once, with all of them.",
    ),
    click.option("--owner", metavar="JID", help="Those of this account."),
    click.option(
        "--mine/--all",
        default=False,
        help="Those of the own account only; or of all that this one may see, as without either.",
    ),
)


def filters(states: Sequence[str]) -> Callable[[F], F]:
    """Adds the options that say which jobs are meant, of those in some states."""
    state = click.option(
        "--state",
        "state",
        multiple=True,
        type=click.Choice(states),
        help="Those in this state; given more than once, in any of them.",
    )

    def decorate(command: F) -> F:
        for option in reversed((state, *_FILTERS)):
            command = option(command)
        return command

    return decorate


def _chosen(queue: Queue, mine: bool, owner: str | None, **filters: Any) -> dict[str, Any]:
    """The filters as the queue takes them."""
    given = {name: value for name, value in filters.items() if value}
    if "state" in given:
        given["state"] = list(given["state"])
    return {**given, "owner": queue.own if mine else owner}


@click.group(short_help="See and handle the jobs of a queue.")
def jobs() -> None:
    """See and handle the jobs of a queue: one's own, and those of all for who manages it.

    A job is named by its id, or by the end of it (4 characters or more) where that is clear among
    the newest jobs of the queue.

    \b
    Exit codes:
        0    done
        1    it could not be done
        2    the command line is wrong, or there is no such job
        3    no queue is there
        4    this account is not allowed to
    """


@jobs.command("list", short_help="The newest jobs.")
@filters(_STATES)
@click.option(
    "--limit",
    default=50,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="At most so many jobs, the newest first.",
)
@click.option("--before", metavar="ID", help="Those that are older than this job: the next page.")
@queue_command
def list_(  # noqa: PLR0913 - the filters
    mine: bool,
    owner: str | None,
    label: dict[str, str] | None,
    task: str | None,
    state: tuple[str, ...],
    limit: int,
    before: str | None,
    to: str | None,
    json: bool,
    account: str | None,
) -> None:
    """List the newest jobs that fit all that is given.

    With --json an array of objects: moments are seconds since 1970.
    """

    async def ask(queue: Queue) -> tuple[list[JobLine], bool, str]:
        chosen = _chosen(queue, mine, owner, label=label, task=task, state=state)
        found, more = await _pages(queue, chosen, limit, before)
        return found, more, queue.own

    found, more, own = at_queue(to, account, ask)
    if json:
        print_json(found)
    elif found:
        owners = {line.owner for line in found}
        output().print(job_table(found, time.time(), with_owner=owners != {own}))
    else:
        click.echo("no such jobs", err=True)
    if more and not json:
        click.echo(f"more: --before {short(found[-1].id)}", err=True)


async def _pages(
    queue: Queue, chosen: dict[str, Any], limit: int, before: str | None
) -> tuple[list[JobLine], bool]:
    """Up to `limit` jobs, and whether there are more."""
    if before is not None:
        before = (await queue.ask("job", JobSheet, id=before)).id
    found: list[JobLine] = []
    while len(found) <= limit:
        most = min(_PAGE, limit + 1 - len(found))
        page = await queue.ask("jobs", list[JobLine], **chosen, before=before, limit=most)
        found += page
        if len(page) < most:
            break
        before = found[-1].id
    return found[:limit], len(found) > limit


@jobs.command(short_help="All about one job, and why it is where it is.")
@click.argument("id")
@click.option("-v", "--verbose", is_flag=True, help="With the traceback of one that failed.")
@queue_command
def show(id: str, verbose: bool, to: str | None, json: bool, account: str | None) -> None:  # noqa: A002
    """Show all that is known of a job: what it was asked for, its attempts, and why it is where it
    is. With --json one object."""
    sheet: JobSheet = at_queue(to, account, lambda queue: queue.ask("job", JobSheet, id=id))
    if json:
        print_json(sheet)
    else:
        show_sheet(output(), sheet, verbose=verbose)


@jobs.command(short_help="Run jobs again that failed or were cancelled.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@queue_command
def retry(ids: Sequence[str], to: str | None, json: bool, account: str | None) -> None:
    """Run jobs again that failed or were cancelled, each with a full number of attempts.

    With --json an array of those that are available again.
    """
    _each("retry", ids, {}, to, json, account)


@jobs.command(short_help="Stop jobs.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", default="", metavar="TEXT", help="What their submitters are told.")
@queue_command
def cancel(
    ids: Sequence[str], reason: str, to: str | None, json: bool, account: str | None
) -> None:
    """Stop jobs. One that runs is told to stop, and is "running" until it has.

    With --json an array of the jobs, as they are then.
    """
    _each("cancel", ids, {"reason": reason}, to, json, account)


def _each(
    name: str,
    ids: Sequence[str],
    more: dict[str, Any],
    to: str | None,
    json: bool,
    account: str | None,
) -> None:
    """Ask for each of some jobs; one that cannot be done does not keep the others from it."""

    async def ask(queue: Queue) -> list[JobLine | JabotError]:
        answers: list[JobLine | JabotError] = []
        for job_id in ids:
            try:
                answers.append(await queue.ask(name, JobLine, id=job_id, **more))
            except JabotError as error:
                answers.append(error)
        return answers

    answers = at_queue(to, account, ask)
    lines = [answer for answer in answers if isinstance(answer, JobLine)]
    problems = [answer for answer in answers if isinstance(answer, JabotError)]
    if json:
        print_json(lines)
    else:
        for line in lines:
            click.echo(clean(f"{line.task} {short(line.id)}: {_now(name, line)}"))
    for problem in problems:
        click.echo(f"Error: {failure(problem).message}", err=True)
    if problems:
        sys.exit(code_of(problems[0]))


def _now(name: str, line: JobLine) -> str:
    """What has come of a job that was to be cancelled or run again."""
    if name == "retry":
        return f"{line.state} again"
    if line.state == JobState.RUNNING.value:
        return "its worker is told to stop it"
    if line.state == JobState.CANCELLED.value:
        return "cancelled"
    return f"it had {line.state} already"


@jobs.command(short_help="Delete ended jobs.")
@filters(_ENDED)
@click.option(
    "--older-than",
    metavar="TIME",
    callback=duration,
    help="Those that ended longer ago than that: 30m, 12h, 7d.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@queue_command
def purge(  # noqa: PLR0913 - the filters
    mine: bool,
    owner: str | None,
    label: dict[str, str] | None,
    task: str | None,
    state: tuple[str, ...],
    older_than: float | None,
    yes: bool,
    to: str | None,
    json: bool,
    account: str | None,
) -> None:
    """Delete the ended jobs that fit all that is given, with their results.

    On a terminal it says how many there are, and asks first. A job that another one waits for
    stays. With --json an object: {"deleted": 3}.
    """
    before = None if older_than is None else time.time() - older_than

    async def ask(queue: Queue) -> int:
        chosen = _chosen(queue, mine, owner, label=label, task=task, state=state)
        chosen["ended_before"] = before
        if sys.stdin.isatty() and not yes:
            count = await queue.ask("count", int, **chosen)
            if not count:
                return 0
            click.confirm(f"Delete {_jobs(count)} at {queue.address}?", abort=True, err=True)
        deleted: int = await queue.ask("purge", int, patience=None, **chosen)
        return deleted

    deleted = at_queue(to, account, ask)
    if json:
        print_json({"deleted": deleted})
    else:
        click.echo(f"{_jobs(deleted)} deleted")


def _jobs(count: int) -> str:
    return f"{count:,} ended job{'' if count == 1 else 's'}"


@jobs.command(short_help="Wait for the outcomes of jobs.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--timeout", metavar="TIME", callback=duration, help="Leave after that long; the jobs go on."
)
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of a task that failed.")
@queue_command
def wait(
    ids: Sequence[str],
    timeout: float | None,
    verbose: bool,
    to: str | None,
    json: bool,
    account: str | None,
) -> None:
    """Wait for jobs of the own account, and print their results as JSON, in the order of the IDs.

    Ends as `jabot submit` does: the exit code is that of the first job that did not succeed, 124
    after the timeout, 130 after Ctrl-C. The jobs go on then. With --json an array of objects, each
    with "result" or "error".
    """
    outcomes = at_queue(to, account, lambda queue: wait_for(queue, ids, timeout))
    if json:
        print_json([outcome.plain() for outcome in outcomes])
    code = 0
    for outcome in outcomes:
        if outcome.error is not None:
            problem = failure(outcome.error, verbose=verbose)
            code = code or problem.exit_code
            if not json:
                click.echo(f"Error: {clean(outcome.name)}: {problem.message}", err=True)
        elif not json:
            click.echo(as_json(outcome.result, indent=sys.stdout.isatty()))
    if code:
        sys.exit(code)
