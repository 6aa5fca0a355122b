"""A function's parameters as types that JSON-shaped values are checked against."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from jabot.errors import BadArguments, ConfigError
from jabot.tasks.context import Context

# For a refusal that a person reads who never saw the code.
_PLAIN_WORDS = {int: "a whole number", float: "a number", bool: "yes or no", str: "a text"}
_PLAIN = frozenset({int, float, bool, str, type(None)})  # nothing to check or to convert
_MISSING = inspect.Parameter.empty
_ParameterKind = inspect._ParameterKind
Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional ones, and those by name."""
Bind: TypeAlias = Callable[["Signature"], Arguments]
"""Makes arguments that fit. Raises `BadArguments`."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a task."""

    name: str
    type: Any  # what msgspec converts to; Any when there is no annotation
    default: Any  # `inspect.Parameter.empty` when the parameter is required
    kind: _ParameterKind

    @property
    def required(self) -> bool:
        """True when a call must give it."""
        return self.default is _MISSING and not self.variadic

    @property
    def variadic(self) -> bool:
        """True for `*args` and `**kwargs`."""
        return self.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

    @property
    def type_name(self) -> str:
        """The type as a person reads it: `int`, `list[str]`, `'fast' | 'slow'`."""
        return type_name(self.type)

    def convert(self, value: Any, *, strict: bool = True) -> Any:
        """Check and convert one JSON-shaped value; `strict=False` also takes scalars as text.

        Raises `BadArguments`, naming the parameter.
        """
        try:
            converted = msgspec.convert(value, self.type, strict=strict, str_keys=True)
        except msgspec.ValidationError as error:
            raise BadArguments(f"{self.name}: {_reason(value, self, error)}") from None
        return converted if type(converted) in _PLAIN else _complete(converted)

    def __str__(self) -> str:
        """As it stands in a usage line: `reps`, `[reps=30]`, `[name...]`, `[key=value...]`."""
        if self.kind is inspect.Parameter.VAR_POSITIONAL:
            return f"[{self.name}...]"
        if self.kind is inspect.Parameter.VAR_KEYWORD:
            return "[name=value...]"
        keyword = self.kind is inspect.Parameter.KEYWORD_ONLY
        if self.required:
            return f"{self.name}={self.name.upper()}" if keyword else self.name
        return f"[{self.name}={shorten(self.default)}]"


@dataclass(frozen=True)
class Signature:
    """What a task takes and gives."""

    parameters: tuple[Parameter, ...]
    result: Any  # the annotated type of the result; Any when there is none
    context: str | None  # the name of the parameter that gets the Context
    context_at: int | None = None  # how many positional parameters stand before it, if it is one
    check: Callable[[tuple[Any, ...], Mapping[str, Any]], None] | None = None
    """A rule about bound arguments together; raises `BadArguments`."""

    @classmethod
    def of(cls, function: Callable[..., Any], *, check_result: bool = True) -> Signature:
        """Read a function's signature; without `check_result` it may give anything.

        Raises `ConfigError` for an annotation that JSON-shaped values cannot be checked against:
        that is a mistake of the programmer, and is said when the task is defined.
        """
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except NameError as error:
            raise ConfigError(f"task {function.__qualname__}: an annotation: {error}") from None
        parameters: list[Parameter] = []
        context: str | None = None
        context_at: int | None = None
        for name, plain in inspect.signature(function).parameters.items():
            hint = hints.get(name, Any)
            if hint is Context:
                context = name
                context_at = len(parameters) if plain.kind in _POSITIONAL else None
                continue
            check_type(f"task {function.__qualname__}: parameter {name}", hint)
            parameters.append(Parameter(name, hint, plain.default, plain.kind))
        result = hints.get("return", Any) if check_result else Any
        check_type(f"task {function.__qualname__}: the result", result)
        return cls(tuple(parameters), result, context, context_at)

    def bind(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        convert: Callable[[Parameter, Any], Any] = Parameter.convert,
    ) -> Arguments:
        """Match values to parameters and convert each; nothing runs when one does not fit.

        Raises `BadArguments`, naming the parameter.
        """
        if not kwargs and self.check is None and len(args) in self._by_position:
            pairs = zip(self.parameters, args, strict=False)
            if convert is Parameter.convert:  # what has its plain type is converted already
                bound = [v if type(v) is p.type else p.convert(v) for p, v in pairs]
                return tuple(bound), {}
            return tuple([convert(parameter, value) for parameter, value in pairs]), {}
        positional = list(args)
        named = dict(kwargs)
        bound = []
        keywords: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                bound += [convert(parameter, value) for value in positional]
                positional = []
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                for name, value in named.items():
                    keywords[name] = convert(parameter, value)
                named = {}
            else:
                self._bind_one(parameter, positional, named, bound, keywords, convert)
        if positional:
            raise BadArguments(f"too many arguments: {shorten(positional[0])} has no place")
        if named:
            raise BadArguments(f"there is no parameter named {next(iter(named))}")
        if self.check is not None:
            self.check(tuple(bound), keywords)
        return tuple(bound), keywords

    @cached_property
    def _by_position(self) -> range:
        """The numbers of positional arguments that are a whole call: what most calls are."""
        plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
        most = 0
        for parameter in self.parameters:
            if parameter.kind is not plain:
                break
            most += 1
        if any(p.kind is inspect.Parameter.POSITIONAL_ONLY for p in self.parameters):
            return range(0)
        required = [at for at, parameter in enumerate(self.parameters) if parameter.required]
        return range(required[-1] + 1 if required else 0, most + 1)

    def with_context(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], make: Callable[[], Context]
    ) -> Arguments:
        """Bound arguments with the Context in its place, when the task asks for one."""
        if self.context is None:
            return args, dict(kwargs)
        if self.context_at is not None and self.context_at <= len(args):
            return (*args[: self.context_at], make(), *args[self.context_at :]), dict(kwargs)
        return args, {**kwargs, self.context: make()}

    def check_result(self, value: Any) -> Any:
        """The JSON-shaped form of what a task returned.

        Raises `TypeError` when it has none, or is not of the annotated type.
        """
        if type(value) is self.result and self.result in _PLAIN:
            return value
        plain = msgspec.to_builtins(value)
        if self.result is not Any:
            try:
                msgspec.convert(plain, self.result, str_keys=True)
            except msgspec.ValidationError as error:
                declared = type_name(self.result)
                raise TypeError(f"the result is not {declared} as declared: {error}") from None
        return plain

    @staticmethod
    def _bind_one(
        parameter: Parameter,
        positional: list[Any],
        named: dict[str, Any],
        bound: list[Any],
        keywords: dict[str, Any],
        convert: Callable[[Parameter, Any], Any],
    ) -> None:
        """Take one ordinary parameter's value from what is left of the arguments."""
        name = parameter.name
        only_position = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        by_position = parameter.kind is not inspect.Parameter.KEYWORD_ONLY and bool(positional)
        by_name = name in named
        if by_position and by_name:
            raise BadArguments(f"{name}: given twice")
        if by_position:
            bound.append(convert(parameter, positional.pop(0)))
        elif by_name:
            value = convert(parameter, named.pop(name))
            if only_position:
                bound.append(value)
            else:
                keywords[name] = value
        elif parameter.required:
            raise BadArguments(f"{name}: missing")
        elif only_position:
            bound.append(parameter.default)


