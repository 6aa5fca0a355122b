"""`jabot submit`: one job, from a shell."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import click

from jabot.account import Account
from jabot.calls import Job, begin
from jabot.calls.options import Options
from jabot.cli.account import account_option, run_as
from jabot.cli.arguments import described, read_words
from jabot.cli.exit_codes import failure
from jabot.cli.interrupt import Interrupt, interruptible
from jabot.cli.job_options import (
    LiteralWords,
    Words,
    checked,
    queue_options,
    retries_option,
    where_option,
    words_argument,
)
from jabot.cli.progress import ProgressLine
from jabot.cli.screen import is_verbose, print_json
from jabot.cli.values import ADDRESS, DURATION
from jabot.client import Client
from jabot.errors import JabotError, JobTimeout
from jabot.tasks import Arguments

_LOOK_AGAIN = 0.5  # seconds before nodes are asked for again, where nobody was


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    task: str
    words: Words
    options: Options
    leave: bool = False
    """Whether its id is enough."""


@click.command(short_help="Have a task run, and print its result.", cls=LiteralWords)
@click.argument("task")
@words_argument
@click.option(
    "--to",
    required=True,
    metavar="JID",
    type=ADDRESS,
    help="The pool that it goes to (bot@example.org), or one node of it (a full address).",
)
@click.option(
    "--timeout",
    metavar="TIME",
    type=DURATION,
    help="Seconds, or as 500ms, 5m, 1h 30m: give up, and have the job stopped, after that long.",
)
@retries_option(
    "Run it again, elsewhere if need be, up to N times. Without it, it runs at most once."
)
@where_option("on nodes")
@click.option("--wait", is_flag=True, help="Wait for a node when none is online.")
@click.option(
    "--detach", is_flag=True, help="Print the id of the job once it was taken, and leave it."
)
@queue_options
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of a task that failed.")
@account_option
def submit(
    task: str, words: Words, detach: bool, verbose: bool, account: str | None, **chosen: Any
) -> None:
    """Have TASK run at a node or by a queue, and print its result as JSON.

    Arguments are read by the types of the task's parameters, as in a chat: 30 is a number for an
    int and a text for a str, a,b,c is a list, yes is a boolean, and what begins with { or [ is
    JSON. For a parameter without a type, what is JSON is taken as JSON and all else as a text.

    name=value gives a parameter by its name. A text that looks so is written after --, behind
    which every word is taken as it stands:

    \b
        jabot submit --to bot@example.org lift 30
        jabot submit --to bot@example.org lift reps=30
        jabot submit --to bot@example.org greet -- a=b

    Before the -- a parameter may also be given as an option: --reps 30, --quick, --no-quick. The
    options below go first: a task's parameter of the same name is given as name=value.

    The options that begin with "Queue:" are for the address of a queue; a plain node refuses them.

    On a terminal a bar shows the progress. Ctrl-C cancels the job and waits until it has stopped; a
    second one leaves at once.

    \b
    Exit codes:
        0    the result is on standard output, or with --detach the id of the job
        1    the task failed, was cancelled or lost its node; or it could not be asked for
        2    the command line is wrong: no such task, not its arguments, or not for a plain node
        3    nobody is there to do it; nothing ran
        4    this account is not allowed to; nothing ran
        124  no outcome within the timeout
        130  stopped by Ctrl-C (143 by SIGTERM)
    """
    order = Order(task, words, checked(**chosen), leave=detach)
    sys.exit(run_as(account, lambda own: _submit(own, order, verbose=verbose or is_verbose())))


async def _submit(account: Account, order: Order, *, verbose: bool) -> int:
    with interruptible(order.task, account) as (line, interrupt):
        try:
            result = await _result(account, order, line, interrupt)
        except JabotError as error:
            raise failure(error, interrupt.code, verbose=verbose) from error
    click.echo(result) if order.leave else print_json(result)
    return interrupt.code or 0


async def _result(account: Account, order: Order, line: ProgressLine, interrupt: Interrupt) -> Any:
    chosen, loop = order.options, asyncio.get_running_loop()
    deadline = None if chosen.timeout is None else loop.time() + chosen.timeout
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                app = await stack.enter_async_context(Client(account))
                line.where(f"- looking for {chosen.to}")
                args, kwargs = await _arguments(app, order)
        except TimeoutError:
            if not limit.expired():
                raise
            raise JobTimeout(
                f"{chosen.to} was not there within {chosen.timeout:g} s; nothing ran"
            ) from None
        if deadline is not None:
            chosen = replace(chosen, timeout=max(deadline - loop.time(), 0.001))
        job = interrupt.job = await begin(app, order.task, args, kwargs, chosen)
        try:
            if order.leave:
                return await _taken(job)
            await line.follow(job)
            return await job
        except JobTimeout as error:
            if deadline is None or loop.time() < deadline:
                raise  # a limit of the task's own
            limit_text = f"{order.options.timeout:g} s"
            raise JobTimeout(
                f"{order.task} had no outcome within {limit_text}, and was told to stop"
            ) from error


async def _arguments(app: Client, order: Order) -> Arguments:
    """Read the words by what the node says of the task."""
    to = order.options.to
    while order.options.wait and not await app.nodes(to):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(_LOOK_AGAIN)
    if not any(order.words):
        return (), {}
    return read_words(*order.words, await described(app, to, order.task))


async def _taken(job: Job[Any]) -> str:
    await job.taken()
    if job.peer is None:  # it was refused
        await job
    return job.id
