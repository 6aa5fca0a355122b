"""What comes over the screen: the help, a question, and all events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from jabot.cli.top.columns import DIM
from jabot.cli.top.picker import Picker

_HELP: Final = """\
up, down     choose a node or a job; also page up and down, home, end
Enter        the jobs of the chosen node
c            there: stop the chosen job, after a question
/            only nodes with these words in their address, a label
             (gpu=a100) or the name of a task
s, S         sort by the next column; the other way round
e            all that has happened since the start
Esc          back; all nodes again
q, Ctrl-C    leave; the nodes do not notice

LOAD         slots that are taken: green, yellow when it is busy, red
             when one more job has to wait; of a queue, its workers'
WAIT         jobs that wait for a slot; of a queue, those that are due
JOBS/S       jobs that ended in a second; of a queue, in a minute / 60
CPU, MEM     of its process; 100% is one core
"""


class Help(ModalScreen[None]):
    """Keys and columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark,space", "dismiss", show=False)
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="box wide"):
            yield Static(Text().append("jabot top\n", style="bold").append(_HELP))
            yield Static(Text("Esc back", style=DIM))


class Question(ModalScreen[bool]):
    """Asks before something is done that cannot be undone. Only `y` is a yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", show=False),
        Binding("n,escape,q", "dismiss(False)", show=False),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(Text(self._question))
            yield Static(keys_line([("y", "yes"), ("n", "no")]), classes="below")


class Events(ModalScreen[None]):
    """All that has happened, the newest below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,e,q", "dismiss", show=False)]

    def __init__(self, lines: Sequence[Text]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        yield Picker(id="all-events")
        yield Static(keys_line([("up, down", "scroll"), ("Esc", "back")]), id="keys")

    def on_mount(self) -> None:
        picker = self.query_one(Picker)
        keys = [str(number) for number in range(len(self._lines))]
        nothing = [Text("nothing has happened yet")]
        picker.show(Text("EVENTS", style="bold"), keys, self._lines.__getitem__, nothing)
        picker.focus()
        picker.call_after_refresh(picker.action_move, len(keys))


def keys_line(keys: Sequence[tuple[str, str]]) -> Text:
    """Which key does what, in a line."""
    line = Text(no_wrap=True)
    for key, does in keys:
        line.append(key, style="bold").append(f" {does}   ", style=DIM)
    return line
