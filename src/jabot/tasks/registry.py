"""The tasks of one node, by name."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any

from jabot.errors import ConfigError
from jabot.protocol.options import NODE_TASKS
from jabot.tasks.task import Task


class Registry:
    """Names and tasks, in the order of definition.

    `reserved` are words that mean something else to those who call tasks by name.
    """

    def __init__(self, reserved: Collection[str] = ()) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        self._reserved = frozenset(reserved)

    def add(self, task: Task[..., Any]) -> None:
        """Offer a task; raises `ConfigError` when the name is taken or reserved."""
        if task.name in self._tasks:
            raise ConfigError(f"there are two tasks named {task.name}; give one of them name=...")
        if task.name.startswith(NODE_TASKS):
            raise ConfigError(
                f"task {task.name}: what begins with {NODE_TASKS} a node does itself; give the "
                "task another name="
            )
        if task.name.casefold() in self._reserved:
            raise ConfigError(f"{task.name} is a word of jabot's own; give the task another name=")
        self._tasks[task.name] = task

    def __getitem__(self, name: str) -> Task[..., Any]:
        return self._tasks[name]

    def get(self, name: str) -> Task[..., Any] | None:
        """The task of exactly that name."""
        return self._tasks.get(name)

    def find(self, word: str) -> Task[..., Any] | None:
        """The task of that name; letter case is forgiven (phones write `Lift`) when it is clear."""
        name = find_name(word, self._tasks)
        return None if name is None else self._tasks[name]

    def __iter__(self) -> Iterator[Task[..., Any]]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)


def find_name(word: str, names: Collection[str]) -> str | None:
    """The name that a person means by a word."""
    if word in names:
        return word
    wanted = _folded(word)
    found = [name for name in names if _folded(name) == wanted]
    return found[0] if len(found) == 1 else None


def _folded(name: str) -> str:
    """Without case, and with each accented letter as one character, as Python holds names."""
    return unicodedata.normalize("NFKC", name).casefold()


def close_match(word: str, names: Collection[str]) -> str | None:
    """The name that a misspelt word most likely meant, if any comes close.

    Two letters of a four-letter word may have changed places; `dance` is not close to `cancel`.
    """
    matches = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.74)
    return matches[0] if matches else None
