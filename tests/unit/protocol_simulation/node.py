"""Nodes and callers on the made-up network: programs with both ends."""

from jabot.errors import NobodyThere, RemoteProtocolError
from jabot.protocol.caller import Caller
from jabot.protocol.events import (
    CancelJob,
    JobAccepted,
    JobEnded,
    JobNeedsWorker,
    JobStepped,
    StartJob,
)
from jabot.protocol.worker import Worker
from jabot.protocol.worker_actions import WorkerSettings

from .program import Program

GRACE = 1.5  # seconds
RETENTION = 30.0


class SimulatedNode(Program):
    """`runner` gets the worker's events, `book` the outcomes of the caller's jobs."""

    def __init__(self, network, account, name, book, runner, room=1000):
        super().__init__(network, account, name)
        self.book, self.runner = book, runner
        self.caller = Caller(self.windows.push, GRACE)
        self.worker = Worker(
            self.windows.push, WorkerSettings(retention=RETENTION, jobs_per_account=room)
        )
        self.there = {}  # peers -> their account
        self._timer = None

    # -- its life ------------------------------------------------------------------------------

    def came(self):
        if self.session > 1:
            self.handle(self.caller.reconnected(self.network.now))
            self.worker.reconnected()
        self.flush()

    def went(self, leftover):
        self.there.clear()
        self.caller.connection_lost(leftover)

    def kill(self):
        super().kill()
        self.runner.killed(self)
        self.book.killed(self)

    # -- what the network says -----------------------------------------------------------------

    def presence_received(self, peer, account, here):
        if here:
            self.there[peer] = account
            self.worker.peer_here(peer)
            self.handle(self.caller.peer_here(peer, self.network.now))
            self.book.somebody_came(self)
        else:
            self.there.pop(peer, None)
            leftover = self.forget(peer)
            self.worker.peer_gone(peer)
            self.handle(self.caller.peer_gone(peer, leftover, self.network.now))
        self.flush()

    def received(self, peer, account, frames, answer):
        now = self.network.now
        self.handle(self.worker.received(peer, account, frames, now))
        self.handle(self.caller.received(peer, frames, now))
        self.flush()
        answer("result")

    def answered(self, peer, batch, what, why):
        now = self.network.now
        if what == "result":
            frames = self.windows.answered(peer, batch)
            self.worker.answered(peer, frames, now)
            self.handle(self.caller.answered(peer, frames, now))
        elif what == "bounce":
            self.there.pop(peer, None)
            frames = self.windows.refused(peer, batch)
            self.worker.peer_gone(peer)
            self.handle(self.caller.bounced(peer, frames, now))
        else:
            frames, error = self.windows.refused(peer, batch), RemoteProtocolError(why)
            self.handle(self.worker.refused(peer, frames, error, now))
            self.handle(self.caller.refused(peer, frames, error, now))

    def late(self, peer, batch):
        frames = self.windows.failed(peer, batch, lambda frame: self.caller.wants(peer, frame))
        self.caller.unanswered(peer, frames)

    # -- what it does --------------------------------------------------------------------------

    def flush(self):
        """Send what may be sent, and see to the next timer."""
        super().flush()
        due = self.caller.next_timer()
        if due is not None and (self._timer is None or due < self._timer):
            self._timer = due
            self.network.at(due, self._tick, due)

    def _tick(self, due):
        if self._timer == due:
            self._timer = None
        if not self.dead:
            self.handle(self.caller.tick(self.network.now))
            self.flush()

    def handle(self, events):
        for event in events:
            match event:
                case StartJob():
                    self.runner.start(self, event)
                case CancelJob():
                    self.runner.cancel(self, event)
                case JobEnded() | JobStepped() | JobAccepted():
                    self.book.told(self, event)
                case JobNeedsWorker():
                    self.book.needs_worker(self, event)

    def place(self, job_id, peer):
        """Give a waiting job away, or give it up without a peer."""
        if peer is None:
            self.handle(self.caller.give_up(job_id, NobodyThere("nobody is online")))
        else:
            self.caller.place(job_id, peer, self.network.now)
        self.flush()
