"""How commands ask a queue for what it tells of its jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
from msgspec import UNSET

from jabot.account import Account
from jabot.calls import Job
from jabot.calls.faces import submit_for
from jabot.cli.account import account_option, run_as
from jabot.cli.screen import json_option
from jabot.cli.values import ADDRESS, as_one
from jabot.client import Client
from jabot.durations import brief
from jabot.errors import RemoteProtocolError, UnknownTask
from jabot.protocol.options import OWN_TASKS

R = TypeVar("R")

_SHORT: Final = 8  # characters of an id on a terminal
PATIENCE: Final = 30.0  # seconds for an answer; what takes longer has a limit of its own


class Queue:
    """A queue, as this program's account sees it."""

    def __init__(self, app: Client, address: str, own: str) -> None:
        self.app = app
        self.address = address
        self.own = own  # the account's bare address

    async def ask(
        self, name: str, kind: Any, /, *, patience: float | None = PATIENCE, **arguments: Any
    ) -> Any:
        """What one of its own tasks answers, as an object of a kind.

        Raises `UnknownTask` where there is none of that name, `RemoteProtocolError` when the answer
        is of another kind.
        """
        given = {key: value for key, value in arguments.items() if value not in (None, UNSET)}
        task = f"{OWN_TASKS}{name}"
        try:
            return await (await self._submit(task, kind, given, patience))
        except RemoteProtocolError as error:
            raise RemoteProtocolError(
                f"{self.address} does not answer {task} as this jabot expects it ({error}); have "
                "the same version at both ends"
            ) from None

    async def _submit(
        self, task: str, kind: Any, arguments: dict[str, Any], patience: float | None
    ) -> Job[Any]:
        to = self.address
        try:
            return await submit_for(self.app, task, kind, arguments, to=to, timeout=patience)
        except UnknownTask:
            raise UnknownTask(
                f"{to} is no queue, or one of an older jabot: it has no {task}; --to names the "
                "queue"
            ) from None


@dataclass(frozen=True)
class Asking:
    """Which queue is asked, as whom, and whether a program reads the answer."""

    to: str | None
    account: str | None
    json: bool

    def do(self, work: Callable[[Queue], Coroutine[Any, Any, R]]) -> R:
        """Sign in, and do what is to be done at the queue; errors end the command with their
        code."""

        async def ask(account: Account) -> R:
            async with Client(account) as app:
                return await work(Queue(app, self.to or account.jid.bare, account.jid.bare))

        return run_as(self.account, ask)


queue_command = as_one(
    "asking",
    Asking,
    (
        click.option(
            "--to", metavar="JID", type=ADDRESS, help="The queue; without it, the own account."
        ),
        json_option("JSON instead of a text for people."),
        account_option,
    ),
)
"""Adds what says which queue is asked, how and as whom; the command gets it as `asking`."""


# -- words ----------------------------------------------------------------------------------------


def short(job_id: str) -> str:
    """The end of an id, which is enough to name a job by; all of it where a program reads."""
    return job_id[-_SHORT:] if sys.stdout.isatty() else job_id


def apart(moment: float | None, now: float) -> str:
    """How far a moment is away: `in 5 min`, `12 s ago`."""
    if moment is None:
        return "-"
    if moment > now:
        return f"in {brief(moment - now)}"
    return "now" if now - moment < 1 else f"{brief(now - moment)} ago"


def at(moment: float | None) -> str:
    """A moment on this machine's clock."""
    if moment is None:
        return "-"
    return f"{datetime.fromtimestamp(moment, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
