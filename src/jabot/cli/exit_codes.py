"""How the commands that call other programs end: which error gives which exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from jabot.cli.screen import clean
from jabot.errors import (
    BadArguments,
    Draining,
    JabotError,
    JobTimeout,
    KeyReused,
    NobodyThere,
    NotAllowed,
    QueueNeeded,
    TaskFailed,
    UnknownJob,
    UnknownTask,
    WorkerLost,
)

FAILED: Final = 1
USAGE: Final = 2
NOBODY_THERE: Final = 3
NOT_ALLOWED: Final = 4
TIMED_OUT: Final = 124  # as timeout(1) has it

# All others are FAILED. With USAGE, NOBODY_THERE and NOT_ALLOWED nothing ran.
_CODES: Final[tuple[tuple[type[JabotError], int], ...]] = (
    (BadArguments, USAGE),
    (UnknownTask, USAGE),
    (QueueNeeded, USAGE),
    (KeyReused, USAGE),
    (UnknownJob, USAGE),
    (NobodyThere, NOBODY_THERE),
    (Draining, NOBODY_THERE),
    (NotAllowed, NOT_ALLOWED),
    (JobTimeout, TIMED_OUT),
)


class Failure(click.ClickException):
    """Ends a command: a line that says why, and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(clean(message))
        self.exit_code = code  # type: ignore[misc]  # click declares it for the class


def code_of(error: JabotError) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def failure(error: JabotError, code: int | None = None, *, verbose: bool = False) -> Failure:
    """What a command ends with; the traceback of a task goes to standard error first if wanted."""
    text = str(error) or type(error).__name__
    if isinstance(error, TaskFailed):
        text = f"the task failed: {text}"
        if verbose and error.traceback:
            click.echo(clean(error.traceback.rstrip("\n")), err=True)
        elif error.traceback:
            text += "\n(-v shows its traceback)"
    if isinstance(error, WorkerLost):
        text += "; it may have run, in part or wholly"
    return Failure(text, code or code_of(error))


def end_with(outcomes: Iterable[object]) -> None:
    """Say which of several things that were asked for at once went wrong; the command ends with the
    code of the first one."""
    problems = [failure(each) for each in outcomes if isinstance(each, JabotError)]
    for problem in problems:
        click.echo(f"Error: {problem.message}", err=True)
    if problems:
        sys.exit(problems[0].exit_code)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Within, errors end the command with their code."""
    try:
        yield
    except JabotError as error:
        raise failure(error) from error
