"""One run of a queue: the parts that stand between callers, store and workers, joined."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Any

from jabot.access import Access
from jabot.account import Account
from jabot.calls.options import Call, options
from jabot.chat import texts
from jabot.chat.clerk import Clerk
from jabot.chat.direct import Direct
from jabot.definition import Definition
from jabot.errors import ConfigError
from jabot.jid import JID
from jabot.peers import Peer
from jabot.protocol.options import OWN_TASKS
from jabot.queue.agenda import Agenda
from jabot.queue.answers import WorkerLine
from jabot.queue.arrivals import Arrivals
from jabot.queue.attendance import Attendance
from jabot.queue.calendar import Calendar
from jabot.queue.callers import Callers
from jabot.queue.catalogue import Catalogue
from jabot.queue.clerk import QueueClerk
from jabot.queue.commands import Commands
from jabot.queue.crew import Crew
from jabot.queue.dispatch import Dispatch
from jabot.queue.fate import Fate
from jabot.queue.floor import Floor
from jabot.queue.foreman import Foreman
from jabot.queue.front import Front
from jabot.queue.ledger import Ledger
from jabot.queue.office import Office
from jabot.queue.outcomes import Outcomes
from jabot.queue.own_tasks import OwnTasks
from jabot.queue.people import People
from jabot.queue.ready import Ready
from jabot.queue.receipts import Receipts
from jabot.queue.rights import Rights
from jabot.queue.store import open_store
from jabot.queue.store.store import News, Store
from jabot.queue.store.verbs import Look, Stats, Tasks
from jabot.queue.upkeep import Keeping, Upkeep
from jabot.queue.wire import office_tasks
from jabot.queue.workforce import ANSWER, Workforce
from jabot.serving import Serving
from jabot.tasks import Registry, Task
from jabot.xmpp import IncomingPresence, Timing

_LAST_VERBS = 5.0  # seconds for the store to do what it was asked last


@dataclasses.dataclass(frozen=True, slots=True)
class QueueRules:
    """How a queue treats its jobs and workers. Times in seconds."""

    store: str
    work: Access
    lease: float
    grace: float
    losses: int
    jobs_per_caller: int
    keeping: Keeping


class QueueServing(Serving):
    """One run of a queue: a node, and the parts that stand between callers, store and workers."""

    _is_queue = True
    intake: OwnTasks

    def __init__(
        self,
        definition: Definition,
        rules: QueueRules,
        account: Account,
        timing: Timing | None = None,
    ) -> None:
        self.rules = rules
        self.rights = Rights(lambda: self.session.jid, definition.access, rules.work)
        self.store: Store = open_store(rules.store)
        self.ledger = Ledger(
            self.store, lambda all_goes: self.dispatch.claims(all_goes), self._in_doubt
        )
        self.catalogue = Catalogue(
            self.ledger,
            lambda worker: self.calls.descriptions.of_node(worker),
            self._load_changed,
            wall=(timing or Timing()).wall,
        )
        own = office_tasks(lambda: self.office, lambda: self.foreman, lambda: self.agenda)
        super().__init__(_with_tasks(definition, own), account, timing)
        self.crew = Crew(rules.lease, rules.grace, self._load_changed)
        self.ready = Ready(self.ledger.look, self._look_for_all)
        self.arrivals = Arrivals(
            self.ready,
            self.catalogue.defaults,
            self._due_at,
            rules.jobs_per_caller,
            wall=self.wall,
        )
        self._make_telling()
        self._make_floor()
        self._make_front()
        self._make_upkeep()
        self._make_office()
        self.link.ends[:0] = [self.front, self.floor]
        self._begun = False
        self._news: list[News] = []  # that its store told first

    @property
    def _is_shared(self) -> bool:
        """Whether other processes may use the store."""
        return not self.rules.store.startswith("sqlite:")

    def _make_telling(self) -> None:
        """Who hears of jobs: people, and programs."""
        self.people = People(
            self.ledger,
            self.talks,
            self.catalogue,
            self.rights.own,
            alone=not self._is_shared,
        )
        self.receipts = Receipts(self.ledger, self.wall)
        self.callers = Callers(
            self.link,
            lambda job_id, told: self.ledger.do(Look(job_id), told),
            self.receipts.add,
            lambda news: self.store.tell(news),
            self.people,
        )

    def _make_floor(self) -> None:
        """The parts on the side of the workers."""
        self.outcomes = Outcomes(
            self.link,
            self.store,
            self.crew,
            self.ledger,
            self.ready,
            self.callers,
            fate=Fate(self.catalogue.defaults, self.rules.losses, wall=self.wall),
            due_at=self._due_at,
        )
        self.dispatch = Dispatch(
            self.link,
            self.crew,
            self.ready,
            self.outcomes,
            self.callers,
            rights=self.rights,
            due_at=self._due_at,
            wall=self.wall,
        )
        self.attendance = Attendance(
            self.link,
            self.crew,
            self.ledger,
            self.ready,
            self.outcomes,
            self.catalogue,
            rights=self.rights,
            wall=self.wall,
        )
        self.floor = Floor(self.attendance, self.dispatch, self.outcomes, self.rights)

    def _make_front(self) -> None:
        """The part on the side of the callers."""
        self.front = Front(
            self.link,
            self.ledger,
            self.arrivals,
            self.callers,
            self.outcomes,
            rights=self.rights,
            is_own=self.intake.owns,
            wall=self.wall,
        )

    def _make_upkeep(self) -> None:
        """What is done by itself."""
        self.calendar = Calendar(self.ledger, self.arrivals, rights=self.rights, wall=self.wall)
        self.upkeep = Upkeep(
            self.ledger,
            self.ready,
            self.attendance,
            self.callers,
            self.calendar,
            keeping=self.rules.keeping,
            pulse=1.0 if self._is_shared else None,
            wall=self.wall,
        )

    def _make_office(self) -> None:
        """What is done for those who look after it."""
        self.workforce = Workforce(self.crew, self.rights.own, self._workers_of)
        self.office = Office(
            self.store,
            self.ledger,
            self.arrivals,
            self.outcomes,
            self.workforce,
            rights=self.rights,
            wall=self.wall,
        )
        self.foreman = Foreman(
            self.store,
            self.ledger,
            self.ready,
            self.workforce,
            rights=self.rights,
            known=lambda: self.catalogue.names,
            wall=self.wall,
        )
        self.agenda = Agenda(
            self.store,
            self.ledger,
            self.calendar.reload,
            rights=self.rights,
            wall=self.wall,
        )

    def _due_at(self, moment: float) -> None:
        self.upkeep.due_at(moment)

    async def run(self) -> None:
        """As a node's. Raises `StoreError` when its store cannot be used, or not any more."""
        self._news = await self.store.open()
        self.catalogue.load(await self.store.read(Tasks()))
        self.store.listen(self._heard)
        working = asyncio.create_task(self.ledger.run(), name="jabot ledger")
        working.add_done_callback(lambda _: self.stop())  # a queue without it does nothing
        try:
            await super().run()
            self.receipts.hand_in()
            await self.ledger.drained(_LAST_VERBS)  # who was told in the last moment
        finally:
            self.upkeep.close()
            self.people.close()
            self.calendar.close()
            self.catalogue.close()
            self.outcomes.close()
            working.cancel()
            try:
                with contextlib.suppress(asyncio.CancelledError):
                    await working
            finally:
                await self.store.close()

    # -- where it differs from a node ----------------------------------------------------------

    def online(self) -> None:
        super().online()
        if not self._begun:  # before that, the address was not known
            self._begun = True
            self.upkeep.start()
            self.people.start()
            self.ready.look_for(*(news.what for news in self._news if news.kind == "ready"))

    def _look_for_all(self) -> None:
        """There may be jobs of any kind."""
        words = self.ready.words
        self.ledger.do(Stats(self.wall()), lambda f: self.ready.are_all(f.kinds, words))

    def _in_doubt(self) -> None:
        """The store was away: it may have done what it could not say any more."""
        self.attendance.take_over()
        self._look_for_all()
        self.callers.ask_all()

    def offline(self) -> None:
        super().offline()
        self.workforce.forget_others()

    def presence_received(self, stanza: IncomingPresence) -> None:
        super().presence_received(stanza)
        sender, own = stanza.sender, self.session.jid
        if sender.bare != own.bare or sender == own:
            return
        if stanza.type == "unavailable":
            self.workforce.saw(str(sender), is_here=False)
        elif stanza.node is not None and "queue" in stanza.node:
            self.workforce.saw(str(sender), is_here=True)

    async def _workers_of(self, node: str) -> list[WorkerLine]:
        """Ask another node of this queue."""
        asked = options(node, timeout=ANSWER)
        call = Call(f"{OWN_TASKS}workers", result_type=list[WorkerLine])
        job = await self.calls.submit(call, asked)
        workers: list[WorkerLine] = await job
        return workers

    async def _leave(self, connection: asyncio.Future[None]) -> None:
        self.front.draining = self.dispatch.draining = True
        await self.ledger.drained(_LAST_VERBS)
        await super()._leave(connection)

    def _make_clerk(self) -> Clerk:
        direct = Direct(self.desk, self.talks, self.stop)
        commands = Commands(
            direct,
            self.talks,
            self.catalogue,
            self.ledger,
            self.office,
            self.foreman,
            crew_load=self._crew_load,
            wall=self.wall,
        )
        return QueueClerk(
            direct,
            self.talks,
            self.catalogue,
            self.ledger,
            self.arrivals,
            commands.by_word,
            rights=self.rights,
        )

    def _make_intake(self) -> OwnTasks:
        return OwnTasks(
            self.desk, self.link, self.definition.jobs_per_caller, self.catalogue, self.rights
        )

    def _knows(self, greeter: JID) -> bool:
        return self.rights.knows(greeter)

    def _offer(self, to: JID | None) -> Peer:
        """Its load is that of the workers that are with it."""
        crew = self.crew
        return dataclasses.replace(
            super()._offer(to),
            tasks=None,
            running=crew.running,
            slots=crew.slots,
            queue=True,
            lease=crew.lease,
        )

    def _load(self) -> tuple[str | None, str | None]:
        """It takes jobs whatever its workers do."""
        return "chat", self._crew_load()

    def _crew_load(self) -> str:
        workers = sum(worker.here for worker in self.crew)
        return texts.crew_load(self.crew.running, self.crew.slots, workers)

    def _heard(self, news: News) -> None:
        """Another process on the same store did something."""
        match news.kind:
            case "ready":
                self.ready.look_for(news.what)
            case "cancelling":
                self.outcomes.cancel(news.what, news.detail)
            case "ended" | "progress":
                self.callers.heard(news)
            case "changed":
                if news.what in ("", "schedules"):
                    self.calendar.reload()
                if news.what in ("", "tasks"):
                    self.catalogue.reload()


def _with_tasks(definition: Definition, more: list[Task[..., Any]]) -> Definition:
    """The definition with the queue's own tasks, for those who may ask anything of it."""
    definition.access.offer_to_all(task.name for task in more)
    tasks = Registry()
    for task in definition.tasks:
        if task.name.startswith(OWN_TASKS):
            raise ConfigError(f"task {task.name}: {OWN_TASKS} is how a queue's own begin")
        tasks.add(task)
    for task in more:
        tasks.add(task)
    return dataclasses.replace(definition, tasks=tasks)
