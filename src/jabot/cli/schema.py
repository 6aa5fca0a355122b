"""JSON Schemas as a person reads them: in the words of Python's annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from jabot.tasks import Description
from jabot.tasks.described import Schema, is_rest, listed, properties, within

_NAMES: Final = {
    "integer": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "null": "None",
    "array": "list",
    "object": "dict",
}
_FORMATS: Final = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "decimal": "Decimal",
}


def signature_text(description: Description) -> str:
    """`(reps: int = 30) -> str`."""
    parameters = ", ".join(_parameters(description.args))
    result = type_text(description.result)
    return f"({parameters})" + (f" -> {result}" if result != "anything" else "")


def definitions_of(description: Description) -> Iterator[str]:
    """One line for each type that the signature names: `Point: x: int, y: int = 0`."""
    known: dict[str, Schema] = {}
    for whole in (description.args, description.result):
        known |= within(whole, "$defs")
    for name in sorted(known):
        schema = within(known, name)
        if "properties" in schema:
            fields = ", ".join(_parameters({"additionalProperties": False, **schema}))
            yield f"{name}: {{{fields}}}"
        else:
            yield f"{name}: {type_text(schema)}"


def type_text(schema: Schema) -> str:
    """The type that a schema stands for."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if isinstance(schema.get("enum"), list):
        return " | ".join(repr(choice) for choice in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    either = listed(schema, "anyOf")
    if either:
        return " | ".join(type_text(each) for each in either)
    kind = str(schema.get("type", ""))
    if kind == "array":
        return _array(schema)
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"dict[str, {type_text(schema['additionalProperties'])}]"
    if kind == "string" and "contentEncoding" in schema:
        return str(schema["contentEncoding"])
    if kind == "string" and "format" in schema:
        return _FORMATS.get(str(schema["format"]), "str")
    return _NAMES.get(kind, "anything")


def _array(schema: Schema) -> str:
    members = listed(schema, "prefixItems")
    if members:
        return f"tuple[{', '.join(type_text(each) for each in members)}]"
    return f"list[{type_text(within(schema, 'items'))}]" if schema.get("items") else "list"


def _parameters(whole: Schema) -> Iterator[str]:
    for name, schema, required in properties(whole):
        if is_rest(schema, required=required):
            yield _annotated(f"*{name}", within(schema, "items"))
        else:
            default = repr(schema["default"]) if "default" in schema else "..."
            yield _annotated(name, schema) + ("" if required else f" = {default}")
    if whole.get("additionalProperties") is not False:
        yield _annotated("**kwargs", within(whole, "additionalProperties"))


def _annotated(name: str, schema: Schema) -> str:
    text = type_text(schema)
    return name if text == "anything" else f"{name}: {text}"
