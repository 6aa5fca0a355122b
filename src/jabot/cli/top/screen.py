"""The screen of the fleet, and the program around it."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from jabot.cli.screen import counted, one_line
from jabot.cli.top.columns import DIM, fitted_line, node_columns
from jabot.cli.top.dialogs import Events, Help, keys_line
from jabot.cli.top.feed import Feed
from jabot.cli.top.fleet import Event
from jabot.cli.top.node_screen import NodeScreen
from jabot.cli.top.picker import Picker
from jabot.cli.top.rows import Sort
from jabot.durations import brief

_PACE: Final = 0.2  # seconds between two pictures, at least
_TICK: Final = 1.0  # seconds after which the picture is made anew in any case
_ASK: Final = 2.0  # seconds between two questions to a node in view
_TALL: Final = 36  # lines of a terminal from which on more events are shown
_STYLES: Final = {"good": "green", "bad": "red", "plain": ""}

_CSS: Final = """
Screen { padding: 0 1; }
#head { height: 2; margin-bottom: 1; }
#nodes, #jobs, #all-events { height: 1fr; }
#events { height: 6; margin-top: 1; }
#head, #events, #keys, #about { text-wrap: nowrap; text-overflow: ellipsis; }
.tall #events { height: 12; }
#keys, #filter { height: 1; }
#filter { border: none; padding: 0; display: none; }
.filtering #filter { display: block; }
.filtering #keys { display: none; }
#about { height: auto; max-height: 6; margin-bottom: 1; }
#said { height: auto; max-height: 2; }
Help, Question { align: center middle; padding: 0; background: ansi_default 0%; }
.box { width: 60; height: auto; max-height: 100%; border: round ansi_blue; padding: 0 2;
       background: ansi_default; }
