"""From a line that a person typed to the arguments of a task."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import msgspec

from jabot.errors import BadArguments
from jabot.tasks import Arguments, Parameter, Signature
from jabot.tasks.signature import shorten

# Shell quoting (POSIX 2.2), with the quotes that phones make and the spaces of every script. Not
# shlex: its time grows with the square of a word's length, half a minute for a million letters.
_PIECE = re.compile(
    r"""
    (?P<space>\s+)
    | "(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"
    | '(?P<single>[^']*)'
    | [“”„«»](?P<typed>[^“”„«»"]*)[“”„«»"]
    | \\(?P<escaped>.)
    | (?P<plain>[^\s"'“”„«»\\]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r'\\(["\\])')  # in double quotes, other backslashes are themselves
_YES = frozenset({"yes", "y", "on", "true", "1"})
_NO = frozenset({"no", "n", "off", "false", "0"})


def split(line: str) -> list[str]:
    """Words in shell quoting; raises `BadArguments` for a quote that is not closed."""
    words: list[str] = []
    word: list[str] | None = None
    at = 0
    while at < len(line):
        piece = _PIECE.match(line, at)
        if piece is None:
            raise BadArguments("a quote is not closed; put a \\ before one that is meant")
        kind, text, at = piece.lastgroup, piece[piece.lastgroup or 0], piece.end()
        if kind == "space":
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = [] if word is None else word
            word.append(_ESCAPED.sub(r"\1", text) if kind == "double" else text)
    return words if word is None else [*words, "".join(word)]


def bind(
    signature: Signature, words: list[str], read: Callable[[Parameter, str], Any] | None = None
) -> Arguments:
    """Arguments from words: positional, `name=value`, `--name value`, `--name=value`, and for
    booleans `--name` and `--no-name`; after `--`, all are positional. Each is read by `read`, or
    by `from_text`.

    Raises `BadArguments`, naming the parameter.
    """
    args, kwargs = _sort(signature, words)
    return signature.bind(args, kwargs, read or from_text)


def from_text(parameter: Parameter, text: str) -> Any:
    """One typed value: scalars as they are written, lists as `a,b,c`, everything else as JSON."""
    hint = parameter.type
    if hint is Any or hint is str:
        return text
    if hint is bool and text.casefold() in _YES | _NO:
        return text.casefold() in _YES
    refusal = None
    if text[:1] in ("[", "{"):
        try:
            return parameter.convert(msgspec.json.decode(text))
        except RecursionError:
            refusal = BadArguments(f"{parameter.name}: too deep")
        except msgspec.DecodeError as error:
            refusal = BadArguments(f"{parameter.name}: {shorten(text)} is not JSON: {error}")
        except BadArguments as error:
            refusal = error
    for value in (text, text.split(",")):
        try:
            return parameter.convert(value, strict=False)
        except BadArguments as error:
            refusal = refusal or error
    raise refusal or BadArguments(parameter.name)


def _sort(signature: Signature, words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Which words are positional, and which belong to a name."""
    known = {p.name: p for p in signature.parameters if not p.variadic}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters)
    args: list[str] = []
    kwargs: dict[str, str] = {}
    rest = iter(words)
    for typed in rest:
        # Phones make —x of --x. A dash that stands alone is one.
        word = f"--{typed[1:]}" if typed[:1] == "—" and typed[1:] else typed
        name, equals, value = word.partition("=")
        if word == "--":
            args += rest
            break
        if word.startswith("--"):
            name = name[2:].replace("-", "_")
            if not equals:
                name, value = _option(name, known, rest)
        elif not (equals and (name in known or (takes_any and name.isidentifier()))):
            args.append(typed)
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
