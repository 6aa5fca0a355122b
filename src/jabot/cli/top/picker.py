"""A list of lines of which one is chosen, by keys or by mouse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

_WHEEL: Final = 3  # lines


class Picker(Widget, can_focus=True):
    """Shows a heading and as many lines as there is room for. Whatever comes and goes around it,
    the chosen line stays chosen, and the lines stand still unless it would be out of sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("home,g", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
        Binding("enter", "pick", show=False),
    ]

    class Picked(Message):
        """Enter was pressed on a line, or it was clicked when it was chosen already."""

        def __init__(self, picker: Picker, key: str) -> None:
            self.picker = picker
            self.key = key
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._heading = Text()
        self._keys: list[str] = []
        self._line: Callable[[int], Text] = lambda at: Text()
        self._empty: Sequence[Text] = ()
        self._chosen: str | None = None
        self._top = 0

    @property
    def chosen(self) -> str | None:
        """The key of the chosen line; None when there is no line."""
        return self._chosen

    @property
    def in_sight(self) -> list[str]:
        """The keys of the lines that are shown."""
        return self._keys[self._top : self._top + self._room]

    def show(
        self,
        heading: Text,
        keys: Sequence[str],
        line: Callable[[int], Text],
        empty: Sequence[Text] = (),
    ) -> None:
        """Show a line for each key, or `empty` where there is none. `line` makes the one with that
        number, and is asked only for those in sight."""
        at = self._keys.index(self._chosen) if self._chosen in self._keys else 0
        self._heading, self._empty = heading, empty
        self._keys, self._line = list(keys), line
        if self._chosen not in self._keys:
            self._chosen = self._keys[min(at, len(self._keys) - 1)] if self._keys else None
        self._settle()

    def render(self) -> Text:
        width = self.size.width
        shown = [_padded(self._heading, width)]
        if not self._keys:
            return Text("\n").join([*shown, *self._empty])
        first = self._top
        for at in range(first, min(first + self._room, len(self._keys))):
            line = self._line(at)
            if self._keys[at] == self._chosen:
                line = _padded(line, width)
                line.stylize("reverse")
            shown.append(line)
        return Text("\n").join(shown)

    def action_move(self, lines: int) -> None:
        """Choose another line, so many further down."""
        if not self._keys:
            return
        at = self._keys.index(self._chosen) if self._chosen is not None else 0
        self._chosen = self._keys[max(0, min(len(self._keys) - 1, at + lines))]
        self._settle()

    def action_page(self, pages: int) -> None:
        """Choose a line that is a screenful away."""
        self.action_move(pages * max(1, self._room - 1))

    def action_pick(self) -> None:
        """Say that the chosen line is meant."""
        if self._chosen is not None:
            self.post_message(self.Picked(self, self._chosen))

    def on_click(self, event: events.Click) -> None:
        at = self._top + event.y - 1
        if event.y < 1 or at >= len(self._keys):
            return
        if self._keys[at] == self._chosen:
            self.action_pick()
        self._chosen = self._keys[at]
        self._settle()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(_WHEEL)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-_WHEEL)

    def on_resize(self) -> None:
        self._settle()

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    def _settle(self) -> None:
        """Keep the chosen line in sight, and no empty room below the last one."""
        if self._chosen is not None:
            at = self._keys.index(self._chosen)
            self._top = min(max(self._top, at - self._room + 1), at)
        self._top = max(0, min(self._top, len(self._keys) - self._room))
        self.refresh()


def _padded(line: Text, width: int) -> Text:
    line = line.copy()
    line.truncate(width, pad=True)
    return line
