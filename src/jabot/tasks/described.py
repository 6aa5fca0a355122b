"""What a task takes and gives, as it is described to others; and from that back to a signature.

A description holds JSON Schema. Types are made of it again, so that words are read by the same code
wherever a person writes them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Union

import msgspec

from jabot.errors import RemoteProtocolError
from jabot.tasks.offer import Offer
from jabot.tasks.signature import Parameter, Signature

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

ANYTHING: Final = Signature(
    (
        Parameter("args", Any, _MISSING, inspect.Parameter.VAR_POSITIONAL),
        Parameter("kwargs", Any, _MISSING, inspect.Parameter.VAR_KEYWORD),
    ),
    result=Any,
    context=None,
)
"""Of a task that nothing is known of."""


class Description(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task of a node."""

    doc: str
    """The docstring."""
    args: dict[str, Any]
    """The JSON Schema of the arguments: an object with a property for each parameter, in order."""
    result: dict[str, Any]
    """The JSON Schema of the result."""
    scheduled: str | None = None
    """What a person is told when the job is taken, if the author wrote that."""
    done: str | None = None
    """What a person is told when it has succeeded."""


_Found = dict[str, Description] | None
_decoder: msgspec.json.Decoder[_Found] = msgspec.json.Decoder(_Found)


def read_descriptions(tasks: msgspec.Raw) -> _Found:
    """What a `description` frame holds; None when there is no such task.

    Raises `RemoteProtocolError`.
    """
    try:
        return _decoder.decode(tasks)
    except msgspec.DecodeError as error:
        raise RemoteProtocolError(f"a description that cannot be read: {error}") from None


def offer_of(name: str, description: Description) -> Offer:
    """The described task, as people are told of it."""
    return Offer(
        name,
        signature_of(description),
        doc=description.doc,
        scheduled=description.scheduled,
        done=description.done,
    )


def signature_of(description: Description) -> Signature:
    """A signature that takes what the described one does, as far as types go."""
    definitions = within(description.args, "$defs")
    parameters: list[Parameter] = []
    kind: inspect._ParameterKind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, schema, required in properties(description.args):
        if is_rest(schema, required=required):
            hint = type_of(within(schema, "items"), definitions)
            parameters.append(Parameter(name, hint, _MISSING, inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            default = _MISSING if required else schema.get("default")
            parameters.append(Parameter(name, type_of(schema, definitions), default, kind))
    if description.args.get("additionalProperties") is not False:
        hint = type_of(within(description.args, "additionalProperties"), definitions)
        parameters.append(Parameter("kwargs", hint, _MISSING, inspect.Parameter.VAR_KEYWORD))
    return Signature(tuple(parameters), Any, None)


def properties(whole: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """The name and schema of each property of an object, and whether it is required."""
    required = whole.get("required")
    names = required if isinstance(required, list) else []
    schemas = within(whole, "properties")
    for name in schemas:
        yield name, within(schemas, name), name in names


def within(schema: Schema, key: str) -> Schema:
    """The schema at a key; an empty one where there is none, or nonsense: others wrote it."""
    value = schema.get(key)
    return value if isinstance(value, Mapping) else {}


def is_rest(schema: Schema, *, required: bool) -> bool:
    """Whether a property stands for `*args`: a list that may be left out, without a default."""
    return schema.get("type") == "array" and not required and "default" not in schema


def listed(schema: Schema, key: str) -> list[Schema]:
    """The schemas in a list at a key."""
    value = schema.get(key)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


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
        return _type(within(definitions, name), definitions, depth + 1)
    choices = schema.get("enum")
    if isinstance(choices, list) and _are_plain(choices):
        return Literal[tuple(choices)]
    either = [_type(each, definitions, depth + 1) for each in listed(schema, "anyOf")]
    if either:
        return Union[tuple(either)]  # noqa: UP007 - it has as many members as they are
    if schema.get("type") == "array":
        members = [_type(each, definitions, depth + 1) for each in listed(schema, "prefixItems")]
        if members:
            return tuple[tuple(members)]  # type: ignore[misc]
        return list[_type(within(schema, "items"), definitions, depth + 1)]  # type: ignore[misc]
    return _PLAIN.get(str(schema.get("type")), Any)


def _are_plain(choices: list[Any]) -> bool:
    """Whether they can stand in a `Literal`."""
    return bool(choices) and all(isinstance(choice, str | int | None) for choice in choices)
