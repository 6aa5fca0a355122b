"""Options that say which jobs of a queue are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from jabot.cli.asking import Queue
from jabot.cli.job_options import one_label
from jabot.cli.values import BARE, Option, as_one
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, JobSheet

STATES: Final = [state.value for state in JobState]
ENDED: Final = [state.value for state in JobState if state.ended]
UNFINISHED: Final = [state.value for state in JobState if not state.ended]

_PAGE: Final = 1000  # jobs that are asked for at a time
_OPTIONS: Final = (
    click.option("--task", metavar="TASK", help="Those of this task."),
    click.option(
        "--label",
        multiple=True,
        metavar="NAME=VALUE",
        callback=one_label,
        help="Those with this label; given more than once, with all of them.",
    ),
    click.option("--owner", metavar="JID", type=BARE, help="Those of this account."),
    click.option(
        "--mine/--all",
        default=None,
        help="Those of the own account only; or of all that this one may see, as without either.",
    ),
)


@dataclass(frozen=True)
class Chosen:
    """Which jobs are meant: all that is given must fit."""

    state: Sequence[str] = ()
    task: str | None = None
    label: dict[str, str] | None = None
    owner: str | None = None
    mine: bool | None = None

    @property
    def says_something(self) -> bool:
        """Whether any of them was given."""
        return self != Chosen()

    def asked(self, queue: Queue) -> dict[str, Any]:
        """As the queue takes it."""
        owner = queue.own if self.mine else self.owner
        given = {"state": list(self.state), "task": self.task, "label": self.label, "owner": owner}
        return {name: value for name, value in given.items() if value not in (None, [], {})}


def filters(states: Sequence[str]) -> Option:
    """Adds the options for jobs in some states; the command gets them as `chosen`."""
    state = click.option(
        "--state",
        multiple=True,
        type=click.Choice(states),
        help="Those in this state; given more than once, in any of them.",
    )
    return as_one("chosen", Chosen, (state, *_OPTIONS))


async def pages(
    queue: Queue, chosen: Chosen, limit: int | None, before: str | None = None
) -> tuple[list[JobLine], bool]:
    """Up to `limit` jobs, the newest first, and whether there are more."""
    if before is not None:
        before = (await queue.ask("job", JobSheet, id=before)).id
    asked = chosen.asked(queue)
    found: list[JobLine] = []
    while limit is None or len(found) <= limit:
        most = _PAGE if limit is None else min(_PAGE, limit + 1 - len(found))
        page = await queue.ask("jobs", list[JobLine], **asked, before=before, limit=most)
        found += page
        if len(page) < most:
            break
        before = found[-1].id
    return found[:limit], limit is not None and len(found) > limit
