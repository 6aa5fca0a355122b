"""One seed's story: who is there, what is asked, what goes wrong; and what must hold after it."""

import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from jabot.errors import (
    BadArguments,
    Draining,
    JobCancelled,
    JobTimeout,
    NobodyThere,
    RemoteProtocolError,
    TaskFailed,
    TooManyJobs,
    UnknownJob,
    WorkerLost,
)
from jabot.protocol import codec, limits
from jabot.protocol.caller_jobs import Request
from jabot.protocol.events import JobEnded, JobStepped
from jabot.protocol.frames import (
    Accepted,
    Cancel,
    Cancelled,
    Failed,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)

from .network import Network, Weather
from .node import RETENTION, SimulatedNode
from .program import ANSWER_WITHIN

LONG = 6.0  # seconds of trouble; after that everything heals


@dataclass(frozen=True)
class Story:
    """What may happen in a campaign."""

    weather: Weather
    cuts: int = 0  # connections that are lost and come back
    cut_for: tuple = (0.05, 0.4)  # seconds; short ones stay within the grace
    kills: int = 0
    crossings: int = 0  # workers that die as a caller is back
    drains: int = 0
    attacks: int = 0
    room: int = 1000  # jobs of one account that a worker takes


@dataclass
class Fate:
    """What the book knows of one handle."""

    node: object
    request: Request
    retries: int = 0
    cancelled: bool = False
    attached: bool = False
    placed_at: float = 0.0
    steps: list = field(default_factory=list)
    outcomes: list = field(default_factory=list)
    waiting: bool = False


class Runner:
    """Runs what the workers are told to, and knows the truth about it."""

    def __init__(self, network, random):
        self.network, self.random = network, random
        self.runs = Counter()  # job id -> how often its code was started
        self.results = {}  # job id -> the results that runs of it gave
        self.failures, self.refused, self.stopped = Counter(), Counter(), Counter()
        self.live = {}  # (node, key) -> the run's number

    def start(self, node, event):
        job = event.submit.id
        if job.startswith("forged"):
            return
        if self.random.random() < 0.05:
            self.refused[job] += 1
            node.worker.reject(event.key, BadArguments("no"), self.network.now)
            return
        assert (node, event.key) not in self.live, f"{job} runs twice at one time"
        self.runs[job] += 1
        run = self.live[node, event.key] = sum(self.runs.values())
        end = self.network.now + self.random.choice((0.0, 0.05, 0.3, 1.5))
        steps = self.random.randrange(4)
        for step in range(steps):
            when = self.network.now + (end - self.network.now) * step / steps
            self.network.at(when, self._step, node, event.key, run, step + 1)
        self.network.at(end, self._end, node, event.key, run)

    def cancel(self, node, event):
        if self.random.random() < 0.8:
            run = self.live.get((node, event.key))
            self.network.after(self.random.uniform(0, 0.2), self._stop, node, event.key, run)

    def killed(self, node):
        for entry in [entry for entry in self.live if entry[0] is node]:
            del self.live[entry]

    def _step(self, node, key, run, step):
        if self.live.get((node, key)) == run:
            node.worker.progressed(key, self.network.now, done=step)
            node.flush()

    def _end(self, node, key, run):
        if self.live.get((node, key)) != run:
            return
        del self.live[node, key]
        job, now = key[1], self.network.now
        if self.random.random() < 0.15:
            self.failures[job] += 1
            node.worker.failed(key, now, kind="ValueError", message="no luck")
        else:
            result = [job, run, "x" * self.random.choice((1, 20, 5000))]
            self.results.setdefault(job, []).append(result)
            node.worker.succeeded(key, Raw(msgspec.json.encode(result)), now)
        node.flush()

    def _stop(self, node, key, run):
        if run is not None and self.live.get((node, key)) == run:
            del self.live[node, key]
            self.stopped[key[1]] += 1
            node.worker.cancelled(key, self.network.now)
            node.flush()


