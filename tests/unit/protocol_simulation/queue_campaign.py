"""Stories of a queue whose nodes come and go, and of callers who never hear of that."""

import random
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from jabot.errors import Draining, JobCancelled, JobTimeout, NobodyThere, TaskFailed, UnknownJob
from jabot.protocol import limits
from jabot.protocol.caller_jobs import Request
from jabot.protocol.events import JobAccepted, JobEnded, JobStepped
from jabot.protocol.frames import Cancelled, Failed, Progress, Rejected, State, Succeeded

from .campaign import LONG, Runner
from .network import Network, Weather
from .node import SimulatedNode
from .queue import QueueNode, Store

PATIENCE = 5.0  # seconds that a job which nobody ever took is offered


@dataclass(frozen=True)
class QueueStory:
    """What may happen."""

    weather: Weather
    nodes: int = 2
    cuts: int = 0
    cut_for: tuple = (0.05, 0.4)
    crashes: int = 0  # nodes of the queue that are killed, and replaced by others after a while
    away_for: tuple = (0.0, 1.0)
    drains: int = 0
    sick: float = 0.0  # seconds for which the store cannot commit
    losses: int = 0  # jobs that a disk has and loses
    attacks: int = 0


class SimulatedCaller(SimulatedNode):
    """A program with jobs for the queue."""

    def place(self, job_id, peer):
        if peer is None:
            self.handle(self.caller.give_up(job_id, NobodyThere("nobody takes it")))
        else:
            self.caller.place(job_id, peer, self.network.now, durable=True)
        self.flush()

    def _answered(self, peer, batch, what, why):
        if what != "later" or (peer, batch) not in self.pending:
            super()._answered(peer, batch, what, why)
            return
        frames = self.windows.put_off(peer, batch)  # it stays pending, and goes again as a late one
        self.handle(self.caller.put_off(peer, frames, self.network.now))
        self.flush()


class Handle:
    """What became of one job for one who asked for it."""

    def __init__(self, node, request, attached=False):
        self.node, self.request, self.attached = node, request, attached
        self.cancelled = self.accepted = False
        self.steps, self.outcomes = [], []
        self.wanted = None  # the newest `JobNeedsWorker` that nobody was found for


class QueueBook:
    """Finds nodes of the queue for jobs, and notes what the callers are told."""

    def __init__(self, network, random):
        self.network, self.random = network, random
        self.handles = {}  # (node, id) -> Handle

    def nodes(self, node, avoid=()):
        here = sorted(peer for peer in node.there if peer.startswith("jobs@"))
        return [peer for peer in here if peer not in avoid]

    def told(self, node, event):
        handle = self.handles[node, event.id]
        assert not handle.outcomes, f"{event} after {handle.outcomes[0]}"
        if isinstance(event, JobEnded):
            handle.outcomes.append(event)
        elif isinstance(event, JobStepped):
            handle.steps.append(event.done)
        elif isinstance(event, JobAccepted):
            handle.accepted = True

    def needs_worker(self, node, event):
        self.handles[node, event.id].wanted = event
        others = self.nodes(node, event.avoid)
        if others:
            self._place_soon(node, event, others)
        self.network.after(1.0, self._try_again, node, event)
        if not event.kept:
            since = self.network.now if event.since is None else event.since
            over = max(since + PATIENCE, self.network.now + 1.5)  # once more, all the same
            self.network.at(over, self._give_up, node, event)

    def somebody_came(self, node):
        for (owner, _), handle in list(self.handles.items()):
            if owner is node and handle.wanted is not None:
                self._place_soon(node, handle.wanted, self.nodes(node, handle.wanted.avoid))

    def killed(self, node):
        raise AssertionError("callers live")

    def _try_again(self, node, event):
        if self._still(node, event):
            self._place_soon(node, event, self.nodes(node))
            self.network.after(1.0, self._try_again, node, event)

    def _place_soon(self, node, event, candidates):
        if candidates:
            self.network.after(0, self._place, node, event, self.random.choice(candidates))

    def _place(self, node, event, peer):
        if self._still(node, event):
            self.handles[node, event.id].wanted = None
            node.place(event.id, peer)

    def _give_up(self, node, event):
        if self._still(node, event):
            self.handles[node, event.id].wanted = None
            node.place(event.id, None)

    def _still(self, node, event):
        handle = self.handles[node, event.id]
        return handle.wanted is event and not handle.outcomes


