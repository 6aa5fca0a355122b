"""What others wrote, made fit for a terminal; and whether there is one."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, Literal

import click
import msgspec

from jabot.cli.values import Option

if TYPE_CHECKING:  # a worker shows no tables: rich is imported where one is made
    from rich.console import Console
    from rich.table import Table

_PIPE_WIDTH: Final = 100_000  # nothing is folded where a program reads

# XML lets these through, and a terminal could take them for commands.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NOT_ESCAPED = re.compile("[\x7f-\x9f]")  # of these, JSON escapes the rest


def clean(text: str) -> str:
    """The text with a sign in the place of each control character, but line breaks and tabs."""
    return _CONTROLS.sub("\ufffd", text)


def one_line(text: str) -> str:
    """The text, cleaned, with spaces where lines break."""
    return clean(" ".join(text.split()))


def counted(number: int, name: str) -> str:
    """`1 job`, `1,200 jobs`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def as_json(value: Any, *, indent: bool = False) -> str:
    """A value as JSON that harms no terminal: on one line, or on many."""
    data = msgspec.json.encode(value)
    text = (msgspec.json.format(data) if indent else data).decode()
    return _NOT_ESCAPED.sub(lambda control: f"\\u{ord(control[0]):04x}", text)


def json_option(text: str) -> Option:
    """`--json`; `text` says what is printed then."""
    return click.option("--json", "json", is_flag=True, help=text)


def print_json(value: Any) -> None:
    """One JSON value: on one line for a program, on many for a person."""
    click.echo(as_json(value, indent=sys.stdout.isatty()))


def plain_table(*names: str, numbers: Collection[str] = (), folded: bool = False) -> Table:
    """A table without lines. Columns of numbers stand to the right; what is too long is cut off,
    or with `folded` goes on in the next line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        side: Literal["left", "right"] = "right" if name in numbers else "left"
        whole = not folded or name == names[0]
        overflow: Literal["fold", "ellipsis"] = "fold" if folded else "ellipsis"
        table.add_column(name, justify=side, no_wrap=whole, overflow=overflow)
    return table


def output() -> Console:
    """Standard output: colours on a terminal only, and as wide as need be elsewhere."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width)


def is_verbose() -> bool:
    """Whether `jabot -v` was asked to tell everything."""
    return logging.getLogger().level <= logging.DEBUG


def hush() -> None:
    """Log warnings only, unless everything was asked for: the command itself says what matters."""
    if not is_verbose():
        logging.getLogger("jabot").setLevel(logging.WARNING)
