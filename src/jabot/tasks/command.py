"""A program as a task: its arguments, some of which the caller fills in."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from jabot.errors import BadArguments, ConfigError
from jabot.tasks.signature import Parameter, Signature, shorten

# `{{` and `}}` for the braces themselves, `{name}`, `{name=default}`, and what is a mistake.
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}=]*)(?:=([^{}]*))?\}|[{}]")


class Placeholder(str):
    """The name of a value that the caller gives."""


_Argument: TypeAlias = tuple[str, ...]  # literal texts and placeholders


class Command:
    """A program and its arguments, as they are written in `node.command`.

    Each argument stays one argument, whatever the values in it hold: no shell reads them, nothing
    is split, and nothing in them is interpreted. A value that would make its argument begin with a
    dash is refused, because the program would read an option, unless `dashes` allows that. The
    program's own name takes no placeholder.

    Calling it gives the arguments as they would be run, the program first, and runs nothing.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        ok: Collection[int] = (0,),
        dashes: bool = False,
        summary: str | None = None,
    ) -> None:
        self.__name__ = self.__qualname__ = Path(program).name
        self.__doc__ = summary or f"Run {self.__name__}."
        if not self.__name__ or "{" in program or "}" in program or "\0" in program:
            raise ConfigError(f"{program!r} is no program: its name is fixed, and not empty")
        self.program = program
        self.cwd = cwd
        self.env = dict(env or {})
        self.ok = frozenset(ok)
        self._dashes = dashes
        self._defaults: dict[str, str] = {}
        names: dict[str, None] = {}
        self._arguments = [self._read(argument, names) for argument in arguments]
        # Those with a default come last, as everywhere in Python.
        names = dict.fromkeys(sorted(names, key=lambda name: name in self._defaults))
        missing = inspect.Parameter.empty
        self.signature = Signature(
            tuple(
                Parameter(
                    name,
                    str,
                    self._defaults.get(name, missing),
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                )
                for name in names
            ),
            result=int,
            context=None,
            check=self._check,
        )

    def __call__(self, *args: str, **kwargs: str) -> list[str]:
        args, kwargs = self.signature.bind(args, kwargs)
        return [self.program, *self._filled(args, kwargs)]

    def environment(self) -> dict[str, str]:
        """What the program's environment is: the node's and `env`, but nothing of jabot's own,
        of which one is the password."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("JABOT_")}
        return own | self.env

    def _read(self, argument: str, names: dict[str, None]) -> _Argument:
        """The parts of one argument; adds its placeholders to `names`."""
        if not isinstance(argument, str) or "\0" in argument:
            raise ConfigError(f"{self.__name__}: {argument!r} cannot be an argument; use a text")
        parts: list[str] = []
        end = 0
        for token in _TOKEN.finditer(argument):
            parts.append(argument[end : token.start()])
            end = token.end()
            name, default = token.groups()
            if token[0] in ("{{", "}}"):
                parts.append(token[0][0])
            elif name is None or not name.isidentifier():
                raise ConfigError(
                    f"{self.__name__}: {token[0]!r} in {argument!r} is neither {{name}} nor "
                    "{name=default}; for a brace write it twice"
                )
            else:
                if default is not None and self._defaults.setdefault(name, default) != default:
                    raise ConfigError(f"{self.__name__}: {name} has two defaults")
                names[name] = None
                parts.append(Placeholder(name))
        parts.append(argument[end:])
        return tuple(part for part in parts if part)

    def _filled(self, args: Sequence[str], kwargs: Mapping[str, str]) -> list[str]:
        given = [parameter.name for parameter in self.signature.parameters]
        values = {**self._defaults, **dict(zip(given, args, strict=False)), **kwargs}
        return [_fill(argument, values.__getitem__) for argument in self._arguments]

    def _check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Refuse values that cannot be handed over, or would be read as options."""
        for value in (*args, *kwargs.values()):
            try:
                fits = b"\0" not in os.fsencode(value)
            except UnicodeEncodeError:
                fits = False
            if not fits:
                raise BadArguments(f"{shorten(value)} cannot be an argument of a program")
        if self._dashes:
            return
        for argument, filled in zip(self._arguments, self._filled(args, kwargs), strict=True):
            first = argument[0] if argument else ""
            if filled.startswith("-") and isinstance(first, Placeholder):
                raise BadArguments(
                    f"{first}: {shorten(filled)} begins with a dash, which {self.__name__} could "
                    "take for an option"
                )


def _fill(argument: _Argument, value: Callable[[str], str]) -> str:
    return "".join(value(part) if isinstance(part, Placeholder) else part for part in argument)
