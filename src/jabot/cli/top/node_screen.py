"""One node: how it is, its jobs, and stopping one of them."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from jabot.cli.asking import at
from jabot.cli.screen import as_json, one_line
from jabot.cli.top.columns import DIM, job_columns, size
from jabot.cli.top.dialogs import Question, keys_line
from jabot.cli.top.feed import Feed
from jabot.cli.top.picker import Picker
from jabot.durations import brief
from jabot.errors import JabotError
from jabot.node_jobs import NodeJob
from jabot.peers import as_text

_EVERY: Final = 2.0  # seconds between two looks at the jobs


class NodeScreen(Screen[None]):
    """Shows one node until Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,left,backspace", "dismiss", show=False),
        Binding("c,delete", "cancel", show=False),
    ]

    def __init__(self, feed: Feed, jid: str) -> None:
        super().__init__()
        self._feed = feed
        self._jid = jid
        self._jobs: dict[str, NodeJob] = {}
        self._problem = ""
        self._said = Text()
        self._known = False  # whether its jobs have been told yet
        self._top_lines, self._rows, self._last_line = (
            Static(id="about"),
            Picker(id="jobs"),
            Static(id="said"),
        )

    def compose(self) -> ComposeResult:
        yield from (self._top_lines, self._rows, self._last_line)
        keys = [("c", "stop the job"), ("Esc", "back"), ("?", "help"), ("q", "quit")]
        yield Static(keys_line(keys), id="keys")

    def on_mount(self) -> None:
        self._rows.focus()
        self.set_interval(_EVERY, self._load)
        self.set_interval(1.0, self._show)
        self._load()
        self._show()

    def on_resize(self) -> None:
        self._show()

    @work(exclusive=True, group="jobs")
    async def _load(self) -> None:
        if self._feed.fleet.lost_at is not None:
            return
        self._feed.ask([self._jid])
        try:
            jobs = await self._feed.jobs(self._jid)
        except JabotError as error:
            self._problem = one_line(str(error))
        else:
            self._jobs = {job.id: job for job in jobs}
            self._problem, self._known = "", True
        self._show()

    def _show(self) -> None:
        if not self._rows.is_attached:
            return  # it is being taken down
        self._top_lines.update(self._about())
        columns = job_columns(self.size.width - 2, time.time())
        jobs = list(self._jobs.values())

        def line(at: int) -> Text:
            return columns.line(jobs[at])

        nothing = [Text(self._nothing(), style=DIM)]
        self._rows.show(columns.heading, [job.id for job in jobs], line, nothing)
        self._last_line.update(Text(self._problem, style="red") if self._problem else self._said)

    def _nothing(self) -> str:
        if not self._known:
            return "asking for its jobs ..." if not self._problem else ""
        row = self._feed.fleet.row(self._jid)
        if row is not None and row.running + row.waiting > 0:
            return "none of yours; what others have here is shown to who manages it"
        return "no jobs"

    def _about(self) -> Text:
        fleet = self._feed.fleet
        row, peer, status = fleet.row(self._jid), fleet.peer(self._jid), fleet.status(self._jid)
        text = Text(one_line(self._jid), style="bold", no_wrap=True)
        if row is None or peer is None:
            return text.append("  is gone", style="red")
        text.append(f"  {row.running} of {row.slots} slots taken", style="")
        if fleet.lost_at is not None:
            text.append("  no connection; this is how it was", style="red")
        elif row.note:
            text.append(f"  {row.note}", style="yellow")
        facts = []
        if status is not None:
            facts.append(f"{status.host}, process {status.pid}, jabot {status.version}")
            facts.append(f"up {brief(row.uptime or 0.0)}, {size(status.memory)} of memory")
        if row.cpu is not None:
            facts.append(f"{row.cpu:.0%} of a core")
        text.append("\n" + one_line(", ".join(facts) or "not asked yet"), style=DIM)
        tasks = sorted(peer.tasks or ())
        said = [f"tasks {', '.join(tasks)}"] if tasks else []
        if peer.queue:
            said = ["a queue; a job that runs is shown with its worker"]
        said += [f"labels {as_text(peer.labels)}"] if peer.labels else []
        if status is not None and status.fields:
            fields = [f"{name}={as_json(value)}" for name, value in status.fields.items()]
            said.append(", ".join(fields))
        text.append("\n" + one_line("; ".join(said) or "no tasks for this account"), style=DIM)
        if status is not None and status.last_error is not None:
            error = status.last_error
            text.append(f"\n{at(error.at)} {one_line(error.task)} failed: ", style="red")
            text.append(one_line(error.message))
        return text.append("\n")

    @work(exclusive=True, group="cancel")
    async def action_cancel(self) -> None:
        """Stop the chosen job, after a question."""
        chosen = self._rows.chosen
        job = self._jobs.get(chosen or "")
        if job is None:
            return
        name = one_line(f"{job.task} {job.id[-8:]}")
        question = f"Stop {name} of {one_line(job.caller)}?"
        if not await self.app.push_screen_wait(Question(question)):
            return
        self._said = Text(f"{name}: asking for it to be stopped ...", style=DIM)
        self._show()
        try:
            await self._feed.cancel(self._jid, job.id)
        except JabotError as error:
            self._said = Text(f"{name} could not be stopped: {one_line(str(error))}", style="red")
        else:
            self._said = Text(f"{name} is told to stop", style="green")
        self._load()
        self._show()
