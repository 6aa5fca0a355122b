"""From a line that a person typed to the arguments of a task."""

from __future__ import annotations

import inspect
import shlex
from typing import Any

import msgspec

from jabot.errors import BadArguments
from jabot.tasks import Parameter, Signature

# What phones make of quotes and of a double dash.
_TYPED = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "—": "--"})
_YES = frozenset({"yes", "y", "on", "true", "1"})
_NO = frozenset({"no", "n", "off", "false", "0"})


def split(line: str) -> list[str]:
    """Words in shell quoting; raises `BadArguments` for a quote that is not closed."""
    try:
        return shlex.split(line.translate(_TYPED))
    except ValueError:
        raise BadArguments("a quote is not closed; put a \\ before one that is meant") from None


def bind(signature: Signature, words: list[str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments from words: positional, `name=value`, `--name value`, `--name=value`, and for
    booleans `--name` and `--no-name`; after `--`, all are positional.

    Raises `BadArguments`, naming the parameter.
    """
    args, kwargs = _sort(signature, words)
    return signature.bind(args, kwargs, from_text)


def from_text(parameter: Parameter, text: str) -> Any:
    """One typed value: scalars as they are written, lists as `a,b,c`, everything else as JSON."""
    hint = parameter.type
    if hint is Any or hint is str:
        return text
    if hint is bool and text.casefold() in _YES | _NO:
        return text.casefold() in _YES
    if text[:1] in ("[", "{"):
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise BadArguments(f"{parameter.name}: {text!r} is not JSON: {error}") from None
        return parameter.convert(value)
    try:
        return parameter.convert(text, strict=False)
    except BadArguments as refusal:
        try:
            return parameter.convert(text.split(","), strict=False)
        except BadArguments:
            raise refusal from None


def _sort(signature: Signature, words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Which words are positional, and which belong to a name."""
    known = {p.name: p for p in signature.parameters if not p.variadic}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters)
    args: list[str] = []
    kwargs: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--":
            args += rest
            break
        if word.startswith("--"):
            name = name[2:].replace("-", "_")
            if not equals:
                name, value = _option(name, known, rest)
        elif not (equals and (name in known or (takes_any and name.isidentifier()))):
            args.append(word)
            continue
        if name in kwargs:
            raise BadArguments(f"{name}: given twice")
        kwargs[name] = value
    return args, kwargs


def _option(name: str, known: dict[str, Parameter], rest: Any) -> tuple[str, str]:
    """`--name`: a boolean, or its value is the next word."""
    if name in known and known[name].type is bool:
        return name, "true"
    positive = name.removeprefix("no_")
    if positive != name and positive in known and known[positive].type is bool:
        return positive, "false"
    try:
        return name, next(rest)
    except StopIteration:
        raise BadArguments(f"--{name.replace('_', '-')}: its value is missing") from None