def _complete(value: Any) -> Any:
    """Write the defaults of dataclasses into their instances.

    msgspec leaves them to the class, and then leaves out what an instance does not hold itself when
    it writes one: an argument that is returned would lose them.
    """
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            member = getattr(value, field.name)
            if field.name not in getattr(value, "__dict__", {field.name: None}):
                object.__setattr__(value, field.name, member)
            _complete(member)
    elif isinstance(value, list | tuple | set | frozenset):
        for member in value:
            _complete(member)
    elif isinstance(value, dict):
        for member in value.values():
            _complete(member)
    return value


def type_name(hint: Any) -> str:
    """How a type is shown to people."""
    if hint is Any:
        return "anything"
    if hint is bytes:
        return "base64"
    if typing.get_origin(hint) is typing.Annotated:
        return type_name(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(repr(choice) for choice in typing.get_args(hint))
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    text = re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", str(hint))
    return text.replace("NoneType", "None")


def check_type(what: str, hint: Any) -> None:
    """Raises `ConfigError`, beginning with `what`, for a type that JSON-shaped values cannot be
    checked against."""
    try:
        msgspec.json.schema(hint)
    except TypeError:
        raise ConfigError(
            f"{what}: {type_name(hint)} is not a type that values "
            "can be checked against; use what JSON knows, dataclasses, Structs, enums, Literal, "
            "datetime, UUID, Decimal, or unions of them"
        ) from None


def _reason(value: Any, parameter: Parameter, error: msgspec.ValidationError) -> str:
    """Why a value was refused, in words for somebody who never saw the code."""
    message = str(error)
    if isinstance(value, str | int | float) and " - at `" not in message:
        if message.startswith("Expected `") and ", got `" in message:
            wanted = _PLAIN_WORDS.get(parameter.type) or _article(parameter.type_name)
            return f"{shorten(value)} is not {wanted}"
        if message.startswith("Invalid enum value"):
            return f"{shorten(value)} is not one of {_choices(parameter.type)}"
    return message[:1].lower() + message[1:]


def _choices(hint: Any) -> str:
    values = typing.get_args(hint) or [getattr(member, "value", member) for member in hint]
    return ", ".join(str(value) for value in values)


def _article(name: str) -> str:
    if not name.isidentifier():
        return f"of the type {name}"
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def shorten(value: Any) -> str:
    """`repr()`, of at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
