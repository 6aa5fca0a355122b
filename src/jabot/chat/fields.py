"""A task's parameters as the fields of a form, and what was filled in as its arguments."""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from jabot.chat import texts, words
from jabot.errors import BadArguments
from jabot.tasks import Arguments, Parameter, Signature
from jabot.xmpp.data_forms import Field, FieldKind

_LEFT_OUT: Final = object()  # stands for the default of a parameter
_LISTS: Final = (list, set, frozenset, tuple, Sequence)

Filled = Mapping[str, Sequence[str]]
"""What somebody has filled in, by the names of the fields."""


def fields_of(signature: Signature, filled: Filled | None = None) -> list[Field]:
    """A field for each parameter, with its default in it, or with what was filled in before."""
    return [_field(parameter, filled) for parameter in signature.parameters]


def arguments(signature: Signature, filled: Filled) -> Arguments:
    """What was filled in, as typed arguments. A field that is empty counts as left out, but for a
    text, which can be empty.

    Raises `BadArguments`, naming the field.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    rest = next((p for p in signature.parameters if _is_rest(p) and _lines(p, filled)), None)
    positional = rest is not None
    for parameter in signature.parameters:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            kwargs |= _named(parameter, _lines(parameter, filled))
        elif _is_rest(parameter):
            args += _lines(parameter, filled)
            positional = False
        else:
            value = _given(parameter, filled)
            if positional and value is _LEFT_OUT and parameter.required:
                raise BadArguments(f"{parameter.name}: missing")
            if positional:
                args.append(value)
            elif value is not _LEFT_OUT:
                kwargs[parameter.name] = value
    return signature.bind(args, kwargs, _read)


def result_fields(value: Any) -> list[Field]:
    """What a job returned: a field for each entry of a flat mapping, else one in all."""
    if value is None:
        return []
    if isinstance(value, dict) and value and not any(isinstance(v, dict) for v in value.values()):
        return [_shown(str(name), each) for name, each in value.items()]
    return [_shown("result", value)]


def text_field(name: str, text: str) -> Field:
    """A text to be read."""
    lines = text.splitlines()
    return Field(name, "text-multi" if len(lines) > 1 else "text-single", lines, name)


# -- within ---------------------------------------------------------------------------------------


def _field(parameter: Parameter, filled: Filled | None) -> Field:
    kind, options = _kind(parameter)
    values = _defaults(parameter, kind) if filled is None else list(filled.get(parameter.name, ()))
    about = texts.parameter_help(parameter).removeprefix(f"{parameter.name}: ")
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        about = "any number, each a line: name=value"
    elif kind == "text-multi":
        about += "; each on a line of its own"
    required = parameter.required and kind in ("text-single", "list-single")
    return Field(parameter.name, kind, values, parameter.name, about, options, required)


def _kind(parameter: Parameter) -> tuple[FieldKind, list[str]]:
    """The kind of field, and what there is to choose from."""
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return "text-multi", []
    hint = _bare(parameter.type)
    if _is_rest(parameter):
        choices = _choices(hint)
        return ("list-multi", choices) if choices else ("text-multi", [])
    if hint is bool:
        return "boolean", []
    if _is_list(hint):
        members = typing.get_args(hint)
        choices = _choices(_bare(members[0])) if len(members) == 1 else []
        return ("list-multi", choices) if choices else ("text-multi", [])
    choices = _choices(hint)
    return ("list-single", choices) if choices else ("text-single", [])


def _bare(hint: Any) -> Any:
    """The type without `Annotated`, and without the None beside it."""
    if typing.get_origin(hint) is typing.Annotated:
        return _bare(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [each for each in typing.get_args(hint) if each is not type(None)]
        return _bare(others[0]) if len(others) == 1 else hint
    return hint


def _is_list(hint: Any) -> bool:
    return (typing.get_origin(hint) or hint) in _LISTS


def _is_rest(parameter: Parameter) -> bool:
    return parameter.kind is inspect.Parameter.VAR_POSITIONAL


def _choices(hint: Any) -> list[str]:
    if typing.get_origin(hint) is typing.Literal:
        found = typing.get_args(hint)
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        found = tuple(member.value for member in hint)
    else:
        return []
    return list(dict.fromkeys(str(value) for value in found if value is not None))


def _defaults(parameter: Parameter, kind: FieldKind) -> list[str]:
    if parameter.required or parameter.variadic:
        return []
    try:
        value = msgspec.to_builtins(parameter.default)
    except (TypeError, ValueError):
        return []  # of a kind that only the function itself knows
    if value is None:
        return []
    if kind in ("text-multi", "list-multi") and isinstance(value, list | tuple):
        return [_written(each) for each in value]
    return [_written(value)]


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _lines(parameter: Parameter, filled: Filled) -> list[str]:
    return [line for line in filled.get(parameter.name, ()) if line.strip()]


def _given(parameter: Parameter, filled: Filled) -> Any:
    kind, _ = _kind(parameter)
    lines = _lines(parameter, filled)
    if kind in ("text-multi", "list-multi"):
        if not lines and (parameter.required or parameter.default is not None):
            # Who empties a list wants it empty; a program that sends no such field does not.
            return [] if parameter.required or parameter.name in filled else _LEFT_OUT
        return lines or _LEFT_OUT
    if lines:
        return lines[0]
    emptied = parameter.type is str and not parameter.required and filled.get(parameter.name)
    return "" if emptied else _LEFT_OUT


def _named(parameter: Parameter, lines: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise BadArguments(f"{parameter.name}: each line is name=value, not {line!r}")
        named[name.strip()] = value
    return named


def _read(parameter: Parameter, value: Any) -> Any:
    if value is _LEFT_OUT:
        return parameter.default
    if isinstance(value, str):
        return words.from_text(parameter, value)
    try:
        return parameter.convert(value, strict=False)
    except BadArguments as refusal:
        try:  # its members may be more than words
            decoded = [msgspec.json.decode(line) for line in value]
        except (msgspec.DecodeError, RecursionError):
            raise refusal from None
        return parameter.convert(decoded)


def _shown(name: str, value: Any) -> Field:
    return text_field(name, texts.cut(texts.result(value)))
