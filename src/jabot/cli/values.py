"""Options on a command line: how their values are read, and how several are taken as one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, TypeAlias

import click

from jabot.account import parse_account_jid, parse_jid
from jabot.errors import ConfigError
from jabot.schedule import parse_duration

Command: TypeAlias = Callable[..., Any]
Option: TypeAlias = Callable[[Command], Command]
"""Adds something to a command."""


class Value(click.ParamType):  # type: ignore[type-arg]  # a generic only in newer ones
    """What `read` makes of a text. Its `ConfigError` says what is wrong with the command line."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def _duration(text: str) -> float:
    """`30` and `2.5` are seconds."""
    return parse_duration(f"{text}s" if text.replace(".", "", 1).isdecimal() else text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r}: write 2026-12-24T18:00, with +01:00 behind it for another time zone than "
            "this machine's"
        ) from None
    return moment if moment.tzinfo is not None else moment.astimezone()


ADDRESS: Final = Value("address", lambda text: str(parse_jid(text)))
BARE: Final = Value("address", lambda text: parse_jid(text).bare)
ACCOUNT: Final = Value("account", lambda text: parse_account_jid(text).bare)
DURATION: Final = Value("duration", _duration)
MOMENT: Final = Value("moment", _moment)


def as_one(name: str, kind: type[Any], options: Sequence[Option]) -> Option:
    """Adds options to a command, which gets their values under one name: as an object of a kind, a
    dataclass with a field for each."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def told(**values: Any) -> Any:
            one = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            return command(**{name: one}, **values)

        full: Command = told
        for option in reversed(options):
            full = option(full)
        return full

    return decorate
