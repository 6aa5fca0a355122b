"""What people are told of a task, wherever it runs."""

from __future__ import annotations

from string import Formatter

from jabot.errors import ConfigError
from jabot.tasks.signature import Signature


class Offer:
    """A task by its name: what it takes, what it is for, and its author's sentences for people.

    `scheduled` and `done` are what a person is told when the job is taken and when it succeeded;
    None: the usual words.
    """

    def __init__(
        self,
        name: str,
        signature: Signature,
        *,
        doc: str | None = None,
        scheduled: str | None = None,
        done: str | None = None,
    ) -> None:
        self.name = name
        self.signature = signature
        self.scheduled = _template(name, "scheduled", scheduled, "task", "job")
        self.done = _template(name, "done", done, "task", "job", "result")
        self.__doc__ = doc

    @property
    def summary(self) -> str:
        """The docstring's first line, or an empty text."""
        return (self.__doc__ or "").partition("\n")[0].strip()

    @property
    def usage(self) -> str:
        """One line that shows how to ask for it: `lift [reps=30]`."""
        return " ".join([self.name, *(str(p) for p in self.signature.parameters)])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.usage}>"


def _template(task: str, option: str, text: str | None, *fields: str) -> str | None:
    """Check a chat text when the task is defined, not when somebody waits for it."""
    for field in _fields(task, option, text or ""):
        if field not in fields:
            names = ", ".join(f"{{{field}}}" for field in fields)
            raise ConfigError(f"task {task}: {option}={text!r}: only {names}, not {{{field}}}")
    return text


def _fields(task: str, option: str, text: str) -> list[str]:
    """What stands in braces, with all that Python's `format` would make of it."""
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"task {task}: {option}={text!r}: {error}") from None
    return [
        f"{name}{f'!{how}' if how else ''}{spec and f':{spec}'}"
        for _, name, spec, how in parsed
        if name is not None
    ]
