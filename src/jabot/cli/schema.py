"""JSON Schemas as a person reads them: in the words of Python's annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jabot.calls import Description
from jabot.cli.arguments import is_rest

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

Schema = Mapping[str, Any]


def signature_text(description: Description) -> str:
    """`(reps: int = 30) -> str`."""
    parameters = ", ".join(_parameters(description.args))
    result = type_text(description.result)
    return f"({parameters})" + (f" -> {result}" if result != "anything" else "")


def definitions_of(description: Description) -> Iterator[str]:
    """One line for each type that the signature names: `Point: x: int, y: int = 0`."""
    known: dict[str, Schema] = {}
    for whole in (description.args, description.result):
        known |= whole.get("$defs", {})
    for name, schema in sorted(known.items()):
        if "properties" in schema:
            fields = ", ".join(_parameters({"additionalProperties": False, **schema}))
            yield f"{name}: {{{fields}}}"
        else:
            yield f"{name}: {type_text(schema)}"


def type_text(schema: Schema) -> str:
    """The type that a schema stands for."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(repr(choice) for choice in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if "anyOf" in schema:
        return " | ".join(type_text(each) for each in schema["anyOf"])
    kind = str(schema.get("type", ""))
    if kind == "array":
        return _array(schema)
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"dict[str, {type_text(schema['additionalProperties'])}]"
    if kind == "string" and "contentEncoding" in schema:
        return str(schema["contentEncoding"])
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    return _NAMES.get(kind, "anything")


def _array(schema: Schema) -> str:
    if schema.get("prefixItems"):
        return f"tuple[{', '.join(type_text(each) for each in schema['prefixItems'])}]"
    return f"list[{type_text(schema['items'])}]" if schema.get("items") else "list"


def _parameters(whole: Schema) -> Iterator[str]:
    required = set(whole.get("required", ()))
    for name, schema in whole.get("properties", {}).items():
        if is_rest(schema, required=name in required):
            yield _annotated(f"*{name}", schema.get("items", {}))
        else:
            default = repr(schema["default"]) if "default" in schema else "..."
            yield _annotated(name, schema) + ("" if name in required else f" = {default}")
    extra = whole.get("additionalProperties", True)
    if extra is not False:
        yield _annotated("**kwargs", {} if extra is True else extra)


def _annotated(name: str, schema: Schema) -> str:
    text = type_text(schema)
    return name if text == "anything" else f"{name}: {text}"