.wide { width: 78; }
.below { margin-top: 1; }
"""


class Top(App[None]):
    """The fleet. `return_code` says how it ended: 0, 143 after SIGTERM, 129 after SIGHUP."""

    CSS = _CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("slash", "filter", show=False),
        Binding("s", "sort", show=False),
        Binding("S", "reverse", show=False),
        Binding("e", "events", show=False),
        Binding("question_mark", "help", show=False),
        Binding("escape", "all", show=False),
    ]

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.theme = "ansi-dark"  # the terminal's own colours, whichever they are
        self._feed = feed
        self._words = ""
        self._sort = Sort.NODE
        self._reverse = False
        self._is_due = False
        # Kept, because timers still fire when the screen is being taken down.
        self._top_lines, self._rows = Static(id="head"), Picker(id="nodes")
        self._event_lines, self._key_line = Static(id="events"), Static(id="keys")
        hint = "part of an address, a label or a task"
        self._filter_line = Input(placeholder=hint, id="filter", select_on_focus=False)

    def compose(self) -> ComposeResult:
        yield from (
            self._top_lines,
            self._rows,
            self._event_lines,
            self._key_line,
            self._filter_line,
        )

    def on_mount(self) -> None:
        self._feed.on_change = self._show_soon
        self._rows.focus()
        self.set_interval(_TICK, self._tick)
        self.set_interval(_ASK, self._ask)
        self._show()
        self.call_after_refresh(self._ask)
        loop = asyncio.get_running_loop()
        for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)):
            with suppress(RuntimeError, ValueError):  # not in a thread
                loop.add_signal_handler(number, self.exit, None, code)

    def on_resize(self) -> None:
        self.set_class(self.size.height >= _TALL, "tall")
        self._show_soon()

    # -- pictures ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._feed.look()
        self._show()

    def _show_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            # Textual's timers belong to who starts them
            self.call_later(self.set_timer, _PACE, self._look)

    def _look(self) -> None:
        self._is_due = False
        self._tick()

    def _show(self) -> None:
        """Draw what is known now."""
        if not self._rows.is_attached:
            return
        width = self.size.width - 2
        columns = node_columns(width)
        rows = self._feed.fleet.rows(self._words, self._sort, reverse=self._reverse)

        def line(at: int) -> Text:
            return columns.line(rows[at], "" if rows[at].fresh else DIM)

        self._top_lines.update(self._summary(width))
        self._rows.show(columns.heading, [row.jid for row in rows], line, self._nothing())
        self._event_lines.update(self._events(max(1, self._event_lines.size.height - 1)))
        self._key_line.update(self._what_keys_do())

    def _summary(self, width: int) -> Text:
        fleet, totals = self._feed.fleet, self._feed.fleet.totals()
        name = Text("jabot top", style="bold")
        name.append(f"  {one_line(' '.join(self._feed.addresses))}", style=DIM)
        clock = Text(time.strftime("%H:%M:%S"), style=DIM)
        first = fitted_line(name, clock, width)
        if fleet.ended is not None:
            why = Text(f"The connection has ended: {one_line(fleet.ended)}", style="red")
            was = Text("This is how it was.", style="red")
            return first + Text("\n") + fitted_line(why, was, width)
        if fleet.lost_at is not None:
            away = brief(time.time() - fleet.lost_at)
            text = f"No connection for {away}; trying again. This is how it was."
            return first + Text("\n") + Text(text, style="red")
        parts = [
            counted(totals.nodes, "node"),
            f"{totals.running:,} of {totals.slots:,} slots taken",
            f"{totals.waiting:,} waiting",
        ]
        if totals.rate is not None:
            parts.append(f"{totals.rate:.1f} jobs/s{'' if totals.whole else ' in view'}")
        second = Text(", ".join(parts) if totals.nodes else "")
        missing = self._feed.notes if totals.nodes else []
        right = Text(f"{len(missing)} addresses are empty" if len(missing) > 1 else "")
        if len(missing) == 1:
            right = Text(one_line(missing[0]))
        right.stylize("yellow")
        if right and second.cell_len + right.cell_len + 2 > width:
            right.truncate(max(0, width - second.cell_len - 2), overflow="ellipsis")
        return first + Text("\n") + fitted_line(second, right, width)

    def _nothing(self) -> list[Text]:
        """Why there is no node to be seen."""
        if self._words and self._feed.fleet.totals().nodes:
            return [Text(f"no node fits {self._words}; Esc shows all", style=DIM)]
        if (ended := self._feed.fleet.ended) is not None:
            return [Text(f"the connection has ended: {one_line(ended)}", style="red")]
        notes = [Text(one_line(note), style="yellow", no_wrap=False) for note in self._feed.notes]
        return notes or [Text("looking for nodes ...", style=DIM)]

    def _events(self, room: int) -> Text:
        shown = list(self._feed.fleet.events)[-room:]
        lines = [_event_line(event) for event in shown] or [Text("nothing yet", style=DIM)]
        text = Text("\n").join([Text("EVENTS", style="bold"), *lines])
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _what_keys_do(self) -> Text:
        order = self._sort.value + (" reversed" if self._reverse else "")
        shown = f"filter: {self._words}" if self._words else "filter"
        keys = [("/", shown), ("s", f"sort: {order}"), ("Enter", "jobs"), ("e", "events")]
        return keys_line([*keys, ("?", "help"), ("q", "quit")])

    # -- keys -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Ask for words."""
        self.screen_stack[0].add_class("filtering")
        self._filter_line.value = self._words
        self._filter_line.cursor_position = len(self._words)
        self._filter_line.focus()

    def action_all(self) -> None:
        """Show all nodes again."""
        self._words = ""
        self._done_filtering()

    def action_sort(self) -> None:
        """Sort by the next column."""
        every = list(Sort)
        self._sort = every[(every.index(self._sort) + 1) % len(every)]
        self._show()

    def action_reverse(self) -> None:
        self._reverse = not self._reverse
        self._show()

    def action_events(self) -> None:
        self.push_screen(Events([_event_line(event) for event in self._feed.fleet.events]))

    def action_help(self) -> None:
        self.push_screen(Help())

    def on_input_changed(self, event: Input.Changed) -> None:
        self._words = event.value
        self._show()

    def on_input_submitted(self) -> None:
        self._done_filtering()

    def on_picker_picked(self, event: Picker.Picked) -> None:
        if event.picker is self._rows:
            self.push_screen(NodeScreen(self._feed, event.key))

    def _done_filtering(self) -> None:
        self.screen_stack[0].remove_class("filtering")
        self._rows.focus()
        self._show()

    # -- within -----------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._feed.ask(self._rows.in_sight)


def _event_line(event: Event) -> Text:
    line = Text(time.strftime("%H:%M:%S  ", time.localtime(event.at)), style=DIM)
    line.append(one_line(event.text), style=_STYLES[event.kind])
    line.no_wrap = True
    return line
