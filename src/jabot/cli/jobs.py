"""`jabot jobs`: see and handle the jobs of a queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from jabot.cli.asking import Asking, Queue, queue_command, short
from jabot.cli.exit_codes import failure
from jabot.cli.job_changes import cancel, purge, retry
from jabot.cli.job_filters import STATES, Chosen, filters, pages
from jabot.cli.job_tables import job_table, show_sheet
from jabot.cli.screen import clean, output, print_json
from jabot.cli.values import DURATION
from jabot.cli.waiting import wait_for
from jabot.queue.answers import JobLine, JobSheet


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
@filters(STATES)
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
def list_(asking: Asking, chosen: Chosen, limit: int, before: str | None) -> None:
    """List the newest jobs that fit all that is given.

    With --json an array of objects: moments are seconds since 1970.
    """

    async def ask(queue: Queue) -> tuple[list[JobLine], bool, str]:
        found, more = await pages(queue, chosen, limit, before)
        return found, more, queue.own

    found, more, own = asking.do(ask)
    if asking.json:
        print_json(found)
    elif found:
        owners = {line.owner for line in found}
        output().print(job_table(found, time.time(), with_owner=owners != {own}))
    else:
        click.echo("no such jobs", err=True)
    if more and not asking.json:
        click.echo(f"more: --before {short(found[-1].id)}", err=True)


@jobs.command(short_help="All about one job, and why it is where it is.")
@click.argument("id")
@click.option("-v", "--verbose", is_flag=True, help="With the traceback of one that failed.")
@queue_command
def show(asking: Asking, id: str, verbose: bool) -> None:  # noqa: A002
    """Show all that is known of a job: what it was asked for, its attempts, and why it is where it
    is. With --json one object."""
    sheet: JobSheet = asking.do(lambda queue: queue.ask("job", JobSheet, id=id))
    if asking.json:
        print_json(sheet)
    else:
        show_sheet(output(), sheet, verbose=verbose)


@jobs.command(short_help="Wait for the outcomes of jobs.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--timeout", metavar="TIME", type=DURATION, help="Leave after that long; the jobs go on."
)
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of a task that failed.")
@queue_command
def wait(asking: Asking, ids: Sequence[str], timeout: float | None, verbose: bool) -> None:
    """Wait for jobs of the own account, and print their results as JSON, in the order of the IDs.

    Ends as `jabot submit` does: the exit code is that of the first job that did not succeed, 124
    after the timeout, 130 after Ctrl-C. The jobs go on then. With --json an array of objects, each
    with "result" or "error".
    """
    outcomes = asking.do(lambda queue: wait_for(queue, ids, timeout))
    if asking.json:
        print_json([outcome.plain() for outcome in outcomes])
    code = 0
    for outcome in outcomes:
        if outcome.error is not None:
            problem = failure(outcome.error, verbose=verbose)
            code = code or problem.exit_code
            if not asking.json:
                click.echo(f"Error: {clean(outcome.name)}: {problem.message}", err=True)
        elif not asking.json:
            print_json(outcome.result)
    if code:
        sys.exit(code)


for _command in (retry, cancel, purge):
    jobs.add_command(_command)