class Book:
    """What the callers were promised and what they got."""

    def __init__(self, network, random):
        self.network, self.random = network, random
        self.fates = {}  # (node, job id) -> Fate

    def workers(self, node, avoid=()):
        known = sorted(peer for peer in node.there if peer.startswith("pool@"))
        return [peer for peer in known if peer not in avoid]

    def told(self, node, event):
        fate = self.fates[node, event.id]
        assert not fate.outcomes, f"{event} after {fate.outcomes[0]}"
        if isinstance(event, JobEnded):
            fate.outcomes.append(event)
        elif isinstance(event, JobStepped):
            fate.steps.append(event.done)

    def needs_worker(self, node, event):
        fate = self.fates[node, event.id]
        fate.waiting = True
        refused = isinstance(
            event.error, Draining | TooManyJobs
        )  # who refused once is not asked again
        others = self.workers(node, event.avoid)
        self._place(node, event.id, others if others or refused else self.workers(node))
        self.network.after(5.0, self._give_up, node, event.id)

    def somebody_came(self, node):
        for (owner, job), fate in list(self.fates.items()):
            if owner is node and fate.waiting and not fate.outcomes:
                self._place(node, job, self.workers(node))

    def killed(self, node):
        for entry in [entry for entry in self.fates if entry[0] is node]:
            del self.fates[entry]

    def _place(self, node, job, candidates):
        if candidates:
            self.fates[node, job].waiting = False
            # In a later turn, as a program would.
            self.network.after(0, self._now, node, job, self.random.choice(candidates))

    def _now(self, node, job, peer):
        fate = self.fates.get((node, job))
        if fate is not None and not fate.outcomes and not node.dead:
            node.place(job, peer)

    def _give_up(self, node, job):
        fate = self.fates.get((node, job))
        if fate is not None and fate.waiting and not fate.outcomes and not node.dead:
            node.place(job, None)


