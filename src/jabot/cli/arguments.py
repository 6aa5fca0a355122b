"""From the words of a command line to the arguments of a task somewhere else.

What is known of the task is its description. Words are read by the same code as those of a chat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from jabot.calls import Calling
from jabot.chat.words import bind, from_text
from jabot.errors import BadArguments, UnknownTask
from jabot.tasks import Arguments, Description, Parameter
from jabot.tasks.described import ANYTHING, signature_of


async def described(app: Calling, to: str, task: str) -> Description | None:
    """What is said at an address of a task; None when there is none, or this account may not run
    it: that is said when it is asked for."""
    try:
        return (await app.describe(to, task)).get(task)
    except UnknownTask:
        return None


def read_words(
    words: Sequence[str], literal: Sequence[str], description: Description | None
) -> Arguments:
    """The arguments that words stand for; those in `literal` are positional whatever they hold.

    With a description as in a chat: by the types of the parameters. Without one, and for a
    parameter of any type: what is JSON is taken as JSON, all else as a text. What the types do not
    tell (limits, formats) is left to the worker. Raises `BadArguments`, naming the parameter.
    """
    signature = ANYTHING if description is None else signature_of(description)
    if not any(p.kind is p.kind.VAR_KEYWORD for p in signature.parameters):
        _check_names(words, {p.name for p in signature.parameters if not p.variadic})
    return bind(signature, [*words, "--", *literal] if literal else list(words), _read)


def _check_names(words: Sequence[str], known: set[str]) -> None:
    """A name that is no parameter's is a slip of the pen more often than a text."""
    for word in words:
        name, _, value = word.partition("=")
        padding = not value.strip("=")  # of base64
        if not padding and name.isidentifier() and name not in known:
            raise BadArguments(
                f"there is no parameter named {name}; a text that looks so is written after a --"
            )


def _read(parameter: Parameter, text: str) -> Any:
    if parameter.type is not Any:
        return from_text(parameter, text)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
