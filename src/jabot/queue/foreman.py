"""Looking after a queue as a whole: which tasks are begun, and how it and its workers stand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import msgspec

from jabot.errors import UnknownTask
from jabot.jid import JID
from jabot.queue.answers import Standing, WorkerLine, task_line
from jabot.queue.ledger import Ledger
from jabot.queue.ready import Ready
from jabot.queue.reasons import scene, why_stuck
from jabot.queue.rights import Rights
from jabot.queue.store.records import Figures, read_kind
from jabot.queue.store.store import News, Store
from jabot.queue.store.verbs import Pause, Stats
from jabot.queue.workforce import Workforce
from jabot.tasks.registry import close_match

log = logging.getLogger(__name__)


class Foreman:
    """Each method takes who asks. Only `stats` is for everybody who may call. `known()` are the
    tasks that workers have offered.

    Raises `NotAllowed`, `UnknownTask`, and `StoreUnavailable` when it cannot be done now.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        ready: Ready,
        workforce: Workforce,
        *,
        rights: Rights,
        known: Callable[[], Iterable[str]],
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._ready = ready
        self._workforce = workforce
        self._rights = rights
        self._known = known
        self._wall = wall

    async def pause(self, who: JID, task: str) -> None:
        """Begin no jobs of a task any more. Those that run go on."""
        self._rights.check_manages(who, f"pause {task}")
        await self._check_known(task)
        await self._ledger.ask(Pause(task, paused=True))
        log.info("%s pauses %s", who.bare, task)

    async def resume(self, who: JID, task: str) -> None:
        """Begin jobs of a task again."""
        self._rights.check_manages(who, f"resume {task}")
        await self._check_known(task)
        await self._ledger.ask(Pause(task, paused=False))
        log.info("%s resumes %s", who.bare, task)
        figures = await self._figures()
        kinds = [kind for kind in figures.kinds if read_kind(kind)[0] == task]
        self._ready.look_for(*kinds)
        for kind in kinds:
            self._store.tell(News("ready", kind))

    def workers(self, who: JID) -> list[WorkerLine]:
        """The workers that are with this node of the queue."""
        self._rights.check_manages(who, "see its workers")
        return self._workforce.here()

    async def stats(self, who: JID) -> Standing:
        """How the queue stands. Those who manage it are told of all; others of the tasks that they
        may have run, without the workers and what they do for whom."""
        scope = self._rights.scope(who)
        now = self._wall()
        figures = await self._figures()
        workers, silent = await self._workforce.everywhere()
        around = scene(now, workers, figures)
        whole = Standing(
            jid=self._rights.own().bare,
            now=now,
            tasks={
                task: task_line(each, why_stuck(task, figures, around))
                for task, each in figures.tasks.items()
                if scope is None or self._rights.may_run(who, task)
            },
            workers=workers,
            lanes=figures.lanes,
            silent=silent,
        )
        if scope is None:
            return whole
        return msgspec.structs.replace(whole, workers=[], lanes={}, silent=[])

    async def _check_known(self, task: str) -> None:
        """Raises `UnknownTask` for a slip of the pen."""
        known = {*self._known(), *(await self._figures()).tasks}
        if task not in known:
            match = close_match(task, known)
            raise UnknownTask(
                f"no worker has offered {task}, and there are no jobs of it"
                + (f"; did you mean {match}?" if match else "")
            )

    async def _figures(self) -> Figures:
        figures: Figures = await self._store.read(Stats(self._wall()))
        return figures
