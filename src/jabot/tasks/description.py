"""Tasks as JSON Schema, for those who call them from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from jabot.tasks.described import Description
from jabot.tasks.signature import Parameter, Signature
from jabot.tasks.task import Task

_REFERENCES = "#/$defs/{name}"


def describe(tasks: Iterable[Task[..., Any]]) -> dict[str, Description]:
    """The descriptions, by name."""
    return {
        task.name: Description(
            task.__doc__ or "",
            _arguments(task.signature),
            _schema(task.signature.result),
            scheduled=task.scheduled,
            done=task.done,
        )
        for task in tasks
    }


def version_of(tasks: Iterable[Task[..., Any]]) -> str:
    """A word that changes when any description does."""
    text = msgspec.json.encode(describe(sorted(tasks, key=lambda task: task.name)))
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def _arguments(signature: Signature) -> dict[str, Any]:
    """An object with a property for each parameter, in the order of positional arguments."""
    parameters = signature.parameters
    schemas, definitions = msgspec.json.schema_components(
        [parameter.type for parameter in parameters], ref_template=_REFERENCES
    )
    properties: dict[str, Any] = {}
    extra: Any = False
    for parameter, schema in zip(parameters, schemas, strict=True):
        if parameter.kind is parameter.kind.VAR_KEYWORD:
            extra = schema or True
        elif parameter.variadic:
            properties[parameter.name] = {"type": "array", "items": schema}
        else:
            properties[parameter.name] = {**schema, **_default(parameter)}
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    required = [parameter.name for parameter in parameters if parameter.required]
    if required:
        whole["required"] = required
    whole["additionalProperties"] = extra
    if definitions:
        whole["$defs"] = definitions
    return whole


def _default(parameter: Parameter) -> dict[str, Any]:
    if parameter.required:
        return {}
    try:
        return {"default": msgspec.to_builtins(parameter.default)}
    except (TypeError, ValueError):
        return {}  # a default of a kind that only the function itself knows


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template=_REFERENCES)
    return {**schema, "$defs": definitions} if definitions else schema
