"""`jabot broadcast`: one task on many nodes, from a shell."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

import click

from jabot.account import Account, parse_jid
from jabot.calls import Reply
from jabot.calls.audience import EVERYBODY
from jabot.calls.broadcast import Plan, read_batch
from jabot.calls.faces import describe_to, spread
from jabot.cli.account import account_option, run_as
from jabot.cli.arguments import read_words
from jabot.cli.exit_codes import FAILED, code_of
from jabot.cli.interrupt import interruptible
from jabot.cli.job_options import LiteralWords, Words, where_option, words_argument
from jabot.cli.progress import ProgressLine
from jabot.cli.screen import as_json
from jabot.cli.values import DURATION, Value
from jabot.client import Client
from jabot.tasks import Step


def _batch(text: str) -> str:
    read_batch(text)  # what is wrong is said now
    return text


@click.command(short_help="Have a task run by every node, and print the replies.", cls=LiteralWords)
@click.argument("task")
@words_argument
@click.option(
    "--to",
    required=True,
    metavar="JID",
    type=Value("address", lambda text: text if text == EVERYBODY else str(parse_jid(text))),
    help="A room, a pool (bot@example.org), one node of it, or * for all contacts.",
)
@click.option(
    "--timeout",
    default="10",
    show_default=True,
    metavar="TIME",
    type=DURATION,
    help="Seconds, or as 500ms, 5m, 1h 30m, that each node has from when it is asked.",
)
@click.option(
    "-b",
    "--batch",
    metavar="N|N%",
    type=Value("batch", _batch),
    help="Ask so many at once, as 10 or 25%, and the next one whenever one has replied.",
)
@where_option("nodes")
@click.option(
    "--quorum",
    metavar="N",
    type=click.IntRange(min=1),
    help="Stop when so many have answered.",
)
@account_option
def broadcast(
    task: str,
    words: Words,
    account: str | None,
    **chosen: Any,
) -> None:
    """Have TASK run by every node at an address, and print what they reply, a JSON object a line.

    Each object has the address of the node, its name in the room, a status, and the result or the
    error. The status is one of: answered; failed (the task did); refused (the node did, and nothing
    ran); silent (no outcome in time, and told to stop); left (the node went offline).

    Arguments are read as `jabot submit` reads them, by what one of the nodes says that the task
    takes. How far it has come is shown on a terminal, and at the end on standard error. Ctrl-C
    cancels the jobs that still run; a second one leaves at once.

    \b
        jabot broadcast --to fleet@conference.example.org uptime
        jabot broadcast --to bot@example.org -b 25% restart web

    \b
    Exit codes:
        0    every node answered, or with --quorum so many
        1    not all did; or it could not be asked
        2    the command line is wrong, or so says every node
        3    nobody is there; nothing ran
        4    this account is let in nowhere, or every node refuses it; nothing ran
        124  every node was silent
        130  stopped by Ctrl-C (143 by SIGTERM)
    """
    sys.exit(run_as(account, lambda own: _broadcast(own, task, words, chosen)))


async def _broadcast(account: Account, task: str, words: Words, options: dict[str, Any]) -> int:
    with interruptible(task, account) as (line, _):
        heard = _Heard(line, options["to"], options["quorum"])
        try:
            async with Client(account) as app:
                line.where(f"- looking for {options['to']}")
                with ExitStack() as stack:
                    arguments: Any = (), {}
                    if any(words):
                        described = await describe_to(app, task, options, stack)
                        arguments = read_words(*words, described)
                    plan = Plan.of(task, arguments, **options)
                    async for reply in spread(app, plan, heard.gathered):
                        heard.reply(reply)
        except asyncio.CancelledError:
            line.say(f"Stopped: {heard.text()}.")
            raise
    click.echo(heard.text(), err=True)
    return heard.code()


class _Heard:
    """The replies so far, each of which is printed."""

    def __init__(self, line: ProgressLine, place: str, quorum: int | None) -> None:
        self.nodes = 0
        self.replies: list[Reply] = []
        self._line = line
        self._place = place
        self._quorum = quorum

    def gathered(self, count: int) -> None:
        """So many nodes are asked."""
        self.nodes = count
        self._line.where(f"at {self._place}")
        self._line.step(Step(0, count, None))

    def reply(self, reply: Reply) -> None:
        self.replies.append(reply)
        self._line.output(as_json(_plain(reply)))
        self._line.step(Step(len(self.replies), self.nodes, None))

    def text(self) -> str:
        """`37 of 40 nodes answered; 1 failed, 2 silent`."""
        counts = Counter(reply.status for reply in self.replies)
        answered = counts.pop("answered", 0)
        others = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        return f"{answered} of {self.nodes} nodes answered" + (f"; {others}" if others else "")

    def code(self) -> int:
        """The exit code: where nobody answered, and all for one reason, it is that one's."""
        answers = sum(reply.status == "answered" for reply in self.replies)
        if answers >= (self._quorum or self.nodes):
            return 0
        codes = {code_of(reply.error) for reply in self.replies if reply.error is not None}
        return codes.pop() if not answers and len(codes) == 1 else FAILED


def _plain(reply: Reply) -> dict[str, Any]:
    outcome = {"result": reply.result} if reply.error is None else {"error": str(reply.error)}
    return {"node": str(reply.node), "name": reply.name, "status": reply.status} | outcome
