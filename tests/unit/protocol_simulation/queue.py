"""A queue on the made-up network: some nodes of one account, and the store that they share."""

from collections import Counter

import msgspec
from msgspec import Raw

from jabot.protocol.frames import (
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

from .program import Program

ATTEMPTS = 3  # of one job
COMMIT = 0.05  # seconds at most


class Store:
    """The disk, and the workers behind it: every job that is in it comes to one outcome."""

    def __init__(self, network, random):
        self.network, self.random = network, random
        self.jobs = {}  # (account, id) -> its record
        self.nodes = []
        self.committed = Counter()  # ids of which a submit was new
        self.outcomes = Counter()
        self.lost = Counter()  # ids that a disk has lost
        self.refused = set()  # ids
        self.sick_until = 0.0

    @property
    def is_sick(self):
        return self.network.now < self.sick_until

    def add(self, key, submit):
        if key in self.jobs:
            return
        self.committed[key[1]] += 1
        self.jobs[key] = {"state": "available", "attempt": 0, "outcome": None, "step": None}
        self._due(key, 0.3)

    def cancel(self, key):
        if self.jobs[key]["outcome"] is None:
            self._ended(key, Cancelled(key[1], max(1, self.jobs[key]["attempt"]), "as asked"))

    def forget_one(self):
        """A disk fails, and what replaces it is a little older."""
        fresh = [key for key, record in self.jobs.items() if not record["attempt"]]
        if fresh:
            key = self.random.choice(fresh)
            if self.jobs[key]["outcome"] is None:
                del self.jobs[key]
                self.lost[key[1]] += 1

    def _due(self, key, most):
        self.network.after(self.random.uniform(0, most), self._run, key, self.jobs[key])

    def _run(self, key, record):
        if self.jobs.get(key) is not record or record["outcome"] is not None:
            return
        record["attempt"] += 1
        record["state"] = "running"
        end = self.random.choice((0.0, 0.1, 0.5, 2.0))
        for step in range(self.random.randrange(3)):
            self.network.after(end * step / 3, self._step, key, record, record["attempt"], step + 1)
        self.network.after(end, self._end, key, record)

    def _step(self, key, record, attempt, step):
        if record["outcome"] is None and record["attempt"] == attempt:
            record["step"] = Progress(key[1], attempt, step, step)
            self._tell(key, record["step"])

    def _end(self, key, record):
        if self.jobs.get(key) is not record or record["outcome"] is not None:
            return
        attempt = record["attempt"]
        luck = self.random.random()
        if luck < 0.25 and attempt < ATTEMPTS:
            record["state"] = "retryable"
            self._due(key, 0.5)
        elif luck < 0.4:
            self._ended(key, Failed(key[1], attempt, "ValueError", "no luck"))
        else:
            result = [key[1], attempt, "x" * self.random.choice((1, 5000))]
            self._ended(key, Succeeded(key[1], attempt, Raw(msgspec.json.encode(result))))

    def _ended(self, key, outcome):
        record = self.jobs[key]
        record["outcome"] = outcome
        self.outcomes[key[1]] += 1
        self._tell(key, outcome)

    def _tell(self, key, frame):
        for node in self.nodes:
            node.tell(key, frame)


class QueueNode(Program):
    """One process of the queue. What it knows of who listens dies with it; the store does not."""

    def __init__(self, network, store, name):
        super().__init__(network, "jobs@here", name)
        self.store = store
        self.draining = False
        self.commit = 0.0
        self.listeners = {}  # (account, id) -> addresses
        store.nodes.append(self)

    def came(self):
        """It knows of nobody."""

    def went(self, leftover):
        self.listeners.clear()  # they see it, and ask

    def tell(self, key, frame):
        if self.is_online:
            for peer in self.listeners.get(key, ()):
                self.windows.push(peer, frame)
            self.flush()

    # -- what the network says -----------------------------------------------------------------

    def presence_received(self, peer, account, here):
        if not here:
            self.forget(peer)
            for listeners in self.listeners.values():
                listeners.discard(peer)

    def received(self, peer, account, frames, answer):
        if not any(isinstance(frame, Submit | Cancel | Query) for frame in frames):
            answer("result")
            return
        commit = self.network.now + self.store.random.uniform(0, COMMIT)
        self.commit = max(self.commit, commit)  # one after the other
        self.network.at(self.commit, self._committed, peer, account, frames, self.session, answer)

    def _committed(self, peer, account, frames, session, answer):
        """The disk has it all, or nothing of it; the node may be gone by now."""
        if self.dead and self.store.random.random() < 0.5:
            return
        if self.store.is_sick:
            if self.session == session and self.is_online:
                answer("later")
            return
        alive = self.session == session and self.is_online
        for frame in frames:
            key = (account, getattr(frame, "id", ""))
            if isinstance(frame, Submit):
                if self.draining and key not in self.store.jobs:
                    self.store.refused.add(frame.id)
                    self._say(alive, peer, Rejected(frame.id, frame.attempt, "draining"))
                    continue
                self.store.add(key, frame)
            elif isinstance(frame, Cancel) and key in self.store.jobs:
                self.store.cancel(key)
            if isinstance(frame, Submit | Cancel | Query):
                self._answer(alive, peer, key, frame)
        if alive:
            self.flush()
            answer("result")

    def _answer(self, alive, peer, key, frame):
        record = self.store.jobs.get(key)
        if record is None:
            self._say(alive, peer, State(frame.id, frame.attempt, "unknown"))
        elif record["outcome"] is not None:
            self._say(alive, peer, record["outcome"])
        else:
            if alive:
                self.listeners.setdefault(key, set()).add(peer)
            if not isinstance(frame, Submit):
                self._say(alive, peer, State(frame.id, record["attempt"], record["state"]))

    def _say(self, alive, peer, frame):
        if alive:
            self.windows.push(peer, frame)

    def answered(self, peer, batch, what, why):
        if what == "result":
            self.windows.answered(peer, batch)
        else:
            self.windows.refused(peer, batch)

    def late(self, peer, batch):
        self.windows.failed(peer, batch, lambda frame: True)
