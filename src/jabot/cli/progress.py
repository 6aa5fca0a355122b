"""The progress of one job or many, in the last line of a terminal."""

from __future__ import annotations

import sys
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from jabot.calls import Job
from jabot.cli.screen import is_verbose, one_line
from jabot.tasks import Step

_TEXT = 40  # characters of a step's text


class ProgressLine:
    """A bar on the standard error of a terminal, gone when it is over; elsewhere nothing."""

    def __init__(self, task: str) -> None:
        # Log lines of -v would run through it.
        hidden = not sys.stderr.isatty() or is_verbose()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            _Done(),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
            transient=True,
            redirect_stdout=False,  # what goes there is for programs
            disable=hidden,
        )
        self._name = one_line(task)
        self._line = self._progress.add_task(self._name, total=None, text="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def where(self, place: str) -> None:
        """What is waited for, or who does it."""
        self._progress.update(self._line, description=f"{self._name} {one_line(place)}")

    def step(self, step: Step) -> None:
        """The job has got on."""
        text = one_line(step.text or "")
        self._progress.update(
            self._line,
            completed=step.done or 0,
            total=step.total,
            text=text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…",
        )

    async def follow(self, job: Job[Any]) -> None:
        """Show how a job gets on, until it is over."""
        await job.taken()
        if job.peer is not None:
            self.where(f"on {job.peer}")
        async for step in job.progress:
            self.where(f"on {job.peer}")
            self.step(step)

    def say(self, text: str) -> None:
        """Write a line above the bar, or to standard error where there is none."""
        self._progress.console.print(text, soft_wrap=True)

    def output(self, text: str) -> None:
        """Write a line to standard output, and above the bar when that is on the same screen."""
        if sys.stdout.isatty() and not self._progress.disable:
            self.say(text)
        else:
            click.echo(text)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class _Done(TextColumn):
    """`30/60` when it is known how much there is, and the step's own text."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        number = f"{task.completed:g}"
        if task.total is not None:
            number += f"/{task.total:g}"
        parts = [number if task.total is not None or task.completed else "", task.fields["text"]]
        return Text(" ".join(part for part in parts if part))
