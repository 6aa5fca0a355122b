"""Where the screen's news comes from: presences as they come, and answers of nodes in view."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Self

from jabot.calls.faces import submit_for
from jabot.calls.watch import Watch
from jabot.cli.asking import Queue
from jabot.cli.top.fleet import Fleet
from jabot.cli.top.rows import account_of
from jabot.client import Client
from jabot.errors import JabotError, JobTimeout, NobodyThere, WorkerLost
from jabot.node_jobs import NodeJob
from jabot.protocol.states import JobState
from jabot.queue.answers import JobLine, Standing
from jabot.status import NodeStatus
from jabot.xmpp import IncomingPresence

_PATIENCE: Final = 10.0  # seconds for an answer; who takes longer is asked again
_MOST_JOBS: Final = 200  # of a node or a queue that are listed
_RUNNING: Final = [JobState.RUNNING.value]
_WAITING: Final = [
    state.value for state in JobState if not state.ended and state is not JobState.RUNNING
]


class Feed:
    """Tells a fleet what happens at the addresses, within a `with`; `on_change` is called when
    there is something to show. Nodes are asked only when `ask` names them."""

    def __init__(self, app: Client, addresses: Sequence[str], fleet: Fleet) -> None:
        self.fleet = fleet
        self.addresses = tuple(addresses)
        self.on_change: Callable[[], object] = lambda: None
        self._app = app
        self._watch = Watch(app, addresses, self._heard)
        self._asking: dict[str, asyncio.Task[None]] = {}

    def __enter__(self) -> Self:
        self._watch.__enter__()
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()
        for asking in self._asking.values():
            asking.cancel()

    @property
    def notes(self) -> list[str]:
        """Why there is nothing to see."""
        return [str(why) for why in self._watch.missing().values()]

    def look(self) -> None:
        """Bring the fleet up to date."""
        if not self._watch.is_online:
            why = self._watch.closed
            self.fleet.lost(None if why is None else str(why))
            return
        self.fleet.back()
        self.fleet.seen(self._watch.peers())

    def ask(self, jids: Iterable[str]) -> None:
        """Ask nodes how they are, and queues how their jobs stand; not who has not answered yet."""
        if not self._watch.is_online:
            return
        queues = set()
        for jid in jids:
            peer = self.fleet.peer(jid)
            if peer is None:
                continue
            self._begin(jid, self._status_of)
            if peer.queue:
                queues.add(account_of(jid))
        for account in queues:
            self._begin(account, self._standing_of)

    async def jobs(self, jid: str) -> list[NodeJob]:
        """The unfinished jobs of a node, or the newest of a queue, that this account may see: those
        that run first, and the oldest of them before the others."""
        peer = self.fleet.peer(jid)
        if peer is None:
            raise NobodyThere(f"{jid} is gone")
        if not peer.queue:
            found = await self._told(jid, "node.jobs", list[NodeJob], limit=_MOST_JOBS)
            return sorted(found, key=lambda job: job.state != "running")
        queue = self._queue(account_of(jid))
        running, waiting = await asyncio.gather(
            queue.ask("jobs", list[JobLine], state=_RUNNING, limit=_MOST_JOBS, patience=_PATIENCE),
            queue.ask("jobs", list[JobLine], state=_WAITING, limit=_MOST_JOBS, patience=_PATIENCE),
        )
        return [_job(line) for line in (*reversed(running), *reversed(waiting))]

    async def cancel(self, jid: str, job_id: str) -> None:
        """Stop a job of a node or of a queue."""
        peer = self.fleet.peer(jid)
        if peer is not None and peer.queue:
            queue = self._queue(account_of(jid))
            await queue.ask("cancel", JobLine, id=job_id, patience=_PATIENCE)
        else:
            await self._told(jid, "node.cancel", NodeJob, id=job_id)

    def _heard(self, stanza: IncomingPresence | None) -> None:
        if stanza is None:
            self.look()  # a connection may come and go between two looks of the screen
        elif stanza.type == "unavailable" and stanza.status:
            self.fleet.said_farewell(str(stanza.sender), stanza.status)
        self.on_change()

    def _begin(self, address: str, ask: Callable[[str], Any]) -> None:
        if address in self._asking:
            return

        async def asking() -> None:
            try:
                await ask(address)
            finally:
                del self._asking[address]
                self.on_change()

        self._asking[address] = asyncio.create_task(asking(), name="jabot top")

    async def _status_of(self, jid: str) -> None:
        self.fleet.asked(jid)
        try:
            status = await self._told(jid, "node.status", NodeStatus)
        except (JobTimeout, NobodyThere, WorkerLost):
            return  # it is silent, or gone: the fleet says which
        except JabotError:
            status = None  # of an older jabot, or it has changed its mind about us
        self.fleet.answered(jid, status)

    async def _standing_of(self, account: str) -> None:
        try:
            standing: Standing = await self._queue(account).ask(
                "stats", Standing, patience=_PATIENCE
            )
        except JabotError:
            return  # its numbers grow old, and are not shown any more
        self.fleet.stood(account, standing)

    def _queue(self, account: str) -> Queue:
        return Queue(self._app, account, self._app.jid.bare)

    async def _told(self, jid: str, task: str, kind: Any, **arguments: Any) -> Any:
        return await (await submit_for(self._app, task, kind, arguments, to=jid, timeout=_PATIENCE))


def _job(line: JobLine) -> NodeJob:
    """A job of a queue, like one of a node; what it says of itself is where it runs."""
    return NodeJob(
        id=line.id,
        task=line.task,
        caller=line.owner,
        state=line.state,
        attempt=line.attempt,
        since=line.started if line.state == "running" else None,
        stopping=False,
        progress=line.worker or line.error,
    )