class QueueCampaign:
    """Plays a story from a seed, and checks it."""

    def __init__(self, seed, story):
        self.random = random.Random(seed)
        self.story = story
        self.network = Network(self.random, story.weather, in_order=True)
        self.store = Store(self.network, self.random)
        self.book = QueueBook(self.network, self.random)
        nobody = Runner(self.network, self.random)
        self.callers = [
            SimulatedCaller(self.network, f"app{n // 2}@here", f"c{n}", self.book, nobody)
            for n in range(self.random.randint(1, 3))
        ]
        self.queue = [QueueNode(self.network, self.store, f"q{n}") for n in range(story.nodes)]
        self.attacker = SimulatedNode(self.network, "mallory@here", "m", self.book, nobody)

    def play(self):
        """Let it all happen, and then some quiet time."""
        draw, after, story = self.random, self.network.after, self.story
        for node in (*self.queue, *self.callers, self.attacker):
            node.connect()
        for number in range(draw.randint(2, 8)):
            after(draw.uniform(0.3, LONG / 2), self._submit, draw.choice(self.callers), number)
        for _ in range(story.cuts):
            node = draw.choice((*self.queue, *self.callers))
            at = draw.uniform(0.2, LONG)
            after(at, node.lose_connection)
            after(at + draw.uniform(*story.cut_for), node.connect)
        for _ in range(story.crashes):
            after(draw.uniform(0.3, LONG), self._crash)
        for _ in range(story.drains):
            after(draw.uniform(0.3, LONG), self._drain)
        if story.sick:
            after(draw.uniform(0.3, LONG / 2), self._sicken)
        for _ in range(story.losses):
            after(draw.uniform(0.3, LONG / 2), self._lose)
        for _ in range(story.attacks):
            after(draw.uniform(0.3, LONG), self._attack)
        after(LONG, self._heal)
        self.network.run(LONG + 60)
        self.check_outcomes()
        self.check_memory()

    def _submit(self, node, number):
        job, draw = f"job-{number}", self.random
        request = Request(
            job,
            "lift",
            Raw(msgspec.json.encode(["y" * draw.choice((1, 3000))])),
            timeout=draw.choice((None, None, None, 1.0)),
            movable=True,
            for_queue=Raw(b'{"retry":{"attempts":3}}'),
        )
        handle = self.book.handles[node, job] = Handle(node, request)
        node.caller.submit(request, self.network.now)
        nodes = self.book.nodes(node)
        if nodes:
            node.place(job, draw.choice(nodes))
        else:
            node.place(job, None)
        if draw.random() < 0.25:
            self.network.after(draw.choice((0.0, 0.1, 0.5, 1.5)), self._cancel, node, handle)
        if draw.random() < 0.2:
            other = draw.choice(self.callers)
            if other is not node and other.account == node.account:
                self.network.after(draw.uniform(0, 2), self._attach, other, request)

    def _cancel(self, node, handle):
        if not handle.outcomes:
            handle.cancelled = True
            node.handle(node.caller.cancel(handle.request.id, self.network.now))
            node.flush()

    def _attach(self, node, request):
        nodes = self.book.nodes(node)
        if nodes:
            self.book.handles[node, request.id] = Handle(node, request, attached=True)
            node.caller.attach(request.id, nodes, self.network.now, durable=True)
            node.flush()

    def _crash(self):
        alive = [node for node in self.queue if not node.dead]
        if alive:
            self.random.choice(alive).kill()
            self.network.after(self.random.uniform(*self.story.away_for), self._replace)

    def _replace(self):
        self.queue.append(QueueNode(self.network, self.store, f"q{len(self.queue)}"))
        self.queue[-1].connect()

    def _drain(self):
        node = self.random.choice(self.queue)
        node.draining = True
        self.network.after(0.5, node.kill)
        self.network.after(self.random.uniform(0, 2), self._replace)

    def _sicken(self):
        self.store.sick_until = self.network.now + self.story.sick

    def _lose(self):
        """The disk goes with all nodes on it, as a database that fell back to a replica would."""
        for node in self.queue:
            node.lose_connection()
        self.store.forget_one()
        for node in self.queue:
            self.network.after(self.random.uniform(0.1, 0.4), node.connect)

    def _heal(self):
        self.network.weather = Weather()
        for node in (*self.queue, *self.callers, self.attacker):
            node.connect()
        if all(node.dead or node.draining for node in self.queue):
            self._replace()
        for node in self.callers:
            for other in self.network.online.values():
                if other is not node:
                    node.presence_received(other.address, other.account, True)

    def _attack(self):
        draw, me = self.random, self.attacker
        if me.is_online:
            job, attempt = f"job-{draw.randrange(8)}", draw.randint(1, 3)
            frames = [
                Succeeded(job, attempt, Raw(b'"forged"')),
                Failed(job, attempt, "Forged", "forged"),
                Rejected(job, attempt, "not_allowed", "forged"),
                Progress(job, attempt, 99, 99),
                State(job, attempt, "unknown"),
            ]
            draw.shuffle(frames)
            for caller in self.callers:
                for frame in frames:
                    me.windows.push(caller.address, frame)
            me.flush()

    # -- what must hold ------------------------------------------------------------------------

    def check_outcomes(self):
        for (node, job), handle in self.book.handles.items():
            assert len(handle.outcomes) == 1, f"{job} of {node.address}: {handle.outcomes}"
            self._check_outcome(job, handle, handle.outcomes[0])
        for job, times in self.store.committed.items():
            assert times <= 1 + self.store.lost[job], f"{job} was new {times} times"
            assert self.store.outcomes[job] <= 1, f"{job} has {self.store.outcomes[job]} outcomes"

    def _check_outcome(self, job, handle, outcome):
        error, records = outcome.error, self.store.jobs
        record = records.get((handle.node.account, job))
        stored = None if record is None else record["outcome"]
        if error is None:
            assert isinstance(stored, Succeeded), outcome
            assert bytes(outcome.result) == bytes(stored.result)
        elif isinstance(error, TaskFailed):
            assert isinstance(stored, Failed), outcome
        elif isinstance(error, JobTimeout):
            assert handle.request.timeout, outcome
        elif isinstance(error, JobCancelled):
            # Nothing goes on of which somebody was told that it is stopped.
            assert stored is None or isinstance(stored, Cancelled), (outcome, stored)
            assert handle.cancelled or isinstance(stored, Cancelled), outcome
        elif isinstance(error, UnknownJob):
            assert handle.attached, outcome
        else:
            assert isinstance(error, NobodyThere | Draining), outcome
            # What refuses it may be told before or after its batch is answered.
            excused = job in self.store.refused or job in self.store.lost
            assert excused or not handle.accepted, f"{job} was accepted: {error}"

    def check_memory(self):
        for node in self.callers:
            assert len(node.caller) == 0
            assert node.caller.next_timer() is None
            assert not node.caller._jobs._peers
            assert len(node.windows) == 0, node.windows._windows
            node.joiner.tick(self.network.now + limits.JOIN_WITHIN)
            assert node.joiner.size == 0