class Campaign:
    """Plays a story from a seed, and checks it."""

    def __init__(self, seed, story):
        self.random = random.Random(seed)
        self.story = story
        self.network = Network(self.random, story.weather)
        self.runner = Runner(self.network, self.random)
        self.book = Book(self.network, self.random)
        self.callers = [
            SimulatedNode(self.network, f"app{n // 2}@here", f"c{n}", self.book, self.runner)
            for n in range(self.random.randint(1, 3))
        ]
        self.workers = [
            SimulatedNode(self.network, "pool@here", f"w{n}", self.book, self.runner, story.room)
            for n in range(self.random.randint(1, 3))
        ]
        self.attacker = SimulatedNode(self.network, "mallory@here", "m", self.book, self.runner)

    def play(self):
        """Let it all happen, and then some quiet time."""
        draw, after = self.random, self.network.after
        for node in (*self.workers, *self.callers, self.attacker):
            node.connect()
        for number in range(draw.randint(2, 8)):
            after(draw.uniform(0.3, LONG / 2), self._submit, draw.choice(self.callers), number)
        for _ in range(self.story.cuts):
            node = draw.choice((*self.workers, *self.callers))
            at = draw.uniform(0.2, LONG)
            after(at, node.lose_connection)
            after(at + draw.uniform(*self.story.cut_for), node.connect)
        for _ in range(self.story.kills):
            after(draw.uniform(0.3, LONG), draw.choice((*self.workers, *self.callers)).kill)
        for _ in range(self.story.crossings):
            node, back = draw.choice(self.callers), draw.uniform(0.5, LONG / 2)
            after(back - 0.2, node.lose_connection)
            after(back, node.connect)
            after(back + draw.uniform(0.0, 0.3), draw.choice(self.workers).kill)
        for _ in range(self.story.drains):
            after(draw.uniform(0.3, LONG), self._drain, draw.choice(self.workers))
        for _ in range(self.story.attacks):
            after(draw.uniform(0.3, LONG), self._attack)
        after(LONG, self._heal)
        self.network.run(LONG + 40)
        self.check_outcomes()
        self.check_memory()

    def _submit(self, node, number):
        job, draw = f"job-{number}", self.random
        if node.dead:
            return
        retries = draw.choice((0, 0, 2))
        request = Request(
            job,
            "lift",
            Raw(msgspec.json.encode(["y" * draw.choice((1, 3000))])),
            timeout=draw.choice((None, None, None, 1.0)),
            retry=lambda made, error: (0.0, 0.2)[made % 2] if made <= retries else None,
            movable=draw.random() < 0.7,
        )
        fate = self.book.fates[node, job] = Fate(node, request, retries)
        workers = self.book.workers(node)
        node.caller.submit(request, self.network.now, draw.choice(workers) if workers else None)
        if not workers:
            fate.waiting = True
            self.network.after(5.0, self.book._give_up, node, job)
        node.flush()
        if draw.random() < 0.25:
            self.network.after(draw.choice((0.0, 0.1, 0.5)), self._cancel, node, job)
        if draw.random() < 0.2:
            other = draw.choice(self.callers)
            if other is not node and other.account == node.account:
                self.network.after(draw.uniform(0, 2), self._attach, other, fate)

    def _cancel(self, node, job):
        fate = self.book.fates.get((node, job))
        if fate is not None and not fate.outcomes and not node.dead:
            fate.cancelled = True
            node.handle(node.caller.cancel(job, self.network.now))
            node.flush()

    def _attach(self, node, fate):
        workers = self.book.workers(node)
        if not node.dead and workers:
            attached = Fate(node, fate.request, fate.retries, attached=True)
            self.book.fates[node, fate.request.id] = attached
            node.caller.attach(fate.request.id, workers, self.network.now)
            node.flush()

    def _drain(self, node):
        if not node.dead:
            node.worker.draining = True

    def _heal(self):
        self.network.weather = Weather()
        for node in (*self.workers, *self.callers, self.attacker):
            node.connect()
        for node in (*self.workers, *self.callers):
            if not node.dead:  # whoever is still waited for says so, as presence does in the end
                for other in self.network.online.values():
                    if other is not node:
                        node.presence_received(other.address, other.account, True)

    def _attack(self):
        """Somebody who has nothing to do with the jobs claims to."""
        draw, me = self.random, self.attacker
        if not me.is_online:
            return
        job, attempt = f"job-{draw.randrange(8)}", draw.randint(1, 3)
        forged = Raw(b'"forged"')
        frames = [
            Succeeded(job, attempt, forged),
            Failed(job, attempt, "Forged", "forged"),
            Cancelled(job, attempt, "forged"),
            Rejected(job, attempt, "not_allowed", "forged"),
            Progress(job, attempt, 99, 99),
            State(job, attempt, "unknown"),
            Accepted(job, attempt),
            Cancel(job, draw.choice((0, attempt)), "forged"),
            Query(job),
            Submit(f"forged-{draw.randrange(9)}", "lift"),
        ]
        draw.shuffle(frames)
        to = draw.choice((*self.workers, *self.callers)).address
        text = codec.encode_batch([codec.encode_frame(frame) for frame in frames])
        self.network.batch(me, to, text.text, text.deflated, lambda what, why: None)
        rubbish = draw.choice(("", "[]", "[[", '[["submit"]]', '[["new","x"],["query",7]]', "\0"))
        self.network.batch(me, to, rubbish, draw.random() < 0.5, lambda what, why: None)

    # -- what must hold ------------------------------------------------------------------------

    def check_outcomes(self):
        asked = Counter()
        for (node, job), fate in self.book.fates.items():
            assert not node.dead
            assert len(fate.outcomes) == 1, f"{job} of {node.address}: {fate.outcomes}"
            assert all(a < b for a, b in zip(fate.steps, fate.steps[1:], strict=False)) or (
                fate.retries  # another attempt begins anew
            ), f"{job}: progress {fate.steps}"
            self._check_outcome(job, fate, fate.outcomes[0])
            asked[job] += 1
        for job, runs in self.runner.runs.items():
            retries = max(
                (fate.retries for (_, j), fate in self.book.fates.items() if j == job), default=2
            )
            assert runs <= 1 + retries, f"{job} ran {runs} times with {retries} retries"

    def _check_outcome(self, job, fate, outcome):
        runner, error = self.runner, outcome.error
        if error is None:
            assert msgspec.json.decode(outcome.result) in runner.results.get(job, []), outcome
            return
        if isinstance(error, TaskFailed):
            assert runner.failures[job], outcome
        elif isinstance(error, JobCancelled):
            assert fate.cancelled or fate.attached, outcome
        elif isinstance(error, JobTimeout):
            assert fate.request.timeout, outcome
        elif isinstance(error, BadArguments):
            assert runner.refused[job], outcome
            if not fate.retries:
                assert not runner.runs[job], f"{job} was refused and ran"
        elif isinstance(error, Draining):
            assert self.story.drains, outcome
        elif isinstance(error, TooManyJobs):
            assert self.story.room < 9, outcome
        elif isinstance(error, UnknownJob):
            assert fate.attached, outcome
        elif isinstance(error, NobodyThere):
            story = self.story
            assert story.kills or story.crossings or story.cuts or story.drains or story.room < 9
            if not fate.retries:
                assert not runner.runs[job], f"{job} reached nobody and ran"
        else:
            assert isinstance(error, WorkerLost), outcome
            assert not isinstance(error, RemoteProtocolError), outcome
            long_cuts = self.story.cuts and self.story.cut_for[1] > 0.5
            died = self.story.kills or self.story.crossings
            assert died or long_cuts, f"{job}: {error}, and its worker lived"

    def check_memory(self):
        quiet = self.network.now + 3 * RETENTION + ANSWER_WITHIN
        for node in self.network.nodes:
            if node.dead:
                continue
            assert len(node.caller) == 0
            assert node.caller.next_timer() is None
            assert not node.caller._absences._peers or all(
                not peer.absent for peer in node.caller._absences._peers.values()
            )
            assert not node.caller._jobs._peers
            assert len(node.windows) == 0, node.windows._windows
            node.joiner.tick(quiet + limits.JOIN_WITHIN)
            assert node.joiner.size == 0
            node.worker.tick(quiet)
            jobs = node.worker._jobs
            left = [job for job in jobs._jobs.values() if not job.key[1].startswith("forged")]
            assert not left, left
            for job in list(jobs._jobs.values()):
                jobs.forget(job)
            assert not jobs._peers and not jobs._busy and not len(jobs._owed) + len(jobs._kept)
            assert jobs._owed.bytes == jobs._kept.bytes == 0
