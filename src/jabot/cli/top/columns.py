"""Rows as texts of a given width: columns, load bars, numbers that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from rich.text import Text

from jabot.cli.screen import one_line
from jabot.cli.top.rows import Row
from jabot.durations import brief
from jabot.node_jobs import NodeJob

R = TypeVar("R")

DIM: Final = "bright_black"  # of what matters less
_GAP: Final = "  "
_BAR: Final = 10  # cells
_WIDE_BAR: Final = 20
_NARROW: Final = 100  # columns of a terminal below which bars are short
_NAME: Final = 12  # cells that a name has at least
_BUSY: Final = 0.7


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column. A `width` of 0 takes what the others leave."""

    title: str
    width: int
    cell: Callable[[R], Text]
    right: bool = False


class Columns(Generic[R]):
    """Lays rows out in columns; the last ones are left out where the width does not do."""

    def __init__(self, columns: Sequence[Column[R]], width: int) -> None:
        least = {column.title: column.width or _NAME for column in columns}
        kept = list(columns)
        while len(kept) > 1 and sum(least[c.title] + len(_GAP) for c in kept) > width:
            kept.pop()
        fixed = sum(column.width + len(_GAP) for column in kept if column.width)
        open_ones = [column for column in kept if not column.width]
        share = max(_NAME, (width - fixed) // max(1, len(open_ones)) - len(_GAP))
        self._columns = [(column, column.width or share) for column in kept]

    @property
    def heading(self) -> Text:
        cells = [_fitted(Text(column.title), width, column) for column, width in self._columns]
        return _joined(cells, style="bold")

    def line(self, row: R, style: str = "") -> Text:
        cells = [_fitted(column.cell(row), width, column) for column, width in self._columns]
        return _joined(cells, style=style)


def node_columns(width: int) -> Columns[Row]:
    """The columns for nodes, of which those to the right may be missing on a narrow screen."""
    cells = _BAR if width < _NARROW else _WIDE_BAR
    return Columns(
        [
            Column("NODE", 0, _name),
            Column("LOAD", cells + 9, lambda row: _load(row, cells)),
            Column("WAIT", 5, lambda row: Text(_count(row.waiting)), right=True),
            Column("JOBS/S", 6, lambda row: Text(_rate(row.rate)), right=True),
            Column("CPU", 4, lambda row: Text(_share(row.cpu)), right=True),
            Column("MEM", 5, lambda row: Text(size(row.memory)), right=True),
            Column("UP", 6, lambda row: Text(_time(row.uptime)), right=True),
        ],
        width,
    )


def job_columns(width: int, now: float) -> Columns[NodeJob]:
    """The columns for the jobs of a node."""
    return Columns(
        [
            Column("JOB", 8, lambda job: Text(one_line(job.id[-8:]))),
            Column("TASK", 0, lambda job: Text(one_line(job.task))),
            Column("FOR", 0, lambda job: Text(one_line(job.caller))),
            Column("STATE", 9, _state),
            Column("SINCE", 6, lambda job: Text(_since(job.since, now)), right=True),
            Column("PROGRESS", 0, lambda job: Text(one_line(job.progress))),
        ],
        width,
    )


def size(octets: int | None) -> str:
    """Bytes in at most five characters: `412K`, `45M`, `1.2G`."""
    if octets is None:
        return "-"
    value = octets / 1024
    for unit in "KMGT":
        if value < 9.95 and unit in "GT":
            return f"{value:.1f}{unit}"
        if value < 1023.5:
            return f"{value:.0f}{unit}"
        value /= 1024
    return f"{value:.0f}P"


def _name(row: Row) -> Text:
    name = Text(one_line(row.name))
    if row.queue:
        name.append(" queue", style="dim")
    if row.note:
        name.append(f" {row.note}", style="yellow")
    return name


def _load(row: Row, cells: int) -> Text:
    """`━━━━━─────  4 of 8`; yellow when it is busy, red when one more would have to wait."""
    full = min(cells, round(row.load * cells))
    if row.running and not full:
        full = 1  # something runs, and is to be seen
    style = "red" if row.load >= 1 else "yellow" if row.load >= _BUSY else "green"
    text = Text("━" * full, style=style)
    text.append("─" * (cells - full), style=DIM)
    return text.append(f" {row.running} of {row.slots}", style="" if row.fresh else DIM)


def _state(job: NodeJob) -> Text:
    if job.stopping:
        return Text("stopping", style="yellow")
    return Text(one_line(job.state), style="green" if job.state == "running" else "")


def _count(number: int) -> str:
    return f"{number:,}" if number < 10_000 else f"{number // 1000}k"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.1f}" if rate < 99.95 else f"{rate:,.0f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else brief(seconds)


def _since(moment: float | None, now: float) -> str:
    return "-" if moment is None else brief(now - moment)


def _fitted(text: Text, width: int, column: Column[R]) -> Text:
    """The text in so many cells; of an address that is too long, the middle is left out."""
    room = width - text.cell_len
    if room < 0:
        return _cut(text, width)
    return Text(" " * room) + text if column.right else text + Text(" " * room)


def _cut(text: Text, width: int) -> Text:
    head = (width - 1) // 3
    tail = width - 1 - head
    begin, end = text.copy(), text.copy()
    begin.truncate(head)
    while end.cell_len > tail:
        end = end[1:]
    cut = begin + Text("…") + end
    return cut + Text(" " * (width - cut.cell_len))


def _joined(cells: Sequence[Text], style: str) -> Text:
    line = Text(_GAP).join(cells)
    line.no_wrap = True
    if style:
        line.stylize(style)
    return line


def fitted_line(left: Text, right: Text, width: int) -> Text:
    """Two texts at both ends of a line; the left one is cut when both do not fit."""
    room = max(0, width - right.cell_len - 1)
    if left.cell_len > room:
        left = left.copy()
        left.truncate(room, overflow="ellipsis")
    line = left + Text(" " * (width - left.cell_len - right.cell_len)) + right
    line.no_wrap = True
    return line
