"""From the words of a command line to the arguments of a task somewhere else.

What is known of the task is the JSON Schema of its arguments. Types are made of it again, so that
words are read by the same code as those of a chat.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Union

import msgspec

from jabot.calls import Description
from jabot.chat.words import bind, from_text
from jabot.errors import BadArguments
from jabot.tasks import Parameter, Signature

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Schema = Mapping[str, Any]

_MISSING: Final = inspect.Parameter.empty
_PLAIN: Final[Mapping[str, Any]] = {
    "integer": int,
    "number": float,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "object": dict[str, Any],
}
_DEEPEST: Final = 8  # levels of a type that are looked into; a schema may hold itself

_ANYTHING: Final = Signature(
    (
        Parameter("args", Any, _MISSING, inspect.Parameter.VAR_POSITIONAL),
        Parameter("kwargs", Any, _MISSING, inspect.Parameter.VAR_KEYWORD),
    ),
    result=Any,
    context=None,
)


def read_words(
    words: Sequence[str], literal: Sequence[str], description: Description | None
) -> Arguments:
    """The arguments that words stand for; those in `literal` are positional whatever they hold.

    With a description as in a chat: by the types of the parameters. Without one, and for a
    parameter of any type: what is JSON is taken as JSON, all else as a text. What the types do not
    tell (limits, formats) is left to the worker. Raises `BadArguments`, naming the parameter.
    """
    signature = _ANYTHING if description is None else signature_of(description)
    if not any(p.kind is p.kind.VAR_KEYWORD for p in signature.parameters):
        _check_names(words, {p.name for p in signature.parameters if not p.variadic})
    return bind(signature, [*words, "--", *literal], _read)


def signature_of(description: Description) -> Signature:
    """A signature that takes what the described one does, as far as types go."""
    whole = description.args
    definitions = whole.get("$defs", {})
    required = set(whole.get("required", ()))
    parameters: list[Parameter] = []
    kind: inspect._ParameterKind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, schema in whole.get("properties", {}).items():
        if is_rest(schema, required=name in required):
            hint = type_of(schema.get("items", {}), definitions)
            parameters.append(Parameter(name, hint, _MISSING, inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            default = _MISSING if name in required else schema.get("default")
            parameters.append(Parameter(name, type_of(schema, definitions), default, kind))
    extra = whole.get("additionalProperties", True)
    if extra is not False:
        hint = type_of({} if extra is True else extra, definitions)
        parameters.append(Parameter("kwargs", hint, _MISSING, inspect.Parameter.VAR_KEYWORD))
    return Signature(tuple(parameters), Any, None)


def is_rest(schema: Schema, *, required: bool) -> bool:
    """Whether a property stands for `*args`: a list that may be left out, without a default."""
    return schema.get("type") == "array" and not required and "default" not in schema


def type_of(schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    """The type whose values a schema is about, as closely as words need it; `Any` in doubt."""
    hint = _type(schema, definitions, 0)
    try:
        msgspec.json.Decoder(hint)
    except (TypeError, RecursionError):  # some unions cannot be told apart
        return Any
    return hint


def _type(schema: Schema, definitions: Mapping[str, Schema], depth: int) -> Any:
    if depth > _DEEPEST:
        return Any
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _type(definitions.get(name, {}), definitions, depth + 1)
    choices = schema.get("enum")
    if choices and all(isinstance(choice, str | int | None) for choice in choices):
        return Literal[tuple(choices)]
    if "anyOf" in schema:
        return Union[tuple(_type(each, definitions, depth + 1) for each in schema["anyOf"])]  # noqa: UP007
    if schema.get("type") == "array":
        members = [_type(each, definitions, depth + 1) for each in schema.get("prefixItems", ())]
        if members:
            return tuple[tuple(members)]  # type: ignore[misc]
        items = schema.get("items", {})
        return list[_type(items, definitions, depth + 1)]  # type: ignore[misc]
    return _PLAIN.get(str(schema.get("type")), Any)


def _check_names(words: Sequence[str], known: set[str]) -> None:
    """A name that is no parameter's is a slip of the pen more often than a text."""
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and name.isidentifier() and name not in known:
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
